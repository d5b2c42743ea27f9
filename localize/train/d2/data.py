"""What D2 is trained on and judged by, as a user gives it: photos, towns, MegaDepth; sequences of HPatches."""

import functools
import math
import pathlib
from dataclasses import dataclass

from torch import nn

from localize.io.benchmarks.megadepth import read_scene_info
from localize.keys import file_digest, key_of
from localize.train.d2.accuracy import MatchingAccuracy
from localize.train.d2.batches import D2Batches, PairSource
from localize.train.d2.depth import DepthPairs, megadepth_scene, town_scene
from localize.train.d2.photos import WarpedPhotos
from localize.train.loop.part import TrainingPart, aside, check_part
from localize.train.photos.folders import listed
from localize.types import InputError


@dataclass(frozen=True)
class D2Data(TrainingPart):
    """Pairs of crops from up to three kinds of sources: single photos, rendered towns, MegaDepth."""

    photos: tuple = aside(())  # folders of photos, with all below them: pairs by homographies and changes of light
    towns: tuple = aside(())  # folders of rendered towns: pairs by depth
    megadepth: str | None = aside(None)  # folder with scene_info/*.npz: pairs by depth
    scenes: tuple = ()  # of MegaDepth
    shares: tuple = ()  # how often each source is drawn (photos, each town, MegaDepth), in any unit; (): equally
    pairs_per_step: int = 2
    size: int = 192  # px, side of a crop
    min_matches: int = 128  # corresponding cells; other pairs are not used
    max_matches: int | None = 768  # of more, so many are taken at random; None: all
    min_overlap: float = 0.3  # share of a photo that the other one of a pair shows
    depth_tolerance: float = 0.02  # between depths of one point, in the model's unit
    relative_depth: bool = True  # the tolerance is a share of the depth
    augment: float = 0.3  # share of the pairs by depth whose second crop is shown in other light
    night_share: float = 0.4  # of the pairs by homographies: second crops shown at night

    def __post_init__(self):
        ranges = dict.fromkeys(("min_overlap", "augment", "night_share"), (0, 1))
        ranges |= {"pairs_per_step": (1, math.inf), "min_matches": (1, math.inf)}
        check_part(self, names=("photos", "towns", "scenes"), ranges=ranges, positive=("depth_tolerance",))
        if self.size < 32 or self.size % 8:
            raise InputError(f"D2Data.size is {self.size!r}, but must be a multiple of 8, at least 32")

    def contents(self) -> dict[str, str]:
        """Numbers and digests of the photos, and of the towns' photos, depth maps and poses; of MegaDepth, whose maps
        are many, only of the scene files."""
        photos = [photo for source in self._towns for scene in source.scenes for photo in scene.photos]
        told = [pathlib.Path(town) / name for town in self.towns for name in ("cameras.txt", "poses.txt")]
        files = {"photos": self._photos, "scenes": self._scene_files}
        files["towns"] = [*told, *(file for photo in photos for file in (photo.photo, photo.depth))]
        return {name: f"{len(paths)}:{key_of([file_digest(p) for p in paths])}" for name, paths in files.items()}

    def batches(self, network: nn.Module, seed: int) -> D2Batches:
        """The batch by step, for the network's cells; InputError if there is nothing to learn from."""
        sources = self._sources()
        if not sources:
            raise InputError(
                "there is nothing to train on: give pipeline.data.photos=[FOLDER,...], pipeline.data.towns=[FOLDER,...]"
                " or pipeline.data.megadepth with pipeline.data.scenes"
            )
        shares = self.shares or (1.0,) * len(sources)
        if len(shares) != len(sources) or not all(isinstance(s, int | float) and s > 0 for s in shares):
            raise InputError(f"pipeline.data.shares is {shares!r}, but must be {len(sources)} numbers greater than 0")
        limits = {"min_matches": self.min_matches, "max_matches": self.max_matches}
        return D2Batches(sources, shares, network, pairs_per_step=self.pairs_per_step, seed=seed, **limits)

    def _sources(self) -> list[PairSource]:
        photos = tuple(map(str, self._photos))
        found = [WarpedPhotos(photos, self.size, night_share=self.night_share)] if photos else []
        found += self._towns
        if self._scene_files:
            base = pathlib.Path(self.megadepth)
            scenes = [megadepth_scene(read_scene_info(f), base, self.min_overlap) for f in self._scene_files]
            found.append(self._pairs(*scenes))
        return found

    @functools.cached_property
    def _photos(self) -> list[pathlib.Path]:
        """InputError for a folder without any."""
        return [folder / name for folder, name in listed(self.photos, "pipeline.data.photos")]

    @functools.cached_property
    def _towns(self) -> list[DepthPairs]:
        scenes = (town_scene(pathlib.Path(town), self.min_overlap, self.depth_tolerance) for town in self.towns)
        return [self._pairs(scene) for scene in scenes]

    @property
    def _scene_files(self) -> list[pathlib.Path]:
        folder = pathlib.Path(self.megadepth or "") / "scene_info"
        return [folder / f"{scene}.npz" for scene in self.scenes] if self.megadepth is not None else []

    def _pairs(self, *scenes) -> DepthPairs:
        how = {"tolerance": self.depth_tolerance, "relative": self.relative_depth, "augment": self.augment}
        return DepthPairs(scenes, self.size, **how)


@dataclass(frozen=True)
class D2Validation(TrainingPart):
    """Sequences to validate on."""

    sequences: tuple = aside()  # folders of HPatches (photos 1 to 6, H_1_2 to H_1_6), of which nothing is learned
    edge_px: int = 480  # photos are shrunk to this longer side
    max_keypoints: int = 1000  # of the highest scores, of each photo

    def __post_init__(self):
        check_part(self, names=("sequences",), positive=("edge_px", "max_keypoints"))

    def contents(self) -> dict[str, str]:
        """Number and digest of the sequences' files."""
        files = [p for folder in self.sequences for p in sorted(pathlib.Path(folder).glob("*")) if p.is_file()]
        return {"sequences": f"{len(files)}:{key_of([file_digest(p) for p in files])}"}

    def judge(self) -> MatchingAccuracy:
        """What measures matching accuracy; InputError if a folder is no sequence."""
        return MatchingAccuracy(self.sequences, edge_px=self.edge_px, max_keypoints=self.max_keypoints)
