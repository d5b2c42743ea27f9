"""The parts of a training of HOW and its spatial context: where it starts, its photos, and its validation."""

import functools
import math
import pathlib
from dataclasses import asdict, dataclass

from localize.keys import file_digest, key_of
from localize.networks.context import CHOICES
from localize.networks.how import LAYERS, POOLINGS, SMOOTHINGS, How, HowSettings
from localize.retrieval import photo_network as net
from localize.retrieval.how import WEIGHTS
from localize.train.compact.places import PlacedPhotos, read_places
from localize.train.compact.recognition import Recognition
from localize.train.loop.machine import Machine
from localize.train.loop.part import TrainingPart, aside, check_part
from localize.train.spatial.batches import TupleBatches
from localize.train.spatial.judge import SpatialJudge
from localize.train.spatial.learner import SpatialLearner
from localize.train.spatial.maps import Light, TrunkMaps
from localize.train.spatial.recipe import SpatialLoop
from localize.train.spatial.sources import JoinedPhotos, Photos, map_photos, sfm_photos, walk_photos
from localize.types import InputError
from localize.weights.backbones import load_backbone
from localize.weights.how import load_how, settings_of
from localize.weights.shipped import weights_file


@dataclass(frozen=True)
class SpatialStart(TrainingPart):
    """The network as it is before the first step; its fields beside the weights are those of HowSettings."""

    weights: str | None = aside(None)  # null: the backbone's usual ones; a file of this pipeline, to go on from
    backbone: str = "compact"
    stage: int = 3
    preprocessing: str = "caffe"
    smoothing: str = "learned"
    side: int = 3
    bandwidth: str = "learned"
    confidence: str = "learned"
    second_order: bool = False
    gcn_layers: int = 0
    num_nodes: int = 256
    dim: int = 128
    pooling: str = "how"

    def __post_init__(self):
        choices = {"backbone": tuple(WEIGHTS), "smoothing": SMOOTHINGS, "pooling": POOLINGS}
        choices |= {"stage": net.STAGES, "preprocessing": net.PREPROCESSING}
        choices |= dict.fromkeys(("bandwidth", "confidence"), CHOICES)
        check_part(self, choices=choices, positive=("side", "num_nodes", "dim"), ranges={"gcn_layers": (0, LAYERS)})
        if self.side % 2 == 0:
            raise InputError(f"pipeline.start.side is {self.side}, but must be odd, such as 3 or 5")

    @property
    def settings(self) -> HowSettings:
        """Which network it is."""
        return HowSettings(**{name: value for name, value in vars(self).items() if name != "weights"})

    def contents(self) -> dict[str, str]:
        """The digest of the weights' file."""
        return {"weights": file_digest(self._path())}

    def module(self) -> SpatialLearner:
        """What learns; InputError if the weights are of another network."""
        path = self._path()
        known = settings_of(path)
        if known is None:
            trunk = load_backbone(self.backbone, path, **self.settings.of_backbone())
            return SpatialLearner(How(trunk, self.settings))
        ours, theirs = asdict(self.settings), asdict(known)
        other = [f"{name} {theirs[name]!r}, not {value!r}" for name, value in ours.items() if theirs[name] != value]
        if other:
            raise InputError(f"{path} is of a network with {', '.join(other)}: change pipeline.start, or the weights")
        return SpatialLearner(load_how(path))

    def is_new(self) -> bool:
        """Whether the weights are the backbone's alone, so that the reduction has to be learned."""
        return settings_of(self._path()) is None

    def _path(self) -> str:
        return weights_file(self.weights or WEIGHTS[self.backbone], "pipeline.start.weights")


@dataclass(frozen=True)
class SpatialData(TrainingPart):
    """Photos to learn from: walks, maps and the lists of retrieval-SfM-120k, in any number together."""

    photos: tuple = aside(())  # folders with places.txt: photos near each other show the same place
    models: tuple = aside(())  # COLMAP or NVM models, or maps of +pipeline=build_map: by common points
    model_photos: tuple = aside(())  # the folder of each model's photos
    sfm: str | None = aside(None)  # path of retrieval-SfM-120k.pkl
    sfm_photos: str | None = aside(None)  # its folder ims
    same_m: float = 6.0  # photos of a folder that near, turned away from each other
    same_deg: float = 35.0  # by less than this, show the same place;
    other_m: float = 25.0  # those farther away another one
    min_shared: float = 0.2  # share of the points, of the photo that sees fewer, that makes two of a model a pair
    queries: int = 5  # of a step, each with a positive
    negatives: int = 5  # of each query, at most one of a place
    pool: int = 20_000  # photos that they are mined from, drawn anew for each epoch
    edge_px: int = 1024  # longer side of the photos
    versions: int = 1  # of each photo: as it is, and in other lights
    night: float = 0.15  # share of the other lights that are at night
    reduction_photos: int = 5000  # that the reduction is learned from
    keep_maps: bool = aside(True)  # on disk, while the trunk is frozen
    maps: str | None = aside(None)  # folder of these; null: in the output

    def __post_init__(self):
        counts = ("queries", "negatives", "pool", "edge_px", "versions", "reduction_photos")
        ranges = {"night": (0, 1), "min_shared": (0, 1)} | dict.fromkeys(counts, (1, math.inf))
        names, positive = ("photos", "models", "model_photos"), ("same_m", "other_m", "min_shared")
        check_part(self, names=names, positive=positive, ranges=ranges)
        if len(self.models) != len(self.model_photos):
            raise InputError(
                f"pipeline.data.models names {len(self.models)} models, but pipeline.data.model_photos "
                f"{len(self.model_photos)} folders of photos: give one for each"
            )
        if (self.sfm is None) != (self.sfm_photos is None):
            raise InputError("pipeline.data.sfm and pipeline.data.sfm_photos go together: give both or neither")

    @functools.cached_property
    def joined(self) -> JoinedPhotos:
        """All photos; InputError if there are none, some are missing, or no two show the same place."""
        parts: list[Photos] = []
        if self.photos:
            parts.append(walk_photos(self.photos, self.same_m, self.same_deg, self.other_m))
        for model, photos in zip(self.models, self.model_photos, strict=True):
            parts.append(map_photos(model, photos, self.min_shared))
        if self.sfm is not None:
            parts.append(sfm_photos(self.sfm, self.sfm_photos))
        if not parts:
            raise InputError(
                "there is nothing to train on: give pipeline.data.photos=[FOLDER,...], pipeline.data.models with "
                "pipeline.data.model_photos, or pipeline.data.sfm with pipeline.data.sfm_photos"
            )
        found = JoinedPhotos(parts)
        if not len(found.pairs):
            raise InputError(
                "no two photos of pipeline.data show the same place: places.txt in a folder tells where its photos "
                f"were taken, and those within {self.same_m:g} m of each other make pairs"
            )
        return found

    def contents(self) -> dict[str, str]:
        """Number and digest of the photos, but for those of retrieval-SfM-120k, which are many; and the digest of
        which show the same."""
        listed = len(self.joined.parts[-1].paths) if self.sfm is not None else 0
        read = self.joined.paths[: len(self.joined.paths) - listed]
        photos = f"{len(self.joined.paths)}:{key_of([file_digest(path) for path in read])}"
        return {"photos": photos, "places": self.joined.digest()}

    def trunk_maps(self, learner: SpatialLearner, start: SpatialStart, machine: Machine, output: pathlib.Path):
        """The trunk's maps of the photos; kept below the output, or where `maps` says."""
        light = Light(self.edge_px, self.versions, self.night)
        decided = start.contents() | {"light": key_of(light), "precision": machine.precision}
        decided["photos"] = key_of([self.contents()["photos"], [path.name for path in self.joined.paths]])
        decided |= {name: str(vars(start)[name]) for name in ("backbone", "stage", "preprocessing")}
        folder = pathlib.Path(self.maps or output / "maps") if self.keep_maps else None
        return TrunkMaps(self.joined.paths, light, learner.trunk, machine, folder, decided)

    def batches(
        self, learner: SpatialLearner, maps: TrunkMaps, loop: SpatialLoop, output: pathlib.Path, progress: bool = False
    ) -> TupleBatches:
        """The batch by step; the tuples of each epoch are kept below the output."""
        how = {"queries": self.queries, "negatives": self.negatives, "pool": self.pool, "progress": progress}
        return TupleBatches(self.joined, maps, learner, loop, output / "tuples", **how)


@dataclass(frozen=True)
class SpatialValidation(TrainingPart):
    """Photos to validate on."""

    photos: tuple = aside()  # folders of other places, with places.txt: nothing is learned from them
    queries: str = "evening/"  # photos whose name starts so are asked for, the others are references
    near_m: float = 12.0  # a reference that near is right
    words: int = 1024  # of the codebook by which burstiness is told; 0: it is not
    strongest: int = 1000  # local features of a photo that it is told of

    def __post_init__(self):
        check_part(self, names=("photos",), positive=("near_m", "strongest"), ranges={"words": (0, math.inf)})

    @functools.cached_property
    def _places(self) -> PlacedPhotos:
        return read_places(list(self.photos))

    def contents(self) -> dict[str, str]:
        """Number and digest of the photos and their places."""
        return {"photos": self._places.digest()}

    def judge(self, learned: TrunkMaps) -> SpatialJudge:
        """What measures; learned: the training photos' maps. InputError if no query has a right reference."""
        recognition = Recognition(self._places, self.queries, self.near_m, learned.light.edge_px)
        maps = learned.of_others("validation", self._places.paths, self.contents())
        return SpatialJudge(recognition, maps, learned, words=self.words, strongest=self.strongest)
