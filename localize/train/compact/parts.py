"""The parts of a training of the compact descriptor: where it starts, its photos and teacher, and its validation."""

import functools
import pathlib
from dataclasses import dataclass

from localize.keys import file_digest, key_of
from localize.networks.compact import DIM
from localize.train.compact.batches import ViewBatches
from localize.train.compact.loss import Student
from localize.train.compact.places import PlacedPhotos, read_places
from localize.train.compact.recognition import Recognition
from localize.train.compact.teacher import Teacher
from localize.train.compact.views import Cut, make_views
from localize.train.loop.machine import Machine
from localize.train.loop.part import TrainingPart, aside, check_part
from localize.types import InputError
from localize.weights.compact import load_compact
from localize.weights.shipped import weights_file


@dataclass(frozen=True)
class CompactStart(TrainingPart):
    """The network as it is before the first step."""

    weights: str | None = aside(None)  # to go on from, shipped or a file; null: random ones
    freeze_trunk: bool = False  # only the head learns, as when a local head stands on the trunk already

    def __post_init__(self):
        check_part(self)

    def contents(self) -> dict[str, str]:
        """The digest of the weights' file."""
        return {"weights": "none" if self.weights is None else file_digest(self._path())}

    def module(self) -> Student:
        """The network with what is needed in training only."""
        known = None if self.weights is None else load_compact(self._path())
        return Student(known, freeze_trunk=self.freeze_trunk)

    def _path(self) -> str:
        return weights_file(self.weights, "pipeline.start.weights")


@dataclass(frozen=True)
class CompactData(TrainingPart):
    """Photos to learn from, which of them show the same place, and what a teacher sees in views of them."""

    photos: tuple = aside()  # folders; places.txt in one says where its photos were taken
    teacher: str = aside("resnet50v2")  # ImageNet's ResNet-50 v2 under GluonCV's names: by name, or a path
    spread: float = 0.75  # of the teacher's vectors: 0 as they are, 1 whitened
    versions: int = 12  # views of each photo, the odd ones mirrored
    same_m: float = 6.0  # photos that near, turned away from each other
    same_deg: float = 35.0  # by less than this, show the same place;
    other_m: float = 25.0  # those farther away another one
    batch_size: int = 24
    shrink: float = 0.7  # of the views, so that the student sees in 448 px what the teacher saw in 640
    change: float = 0.6  # share of the views that get other light,
    night: float = 0.15  # and of those at night

    def __post_init__(self):
        ranges = dict.fromkeys(("spread", "shrink", "change", "night"), (0, 1))
        check_part(self, names=("photos",), ranges=ranges, positive=("versions", "shrink", "same_m", "other_m"))
        if self.batch_size < 4 or self.batch_size % 2:
            raise InputError(f"CompactData.batch_size is {self.batch_size!r}, but must be an even number of at least 4")

    @functools.cached_property
    def _places(self) -> PlacedPhotos:
        return read_places(list(self.photos))

    def contents(self) -> dict[str, str]:
        """Number and digest of the photos and their places, and the digest of the teacher's weights."""
        return {"photos": self._places.digest(), "teacher": file_digest(self._teacher())}

    def batches(self, seed: int, folder: pathlib.Path, machine: Machine, *, progress: bool = False) -> ViewBatches:
        """The batch by step; the views and what the teacher sees in them are kept in the folder."""
        cut = Cut(self.versions, seed=seed)
        decided = self.contents() | {"precision": machine.precision, "cut": key_of(cut)}
        teacher = functools.partial(Teacher, self._teacher())
        views = make_views(folder, self._places, cut, teacher, machine, DIM, self.spread, decided, progress)
        relations = self._places.relations(self.same_m, self.same_deg, self.other_m)
        how = {"shrink": self.shrink, "change": self.change, "night": self.night}
        return ViewBatches(views, relations, self.batch_size, seed=seed, **how)

    def _teacher(self) -> str:
        return weights_file(self.teacher, "pipeline.data.teacher")


@dataclass(frozen=True)
class CompactValidation(TrainingPart):
    """Photos to validate on."""

    photos: tuple = aside()  # folders of other places, with places.txt: nothing is learned from them
    queries: str = "evening/"  # photos whose name starts so are asked for, the others are references
    near_m: float = 12.0  # a reference that near is right
    edge_px: int = 256  # longer side of the photos

    def __post_init__(self):
        check_part(self, names=("photos",), positive=("near_m", "edge_px"))

    @functools.cached_property
    def _places(self) -> PlacedPhotos:
        return read_places(list(self.photos))

    def contents(self) -> dict[str, str]:
        """Number and digest of the photos and their places."""
        return {"photos": self._places.digest()}

    def judge(self) -> Recognition:
        """What measures recall; InputError if the photos hold no query that has a right reference."""
        return Recognition(self._places, self.queries, self.near_m, self.edge_px)


def check_apart(data: CompactData, validation: CompactValidation) -> None:
    """InputError for a folder to learn from that is one to validate on, too."""
    used = {pathlib.Path(folder).resolve() for folder in data.photos}
    both = ", ".join(folder for folder in validation.photos if pathlib.Path(folder).resolve() in used)
    if both:
        raise InputError(f"{both}: in pipeline.data.photos and in pipeline.validation.photos; validate on other places")
