"""The parts of a training of a dense CRBNet, as a user gives them: where it starts, its data, what it is judged by."""

import functools
import math
import pathlib
from dataclasses import dataclass

from localize.keys import file_digest, key_of
from localize.networks.dense_crbnet import DenseCrbnet
from localize.train.d2.depth import DepthScene, town_scene
from localize.train.dense.accuracy import DenseAccuracy
from localize.train.dense.batches import DenseBatches
from localize.train.dense.loss import DenseTraining
from localize.train.dense.models import ModelPairs
from localize.train.dense.photos import HomographyPairs
from localize.train.dense.teacher import Teacher
from localize.train.dense.towns import TownPairs
from localize.train.dense.walks import WalkPairs
from localize.train.loop.part import TrainingPart, aside, check_part
from localize.train.photos.folders import listed
from localize.types import InputError
from localize.weights.dense_crbnet import load_dense
from localize.weights.shipped import weights_file

MIN_OVERLAP = 0.3  # share of a town's photo that the other one of a pair shows
TOLERANCE = 0.02  # between depths of one point, as a share


@dataclass(frozen=True)
class DenseStart(TrainingPart):
    """The network as it is before the first step."""

    weights: str | None = aside(None)  # shipped or a file, to go on from; null: random ones

    def contents(self) -> dict[str, str]:
        """The digest of the weights' file."""
        return {"weights": "none" if self.weights is None else file_digest(self._path())}

    def module(self, taught_dim: int) -> DenseTraining:
        """What learns; InputError if the weights are of another network."""
        network = DenseCrbnet() if self.weights is None else load_dense(self._path()).train()
        return DenseTraining(network, taught_dim)

    def _path(self) -> str:
        return weights_file(self.weights, "pipeline.start.weights")


@dataclass(frozen=True)
class DenseData(TrainingPart):
    """Pairs of crops of single photos, through homographies and in other light, and of the photos of 3D models."""

    photos: tuple = aside(())  # folders of photos, with all below them
    walks: tuple = ()  # folders below those of `photos` that hold a walk in order; one name in two of them: one place
    towns: tuple = aside(())  # folders of rendered towns with depth: pairs by depth
    models: tuple = aside(())  # folders of COLMAP models, or NVM files, whose tracks tell what corresponds
    model_photos: tuple = aside(())  # the folder of each model's photos
    shares: tuple = ()  # how often each source is drawn (photos, walks, each town, each model); (): equally
    pairs_per_step: int = 6
    size: int = 256  # px, side of a crop
    points: int = 96  # corresponding places of a pair at most
    min_points: int = 24  # pairs with fewer are not used
    max_size_px: int = 1024  # photos of single pairs are shrunk to this longer side
    night_share: float = 0.4  # of the second crops
    augment: float = 0.5  # share of the second crops of walks, towns and models that get other light

    def __post_init__(self):
        ranges = dict.fromkeys(("night_share", "augment"), (0, 1))
        ranges |= dict.fromkeys(("pairs_per_step", "min_points", "max_size_px"), (1, math.inf))
        check_part(self, names=("photos", "walks", "towns", "models", "model_photos"), ranges=ranges)
        if self.points < self.min_points:
            raise InputError(f"DenseData.points is {self.points}, but must be at least min_points, {self.min_points}")
        if self.size < 64 or self.size % 32:
            raise InputError(f"DenseData.size is {self.size!r}, but must be a multiple of 32, at least 64")
        if len(self.models) != len(self.model_photos):
            raise InputError(
                f"pipeline.data.models names {len(self.models)} models, but pipeline.data.model_photos "
                f"{len(self.model_photos)} folders of photos: give one for each"
            )

    @functools.cached_property
    def single_photos(self) -> list[tuple[pathlib.Path, str]]:
        """(folder, name) of each photo that is taught."""
        return listed(self.photos, "pipeline.data.photos")

    @functools.cached_property
    def _walks(self) -> tuple[tuple, ...]:
        """Of each walk, (folder, name) of its photos; InputError for one that has fewer than two."""
        found = []
        for walk in self.walks:
            start = f"{walk.strip('/')}/"
            found.append(tuple(photo for photo in self.single_photos if photo[1].startswith(start)))
            if len(found[-1]) < 2:
                raise InputError(
                    f"pipeline.data.walks names {walk!r}, but no folder of that name below pipeline.data.photos holds "
                    "two photos: name one that does"
                )
        return tuple(found)

    @functools.cached_property
    def _towns(self) -> list[DepthScene]:
        return [town_scene(pathlib.Path(town), MIN_OVERLAP, TOLERANCE) for town in self.towns]

    def contents(self) -> dict[str, str]:
        """Numbers and digests of the photos, the towns and the models."""
        models = [p for m in map(pathlib.Path, self.models) for p in (sorted(m.iterdir()) if m.is_dir() else [m])]
        rendered = [file for town in self._towns for photo in town.photos for file in (photo.photo, photo.depth)]
        told = [pathlib.Path(town) / name for town in self.towns for name in ("cameras.txt", "poses.txt")]
        files = {"photos": [folder / name for folder, name in self.single_photos], "models": models}
        files["towns"] = [*told, *rendered]
        seen = listed(self.model_photos, "pipeline.data.model_photos")
        files["model_photos"] = [folder / name for folder, name in seen]
        return {name: f"{len(paths)}:{key_of([file_digest(p) for p in paths])}" for name, paths in files.items()}

    def batches(self, teacher: Teacher, seed: int) -> DenseBatches:
        """The batch by step; InputError if there is nothing to learn from."""
        cut = {"size": self.size, "points": self.points, "night_share": self.night_share}
        sources = []
        if self.single_photos:
            sources.append(HomographyPairs(tuple(self.single_photos), teacher, max_size_px=self.max_size_px, **cut))
        if self._walks:
            walked = {**cut, "night_share": 0.2, "augment": self.augment}
            sources.append(WalkPairs(self._walks, teacher, max_size_px=self.max_size_px, **walked))
        for town in self._towns:
            sources.append(TownPairs(town, self.size, self.points, TOLERANCE, self.augment))
        for model, photos in zip(self.models, self.model_photos, strict=True):
            sources.append(ModelPairs(model, photos, augment=self.augment, **cut))
        if not sources:
            raise InputError(
                "there is nothing to train on: give pipeline.data.photos=[FOLDER,...], pipeline.data.towns, or "
                "pipeline.data.models with pipeline.data.model_photos"
            )
        shares = self.shares or (1.0,) * len(sources)
        if len(shares) != len(sources) or not all(isinstance(s, int | float) and s > 0 for s in shares):
            raise InputError(f"pipeline.data.shares is {shares!r}, but must be {len(sources)} numbers greater than 0")
        how = {"pairs_per_step": self.pairs_per_step, "min_points": self.min_points, "seed": seed}
        return DenseBatches(sources, shares, teacher.dim, **how)


@dataclass(frozen=True)
class DenseValidation(TrainingPart):
    """What the network is judged by: photos of other places, of which nothing is learned."""

    sequences: tuple = aside(())  # folders of HPatches (photos 1 to 6, H_1_2 to H_1_6)
    photos: tuple = aside(())  # folders of single photos, which are warped by homographies
    edge_px: int = 480  # photos are shrunk to this longer side
    max_keypoints: int = 1000  # of the highest scores, of each photo

    def __post_init__(self):
        check_part(self, names=("sequences", "photos"), positive=("edge_px", "max_keypoints"))

    def contents(self) -> dict[str, str]:
        """Numbers and digests of the photos and homographies."""
        files = [p for folder in self.sequences for p in sorted(pathlib.Path(folder).glob("*")) if p.is_file()]
        found = {"sequences": files, "photos": self._photos}
        return {name: f"{len(paths)}:{key_of([file_digest(p) for p in paths])}" for name, paths in found.items()}

    @functools.cached_property
    def _photos(self) -> list[pathlib.Path]:
        return [folder / name for folder, name in listed(self.photos, "pipeline.validation.photos")]

    def judge(self) -> DenseAccuracy:
        """What measures matching accuracy; InputError if a folder is no sequence, or nothing was given."""
        if not self.sequences and not self.photos:
            raise InputError(
                "there is nothing to validate on: give pipeline.validation.photos=[FOLDER], photos of another place, "
                "or pipeline.validation.sequences, sequences of HPatches"
            )
        return DenseAccuracy(self.sequences, self._photos, edge_px=self.edge_px, max_keypoints=self.max_keypoints)
