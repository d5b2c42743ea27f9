"""Map once, query many, from Python: no configuration, no dataset adapter, no files but the map's own folder."""

import dataclasses
import functools
import io
import json
import logging
import os
import pathlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import PIL.Image

from localize.features.base import LocalFeature
from localize.geometry.intrinsics import camera_doubts
from localize.io.exif import camera_of_photo, guessed_camera
from localize.io.files import whole_folder
from localize.io.images import read_photo
from localize.io.records import load_record, record_from_json, record_to_json, save_array, save_record
from localize.keys import describe
from localize.pose.base import SolvesRigs
from localize.pose.priors import refuse_unhonoured
from localize.pose.refinement.base import SeenPoints
from localize.pose.refinement.rig import estimate_rig
from localize.retrieval.base import GlobalDescriptor, PreparedRanking, StoredDescriptor
from localize.retrieval.ranking import rank
from localize.retrieval.restrictions import Restrictions
from localize.roles import ANSWERING, BUILT_INTO_MAPS, Components
from localize.stages import BuiltIndex, BuiltRanking, global_vector, match_query
from localize.types import (
    Camera,
    Features,
    Image,
    ImageList,
    InputError,
    Matches2D3D,
    PointRows,
    Pose,
    PoseEstimate,
    Prior,
    StoreError,
    View,
)

log = logging.getLogger(__name__)

FORMAT = 3  # of the folder; raise it when old folders can no longer be read
Picture = str | os.PathLike | BinaryIO | bytes | PIL.Image.Image | np.ndarray
PARTS = {"rows", "learned", "references", "index", "ranking", "vectors.npy", "localizer.json"}


@dataclass(frozen=True, eq=False)
class Localizer:
    """A map and the components that answer a query; everything is in memory or memory-mapped."""

    use: Components  # of these the roles in ANSWERING
    references: ImageList
    rows: PointRows
    index: BuiltIndex | None
    ranking: BuiltRanking
    learned: Any  # by the global descriptor
    vectors: np.ndarray  # (I, D) float32 or float16, global descriptors of the references

    def __post_init__(self):
        check_answers(self.use)

    @functools.cached_property
    def _seen(self) -> SeenPoints:
        return SeenPoints(self.references, self.rows)

    def localize(self, image: Picture, camera: Camera | None = None, *, prior: Prior | None = None) -> PoseEstimate:
        """Pose of one photo: a path, a file open for reading bytes, its bytes, a picture of Pillow, or pixels (H, W) or
        (H, W, 3) uint8 RGB.

        camera: None: its focal length is guessed from the photo's EXIF or unknown, and estimated with the pose.
        prior: what is known of its pose or of its camera. PoseEstimate.pose is None, and .reason says why, if it cannot
        be localized. InputError if the photo cannot be read or its size is not the camera's, or if the pose solver
        makes no use of a part of the prior.
        """
        image = _source(image)
        if camera is None:
            camera, guess = _camera(image)
            prior = guess if prior is None else dataclasses.replace(prior, focal=guess.focal)
        refuse_unhonoured(self.use.pose, [Image("", camera, prior=prior)])
        return self.use.refinement.estimate(self._view(image, camera, prior), self._seen, self.use.pose)

    def localize_rig(
        self,
        images: Sequence[Picture],
        cameras: Sequence[Camera],
        cam_from_rig: Sequence[Pose],
        *,
        priors: Sequence[Prior | None] | None = None,
    ) -> list[PoseEstimate]:
        """Poses of photos that were taken at one moment by cameras whose relative poses are known.

        cam_from_rig: of each photo, in the unit of the map and any common frame, such as that of one of the cameras.
        For a sequence these are poses by odometry. What is weak in one photo is found by the matches of all.
        """
        if not len(images) == len(cameras) == len(cam_from_rig) == len(images if priors is None else priors):
            raise InputError(
                f"{len(images)} photos, {len(cameras)} cameras and {len(cam_from_rig)} relative poses: give one each"
            )
        if not isinstance(self.use.pose, SolvesRigs):
            raise InputError(f"{type(self.use.pose).__name__} solves for one photo at a time: take pose=PoseLib()")
        known = [None] * len(images) if priors is None else priors
        views = [self._view(*of_photo) for of_photo in zip(images, cameras, known, strict=True)]
        if len(views) == 1:
            return [self.use.refinement.estimate(views[0], self._seen, self.use.pose)]
        return estimate_rig(views, list(cam_from_rig), self._seen, self.use.pose, self.use.refinement)

    def match(self, image: Picture, camera: Camera) -> Matches2D3D:
        """The 2D-3D matches behind the pose."""
        return self._view(image, camera, None).matches

    def _view(self, image, camera: Camera, prior: Prior | None) -> View:
        of_frames = self.use.search.uses_frames and self.use.retrieval.needs != "features"
        grey = self.use.feature.grey and not of_frames
        pixels = _pixels(_source(image), grey=grey)  # read once, in colours if one needs them
        photo = _pixels(pixels, grey=True) if self.use.feature.grey else pixels
        if photo.shape[1::-1] != (camera.width, camera.height):
            size = f"{photo.shape[1]} x {photo.shape[0]}"
            raise InputError(f"the photo is {size} px, but its camera is for {camera.width} x {camera.height} px")
        refuse_camera(camera)
        features = self.use.feature.extract(photo)
        query = Image("", camera, prior=prior)
        frames = self._frames(pixels, features, query) if self.use.search.uses_frames else None
        matches = match_query(features, self.rows, self.index, frames, self.use)
        return View(features, matches, camera, prior)

    def _frames(self, pixels: np.ndarray, features: Features, query: Image) -> np.ndarray:
        retrieval = self.use.retrieval
        vector = global_vector(retrieval, self.learned, features, None if retrieval.needs == "features" else pixels)
        asked = ImageList((query,)), vector[None], self.references, self.vectors, self.use.search.num_frames
        by = self.ranking.component, self.ranking.built
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
        for name, made in (("index", self.index), ("ranking", self.ranking)):
            if made is not None and made.built is not None:
                save_record(folder / name, made.built)
        components = {role: getattr(self.use, role) for role in ANSWERING if role != "index" or self.index is not None}
        text = {
            "format": FORMAT,
            "components": {n: record_to_json(c) for n, c in components.items()},
            "made_by": {n: describe(c) for n, c in components.items()},
        }
        (folder / "localizer.json").write_text(json.dumps(text, indent=1))

    @classmethod
    def load(cls, folder: str | os.PathLike, *, verify: bool = False, **changed) -> "Localizer":
        """The map in a folder; `changed` replaces search, matching, pose or refinement, as
        pose=PoseLib(max_error_px=4.0) does.

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
        try:
            components = {n: record_from_json(c) for n, c in text["components"].items()}
        except StoreError as e:
            raise InputError(f"the map {folder} was built with other components, {e}: build it again") from e
        for name, component in components.items():
            if name in BUILT_INTO_MAPS and describe(component) != text["made_by"][name]:
                kind = type(component).__name__
                raise InputError(
                    f"the map {folder} was built with another version of {kind}, its libraries or files: build it again"
                )
        fixed = sorted(changed.keys() - ANSWERING.keys() | changed.keys() & BUILT_INTO_MAPS)
        if fixed:
            raise InputError(f"{', '.join(fixed)} cannot be changed after the map is built; build another map")
        use = Components(**{**components, **changed})
        parts = {name: load_record(folder / name, verify=verify) for name in ("references", "rows", "learned")}
        index = load_record(folder / "index", verify=verify) if "index" in components else None
        prepared = isinstance(use.ranking, PreparedRanking)
        localizer = cls(
            use,
            **parts,
            index=None if index is None else BuiltIndex(use.index, index, ""),
            ranking=BuiltRanking(use.ranking, load_record(folder / "ranking", verify=verify) if prepared else None),
            vectors=np.load(folder / "vectors.npy", mmap_mode="r"),
        )
        if use.search.uses_leaves and localizer.index is None:
            raise InputError(f"the map {folder} has no index, as it was built with search=frames: build it again")
        return localizer


def check_answers(use: Components) -> None:
    """InputError for components that know the photos of one scene only, by their names."""
    if isinstance(use.ranking, Restrictions) and use.ranking.prior:
        raise InputError("a file of prior positions speaks of no other photos: build the map without ranking.prior")
    if not isinstance(use.feature, LocalFeature):
        raise InputError("a file of features speaks of no other photos: a map that answers new ones needs feature=sift")
    if not isinstance(use.retrieval, GlobalDescriptor):
        what = "file of global descriptors" if isinstance(use.retrieval, StoredDescriptor) else "list of pairs"
        raise InputError(f"a {what} speaks of no other photos: a map that answers new ones needs retrieval=compact")


def _source(image):
    """The picture as what can be read more than once; InputError for what is none."""
    if isinstance(image, bytes | bytearray | memoryview):
        return io.BytesIO(image)
    if callable(getattr(image, "read", None)) and not isinstance(image, io.TextIOBase):
        return image if getattr(image, "seekable", bool)() else io.BytesIO(image.read())
    if isinstance(image, str | os.PathLike | np.ndarray | PIL.Image.Image):
        return image
    kind = type(image).__name__
    raise InputError(f"a photo cannot be a {kind}: give a path, a file open for bytes, its bytes, a picture or pixels")


def _camera(image) -> tuple[Camera, Prior]:
    """A camera for a photo without one."""
    if isinstance(image, np.ndarray):
        return guessed_camera(*image.shape[1::-1])
    return camera_of_photo(image)


def refuse_camera(camera: Camera) -> None:
    """InputError for intrinsics that cannot be right; unlikely ones are said once."""
    impossible, unlikely = camera_doubts(camera)
    if impossible:
        raise InputError(f"the camera cannot be used: {impossible}")
    if unlikely:
        _say_once(f"the camera is used as it is, but {unlikely}")


@functools.cache
def _say_once(sentence: str) -> None:
    log.warning("%s", sentence)


def _pixels(image, *, grey: bool) -> np.ndarray:
    """The pixels a feature wants, from a picture or from pixels."""
    if not isinstance(image, np.ndarray):
        return read_photo(image, grey=grey)
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3):
        raise InputError(f"pixels of shape {image.shape} {image.dtype}, but expected (H, W) or (H, W, 3) uint8")
    return np.ascontiguousarray(PIL.Image.fromarray(image).convert("L" if grey else "RGB"))
