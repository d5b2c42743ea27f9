"""Objects: what a query's box shows, found again in other photos; and LOST, the object of a photo alone.

The slides on spatial context (Seo & Han, KAIST 2024) take LOST's seed from the query and its similarity and expansion
to the gallery; they give no numbers. docs/objects.md says what is decided here. Boxes are left, top, right, bottom,
polygons rows of x and y, in pixels of the photo: the upper left pixel's corners are (0, 0) and (1, 1).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from localize.components import check_component, problems_of, query_field
from localize.geometry.outline import outline
from localize.kernels.area import shrunk_size
from localize.retrieval import photo_network as net
from localize.retrieval.salient import MOST_CELLS, component_of, salient_cells, seed_and_similar
from localize.types import InputError
from localize.types.checks import check_array, check_finite

WEIGHTS = {"compact": "compact", "small": "compact", "resnet50v2": "resnet50v2", "vgg16": "vgg16_caffe"}  # of None
SETTING = "pipeline.finder.weights"
OTHERWISE = ", or take pipeline.finder.backbone=compact, whose weights come with the package"
SEEDS = ("highest", "lowest")
Box = tuple[float, float, float, float]  # left, top, right, bottom px


@dataclass(frozen=True, eq=False)
class MeanFeature:
    """What features are centred by: activations are not negative, so without it everything resembles everything."""

    mean: np.ndarray  # (D,) float32

    def __post_init__(self):
        check_array(self, "mean", np.float32, (None,))
        check_finite(self, "mean")


@dataclass(frozen=True, eq=False)
class FoundObject:
    """An object in a photo."""

    box: np.ndarray  # (4,) float64 px
    polygon: np.ndarray  # (P, 2) float64 px, the outline of the cells, clockwise as seen
    score: float  # mean similarity of its cells to the query's, -1 to 1; of a single photo 0

    def __post_init__(self):
        check_array(self, "box", np.float64, (4,))
        check_array(self, "polygon", np.float64, (None, 2))
        check_finite(self, "box", "polygon")


@dataclass(frozen=True, eq=False)
class FoundObjects:
    """What was found of each query in one photo; None: nothing."""

    objects: tuple[FoundObject | None, ...]


@dataclass(frozen=True, eq=False)
class _Cells:
    """The map (h, w, D) float32 of a photo, and the edges of its cells (w + 1,), (h + 1,) in the photo's pixels."""

    features: np.ndarray
    across: np.ndarray
    down: np.ndarray

    def found(self, mask: np.ndarray, score: float) -> FoundObject:
        corners = outline(mask)
        polygon = np.stack([self.across[corners[:, 0]], self.down[corners[:, 1]]], axis=1)
        return FoundObject(np.concatenate([polygon.min(0), polygon.max(0)]), polygon, score)


@dataclass(frozen=True)
class ObjectFinder:
    """Looks for what a query's box shows: its cells that stand out there, and the cells that resemble them elsewhere.

    A cell reaches half a stride around the pixel that it looks at, those at the map's border to the photo's border.
    """

    backbone: str = "compact"  # small, resnet50v2, vgg16
    weights: str | None = None  # name or path; None: compact (of small too), resnet50v2 or vgg16_caffe
    max_edge_px: int = 1024  # larger photos are shrunk by area; a query's box by the factor of its photo
    stage: int = 3  # resnet50v2: the last one; 256, 512 or 1024 channels
    preprocessing: str = "caffe"  # vgg16: what its weights were trained with; torch
    precision: str = "auto"  # bfloat16 where the processor computes in it, else float32; stored under one key
    num_photos: int = 100  # of the gallery that the mean feature is learned from, spread evenly
    context: bool = query_field(True)  # a query's cells are those of its photo's map; false: of the box, seen alone
    seed: str = query_field("highest")  # the cell that is most like the others of the box; lowest: least, as in LOST
    max_members: int = query_field(100)  # cells next to it by this among which those like it are taken (LOST's k),
    member_share: float = query_field(0.25)  # and no more than this share of its cells
    tau: float = query_field(0.1)  # similarity that the best cell of a photo must exceed, and every cell of the object
    rho: float = query_field(0.4)  # share of the best cell's that every cell must exceed; 0, with tau 0: LOST's rule

    VERSION: ClassVar[int] = 1
    LIBRARIES: ClassVar[tuple] = ("torch", "scipy")
    RANGES: ClassVar[dict] = {"member_share": (0, 1), "tau": (-1, 1), "rho": (0, 1)}

    def __post_init__(self):
        choices = {"backbone": tuple(WEIGHTS), "stage": net.STAGES}
        choices |= {"preprocessing": net.PREPROCESSING, "precision": net.PRECISIONS, "seed": SEEDS}
        check_component(self, positive=("max_edge_px", "num_photos", "max_members", "member_share"), choices=choices)

    def preflight(self) -> list[str]:
        """What is missing, or is no weights."""
        return problems_of(self._network)

    def files(self) -> list[str]:
        """The weights, whose content decides what is found; InputError if they are missing."""
        return [net.weights_of(self, WEIGHTS, SETTING, OTHERWISE)]

    def learn(self, photos: Sequence[np.ndarray]) -> MeanFeature:
        """The mean over the cells of the gallery's photos, (H, W, 3) uint8 RGB each, read when asked for."""
        total, count = 0.0, 0
        for row in net.evenly(len(photos), self.num_photos):
            features = self._cells(photos[row]).features
            total, count = total + features.sum((0, 1), dtype=np.float64), count + features[..., 0].size
        return MeanFeature(total / count)

    def salient(self, photo: np.ndarray) -> FoundObject:
        """The object of a photo (H, W, 3) uint8 by LOST, whatever else there is."""
        cells = self._cells(photo)
        _check_comparable(cells.features)
        return cells.found(salient_cells(cells.features, self.max_members), 0.0)

    def learn_query(self, photo: np.ndarray, box: Box, learned: MeanFeature) -> np.ndarray:
        """(D,) float32, the mean of those unit features of the box that are looked for: s . f is M of docs/objects.md.

        photo: (H, W, 3) uint8. InputError if the box has no pixel of it, or too many cells.
        """
        features = _unit(self._of_box(photo, box), learned).reshape(-1, len(learned.mean))
        _check_comparable(features)
        most = min(self.max_members, math.ceil(self.member_share * len(features)))
        return features[seed_and_similar(features @ features.T, most, highest=self.seed == "highest")[1]].mean(0)

    def _of_box(self, photo: np.ndarray, box: Box) -> np.ndarray:
        """The features (h, w, D) of a query."""
        crop = cropped(photo, box)
        if not self.context:
            edge = self.max_edge_px * max(crop.shape[:2]) / max(photo.shape[:2])  # as much smaller as its photo
            return self._cells(crop, max(1, min(round(edge), self.max_edge_px))).features
        cells = self._cells(photo)
        rows, columns = _within(cells.down, box[1], box[3]), _within(cells.across, box[0], box[2])
        return cells.features[rows][:, columns]

    def find(self, photo: np.ndarray, queries: Sequence[np.ndarray], learned: MeanFeature) -> FoundObjects:
        """What of each query, as `learn_query` made it, is in a photo (H, W, 3) uint8."""
        cells = self._cells(photo)
        features = _unit(cells.features, learned)
        return FoundObjects(tuple(self._found(cells, features @ query) for query in queries))

    def _found(self, cells: _Cells, similarity: np.ndarray) -> FoundObject | None:
        """From the similarity (h, w) of each cell to the query."""
        row, column = divmod(int(np.argmax(similarity)), similarity.shape[1])
        best = float(similarity[row, column])
        if best <= self.tau:
            return None
        mask = similarity > max(self.tau, self.rho * best)
        mask[row, column] = True  # of rho = 1 it is the only one
        mask = component_of(mask, row, column)
        return cells.found(mask, float(similarity[mask].mean()))

    def _cells(self, photo: np.ndarray, max_edge_px: int | None = None) -> _Cells:
        """The map of a photo without the cells that look at what it was filled up with."""
        edge, network = max_edge_px or self.max_edge_px, self._network()
        (maps,) = net.maps_of(network, photo, edge)
        sides, edges = shrunk_size(*photo.shape[:2], edge), []
        for k, (cells, side, own) in enumerate(zip(maps.shape[2:], sides, photo.shape[:2], strict=True)):
            looked = network.stride * np.arange(cells) + network.offset + 0.5
            looked = looked[: max(1, int((looked < side).sum()))]
            inner = looked[1:] - network.stride / 2
            edges.append(np.concatenate([[0], inner * own / side, [own]]))
            maps = maps.narrow(2 + k, 0, len(looked))
        return _Cells(np.ascontiguousarray(maps[0].permute(1, 2, 0).cpu().numpy()), edges[1], edges[0])

    def _network(self):
        settings = net.backbone_settings(self, relu=True)
        return net.backbone_network(*self.files(), self.backbone, settings, self.precision)


def cropped(photo: np.ndarray, box: Box) -> np.ndarray:
    """The pixels of a photo (H, W, 3) in a box, whose sides are rounded; InputError if there are none."""
    left, top, right, bottom = (round(v) for v in box)
    crop = photo[max(0, top) : max(0, bottom), max(0, left) : max(0, right)]
    if not crop.size:
        height, width = photo.shape[:2]
        raise InputError(f"the box {list(box)} holds no pixel of a photo of {width} x {height} px")
    return np.ascontiguousarray(crop)


def _within(edges: np.ndarray, low: float, high: float) -> slice:
    """The cells whose middle lies between two numbers; one in any case."""
    first, last = np.searchsorted((edges[1:] + edges[:-1]) / 2, (low, high))
    first = min(first, len(edges) - 2)
    return slice(first, max(last, first + 1))


def _unit(features: np.ndarray, learned: MeanFeature) -> np.ndarray:
    """The features (h, w, D), centred, of length 1; what is the mean itself stays 0."""
    centred = features - learned.mean
    lengths = np.linalg.norm(centred, axis=-1, keepdims=True)
    return centred / np.maximum(lengths, np.finfo(np.float32).tiny)


def _check_comparable(features: np.ndarray) -> None:
    """InputError for a map too large for a table of all its cells by all its cells."""
    if (count := features[..., 0].size) > MOST_CELLS:
        raise InputError(
            f"the map of the query has {count} cells, but at most {MOST_CELLS} can be compared with each other: take a "
            "smaller pipeline.finder.max_edge_px, or a backbone with larger cells, such as compact"
        )
