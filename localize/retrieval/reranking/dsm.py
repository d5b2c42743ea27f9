"""Deep spatial matching: photos whose activation maps have regions in the same arrangement show the same place.

Simeoni, Avrithis & Chum, "Local features and visual words emerge in activations", CVPR 2019. What differs between the
paper and its authors' code is a setting; docs/dsm.md lists them.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from localize.components import check_component, problems_of, query_field
from localize.kernels.threads import on_threads
from localize.retrieval import photo_network as net
from localize.retrieval.base import NothingLearned, RankingSources
from localize.retrieval.regions import RegionSettings, count_activations, gain_of, regions_of
from localize.retrieval.spatial import SpatialSettings, Verified, verify
from localize.types import InputError, Regions, Retrieval

log = logging.getLogger(__name__)
WEIGHTS = {
    "compact": "compact",
    "small": "compact",
    "resnet50v2": "resnet50v2",
    "vgg16": "vgg16_caffe",
}  # what None means
MAX_REGIONS = {"resnet50v2": 2048}  # the authors' for ResNet; 512 of the others, theirs for VGG16
SETTING = "ranking.rerank.0.weights"
OTHERWISE = ", or take ranking.rerank.0.backbone=compact, whose weights come with the package"


@dataclass(frozen=True, eq=False)
class Gain:
    """What activations are multiplied by before they become whole numbers: learned from the references."""

    gain: float


@dataclass(frozen=True)
class Dsm:
    """The best references by the number of their regions that an affine map puts onto the query's."""

    backbone: str = "compact"  # small, resnet50v2, vgg16
    weights: str | None = None  # name or path; None: compact (of small too), resnet50v2 or vgg16_caffe
    upsampled: bool = False  # resnet50v2: maps twice as fine, the last stage dilated in place of its stride
    scales: tuple = (1.0, 0.7071, 0.5)
    max_edge_px: int = 1024  # larger photos are shrunk by area
    stage: int = 3  # resnet50v2: the last one; 256, 512 or 1024 channels
    preprocessing: str = "caffe"  # vgg16: what its weights were trained with; torch
    precision: str = "auto"  # bfloat16 where the processor computes in it, else float32; stored under one key
    num_photos: int = 100  # references that the gain of `regions.quant=dataset` is learned from, spread evenly
    regions: RegionSettings = RegionSettings()
    verification: SpatialSettings = query_field(SpatialSettings())
    num_verified: int = query_field(100)  # best references of each query; the others stay behind them

    VERSION: ClassVar[int] = 1
    LIBRARIES: ClassVar[tuple] = ("torch", "scipy")

    def __post_init__(self):
        choices = {"backbone": tuple(WEIGHTS), "stage": net.STAGES}
        choices |= {"preprocessing": net.PREPROCESSING, "precision": net.PRECISIONS}
        check_component(self, positive=("max_edge_px", "num_photos", "num_verified"), choices=choices)
        net.check_scales(self)
        if self.regions.max_regions is None:
            regions = replace(self.regions, max_regions=MAX_REGIONS.get(self.backbone, 512))
            object.__setattr__(self, "regions", regions)
        if self.upsampled and (self.backbone != "resnet50v2" or self.stage == 1):
            raise InputError("Dsm.upsampled is of backbone resnet50v2, whose stage 2 or 3 has a stride to leave out")

    def preflight(self) -> list[str]:
        """What is missing, does not fit, or is no weights."""
        return problems_of(self._network)

    def files(self) -> list[str]:
        """The weights, whose content decides the regions; InputError if they are missing."""
        return [net.weights_of(self, WEIGHTS, SETTING, OTHERWISE)]

    def learn(self, photos: Sequence[np.ndarray]) -> Gain | NothingLearned:
        """The gain of the references' activations at scale 1; nothing where each photo's own decide."""
        if self.regions.quant != "dataset":
            return NothingLearned()
        rows = net.evenly(len(photos), self.num_photos)
        return Gain(gain_of(sum(count_activations(self.maps(photos[i], (1.0,))[0]) for i in rows)))

    def find_regions(self, photo: np.ndarray, learned: Gain | NothingLearned, *, of_query: bool) -> Regions:
        """Regions of an RGB photo (H, W, 3) uint8; ValueError for another."""
        gain = learned.gain if isinstance(learned, Gain) else None
        return regions_of(self.maps(photo, self.scales), self.regions, of_query, gain)

    def maps(self, photo: np.ndarray, scales: tuple[float, ...]) -> list[np.ndarray]:
        """Activations (C, h, w) float32 of an RGB photo (H, W, 3) uint8 at each scale."""
        found = net.maps_of(self._network(), photo, self.max_edge_px, scales)
        return [np.ascontiguousarray(maps[0].cpu().numpy()) for maps in found]

    def match(self, query: Regions, reference: Regions) -> Verified:
        """What two photos have in common."""
        return verify(query, reference, self.verification)

    def rerank(self, ranking: Retrieval, sources: RankingSources) -> Retrieval:
        """The first `num_verified` references of each query by their inliers, then the others; ties as they were.

        Scores: inliers, plus less than 1 for small residuals; 0 below three inliers, and for the others.
        """
        if sources.query_regions is None:
            raise ValueError("there are no regions to verify: the stage that ranks photos finds them")
        known = [np.flatnonzero(row >= 0) for row in ranking.ranked]
        pairs = [(q, at) for q, places in enumerate(known) for at in places[: self.num_verified]]

        if pairs and not any(len(sources.query_regions[ranking.query_names[q]]) for q in {q for q, _ in pairs}):
            log.warning("no query has a region, so nothing is verified: regions.quant=raw needs Caffe's activations")

        def score(pair: tuple[int, int]) -> float:
            query, reference = ranking.query_names[pair[0]], ranking.reference_names[ranking.ranked[pair]]
            return self.match(sources.query_regions[query], sources.reference_regions[reference]).score

        scores = np.where(ranking.ranked >= 0, 0, -np.inf).astype(np.float32)
        for pair, found in zip(pairs, on_threads(score, pairs, sources.threads), strict=True):
            scores[pair] = found
        order = np.argsort(-scores, axis=1, kind="stable")
        again = (np.take_along_axis(values, order, 1) for values in (ranking.ranked, scores))
        return Retrieval(ranking.query_names, ranking.reference_names, *again)

    def _network(self):
        settings = net.backbone_settings(self, relu=True) + ((("dense", True),) if self.upsampled else ())
        return net.backbone_network(*self.files(), self.backbone, settings, self.precision)
