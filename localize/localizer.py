"""Map once, query many, from Python: no configuration, no dataset adapter, no files but the map's own folder."""

import json
import os
import pathlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import PIL.Image

from localize.components import suited
from localize.features.base import LocalFeature
from localize.io.files import whole_folder
from localize.io.images import read_photo
from localize.io.records import load_record, record_from_json, record_to_json, save_array, save_record
from localize.keys import describe
from localize.retrieval.base import GlobalDescriptor, PreparedRanking, StoredDescriptor
from localize.retrieval.ranking import rank
from localize.retrieval.restrictions import Restrictions
from localize.roles import ROLES
from localize.stages import BuiltIndex, BuiltRanking, global_vector, match_query
from localize.types import (
    Camera,
    Features,
    Image,
    ImageList,
    InputError,
    Matches2D3D,
    PointRows,
    PoseEstimate,
)

FORMAT = 3  # of the folder; raise it when old folders can no longer be read
PARTS = {"rows", "learned", "references", "index", "ranking", "vectors.npy", "localizer.json"}


@dataclass(frozen=True, eq=False)
class Localizer:
    """A map and the components that answer a query; everything is in memory or memory-mapped."""

    feature: Any
    retrieval: Any
    ranking: BuiltRanking
    search: Any
    matching: Any
    pose: Any
    references: ImageList
    rows: PointRows
    index: BuiltIndex | None
    learned: Any  # by the global descriptor
    vectors: np.ndarray  # (I, D) float32 or float16, global descriptors of the references

    def __post_init__(self):
        check_answers(self.feature, self.retrieval, self.ranking and self.ranking.component)

    def localize(self, image: str | os.PathLike | np.ndarray, camera: Camera) -> PoseEstimate:
        """Pose of one photo: a path, or pixels (H, W) or (H, W, 3) uint8 RGB.

        PoseEstimate.pose is None, and .reason says why, if it cannot be localized. InputError if the photo cannot be
        read or its size is not the camera's.
        """
        return self.pose.estimate(self.match(image, camera), camera)

    def match(self, image: str | os.PathLike | np.ndarray, camera: Camera) -> Matches2D3D:
        """The 2D-3D matches behind the pose."""
        photo = _pixels(image, grey=self.feature.grey)
        if photo.shape[1::-1] != (camera.width, camera.height):
            size = f"{photo.shape[1]} x {photo.shape[0]}"
            raise InputError(f"the photo is {size} px, but its camera is for {camera.width} x {camera.height} px")
        features = self.feature.extract(photo)
        frames = self._frames(image, features, camera) if self.search.uses_frames else None
        return match_query(features, self.rows, self.index, frames, self.search, self.matching)

    def _frames(self, image, features: Features, camera: Camera) -> np.ndarray:
        pixels = _pixels(image, grey=False) if self.retrieval.needs in ("pixels", "both") else None
        vector = global_vector(self.retrieval, self.learned, features, pixels)
        query = ImageList((Image("", camera),))
        asked = (query, vector[None], self.references, self.vectors, self.search.num_frames)
        by = (self.ranking.component, self.ranking.built)
        return rank(*asked, *by, query_features={"": features}).ranked[0]

    def save(self, folder: str | os.PathLike) -> None:
        """Write the map into a folder of its own, whole or not at all; an older map there is replaced."""
        final = pathlib.Path(folder).expanduser().absolute()
        if final.exists() and {p.name for p in final.iterdir()} - PARTS:
            raise InputError(f"folder {final} holds other files: choose an empty one for the map")
        with whole_folder(final) as new:
            self._write(new)

    def _write(self, folder: pathlib.Path) -> None:
        save_record(folder / "rows", self.rows)
        save_record(folder / "learned", self.learned)
        save_record(folder / "references", self.references)
        save_array(folder / "vectors.npy", self.vectors)
        components = {}
        for role in (role for role in ROLES if role in vars(self)):
            part = getattr(self, role)
            if isinstance(part, BuiltIndex | BuiltRanking):
                if part.built is not None:
                    save_record(folder / role, part.built)
                part = part.component
            if part is not None:
                components[role] = part
        text = {
            "format": FORMAT,
            "components": {n: record_to_json(c) for n, c in components.items()},
            "made_by": {n: describe(c) for n, c in components.items()},
        }
        (folder / "localizer.json").write_text(json.dumps(text, indent=1))

    @classmethod
    def load(cls, folder: str | os.PathLike, *, verify: bool = False, **changed) -> "Localizer":
        """The map in a folder; `changed` replaces search, matching or pose, e.g. pose=PoseLib(max_error_px=4.0).

        It is memory-mapped: opening takes no time, and only what a query touches is read. verify: read everything once
        and compare checksums; StoreError where a file is damaged. InputError if it holds no map, or one that other
        versions of the components or their libraries made.
        """
        folder = pathlib.Path(folder).expanduser().absolute()
        head = folder / "localizer.json"
        if not head.is_file():
            raise InputError(f"{folder} holds no map: build one with localize.build_map or +pipeline=build_map")
        text = json.loads(head.read_text())
        if text["format"] != FORMAT:
            raise InputError(f"the map {folder} was written by another version of localize: build it again")
        components = {n: record_from_json(c) for n, c in text["components"].items()}
        for name, component in components.items():
            if describe(component) != text["made_by"][name]:
                kind = type(component).__name__
                raise InputError(
                    f"the map {folder} was built with another version of {kind}, its libraries or files: build it again"
                )
        unfit = set(changed) - {"search", "matching", "pose"}
        if unfit:
            raise InputError(f"{', '.join(sorted(unfit))} cannot be changed after the map is built; build another map")
        changed = {name: suited(component, components["feature"]) for name, component in changed.items()}
        index, ranking = components.pop("index", None), components.pop("ranking")
        searched = load_record(folder / "ranking", verify=verify) if isinstance(ranking, PreparedRanking) else None
        localizer = cls(
            **{**components, **changed},
            references=load_record(folder / "references", verify=verify),
            rows=load_record(folder / "rows", verify=verify),
            index=BuiltIndex(index, load_record(folder / "index", verify=verify), "") if index else None,
            ranking=BuiltRanking(ranking, searched),
            learned=load_record(folder / "learned", verify=verify),
            vectors=np.load(folder / "vectors.npy", mmap_mode="r"),
        )
        if localizer.search.uses_leaves and localizer.index is None:
            raise InputError(f"the map {folder} has no index, as it was built with search=frames: build it again")
        return localizer


def check_answers(feature, retrieval, ranking) -> None:
    """InputError for components that know the photos of one scene only, by their names."""
    if isinstance(ranking, Restrictions) and ranking.prior:
        raise InputError("a file of prior positions speaks of no other photos: build the map without ranking.prior")
    if not isinstance(feature, LocalFeature):
        raise InputError("a file of features speaks of no other photos: a map that answers new ones needs feature=sift")
    if not isinstance(retrieval, GlobalDescriptor):
        what = "file of global descriptors" if isinstance(retrieval, StoredDescriptor) else "list of pairs"
        raise InputError(f"a {what} speaks of no other photos: a map that answers new ones needs retrieval=compact")


def _pixels(image, *, grey: bool) -> np.ndarray:
    """The pixels a feature wants, from a path or from pixels."""
    if not isinstance(image, np.ndarray):
        return read_photo(image, grey=grey)
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3):
        raise InputError(f"pixels of shape {image.shape} {image.dtype}, but expected (H, W) or (H, W, 3) uint8")
    return np.ascontiguousarray(PIL.Image.fromarray(image).convert("L" if grey else "RGB"))
