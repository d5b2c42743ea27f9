"""Map once, query many, from Python: no configuration, no dataset adapter, no files but the map's own folder."""

import dataclasses
import functools
import io
import logging
import os
import pathlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import PIL.Image

from localize.features.base import LocalFeature
from localize.geometry.intrinsics import camera_doubts
from localize.index.base import FitsRows
from localize.io.exif import camera_of_photo, guessed_camera
from localize.io.files import whole_folder
from localize.io.images import read_photo
from localize.io.records import DAMAGED, trusted_by
from localize.pose.base import SolvesRigs
from localize.pose.priors import refuse_unhonoured
from localize.pose.refinement.base import SeenPoints
from localize.pose.refinement.rig import estimate_rig
from localize.retrieval.base import (
    GlobalDescriptor,
    PreparedRanking,
    RegionReranker,
    RerankedRanking,
    Reranker,
    StoredDescriptor,
)
from localize.retrieval.kept_regions import Kept
from localize.retrieval.ranking import rank
from localize.retrieval.restrictions import Restrictions
from localize.roles import ANSWERING, BUILT_INTO_MAPS, Components
from localize.saved_maps import PARTS, SOURCES, MapSources, SavedMap, write_map
from localize.stages import BuiltIndex, BuiltRanking, BuiltRerankers, global_vector, match_query
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
    Retrieval,
    StoreError,
    View,
)

log = logging.getLogger(__name__)

Picture = str | os.PathLike | BinaryIO | bytes | PIL.Image.Image | np.ndarray


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
    sources: MapSources | None = None  # where the references' photos lie; None of maps that do not know

    def __post_init__(self):
        check_answers(self.use)
        check_parts_fit(self)

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
        by_regions = any(isinstance(built, Kept) for built in self.ranking.rerankers)
        of_frames = self.use.search.uses_frames and (by_regions or self.use.retrieval.needs != "features")
        grey, size = self.use.feature.grey and not of_frames, (camera.width, camera.height)
        pixels = _pixels(_source(image), grey=grey, size=size)  # read once, in colours if one needs them
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
        prepared, look = self.ranking.rerankers, functools.partial(self._look, pixels)
        return rank(*asked, *by, prepared=prepared, query_features={"": features}, look=look).ranked[0]

    def _look(self, pixels: np.ndarray, reranker: Reranker, found: Retrieval) -> dict:
        """The regions that a re-ranker looks at: of the photo, found now, and of the references, which the map has."""
        if not isinstance(reranker, RegionReranker):
            return {}
        kept = self.ranking.rerankers[self.ranking.component.rerank.index(reranker)]
        query = reranker.find_regions(pixels, kept.learned, of_query=True)
        return {"query_regions": {"": query}, "reference_regions": kept}

    def save(self, folder: str | os.PathLike) -> None:
        """Write the map into a folder of its own, whole or not at all; an older map there is replaced."""
        final = pathlib.Path(folder).expanduser().absolute()
        if final.exists() and {p.name for p in final.iterdir()} - PARTS:
            raise InputError(f"folder {final} holds other files: choose an empty one for the map")
        records = {"rows": self.rows, "learned": self.learned, "references": self.references}
        if self.sources is not None:
            records[SOURCES] = self.sources
        for name, made in (("index", self.index), ("ranking", self.ranking)):
            if made is not None and made.built is not None:
                records[name] = made.built
        if any(built is not None for built in self.ranking.rerankers):
            records["rerankers"] = BuiltRerankers(self.ranking.rerankers)
        components = {role: getattr(self.use, role) for role in ANSWERING if role != "index" or self.index is not None}
        with whole_folder(final) as new:
            write_map(new, components, records, self.vectors)

    @classmethod
    def load(
        cls, folder: str | os.PathLike, *, verify: bool = False, classes: Collection[type] = (), **changed
    ) -> "Localizer":
        """The map in a folder; `changed` replaces search, matching, pose or refinement, as
        pose=PoseLib(max_error_px=4.0) does.

        It is memory-mapped: opening takes no time, and only what a query touches is read. Parts of less than 256 MB are
        compared with their checksums, all of them with `verify`, which reads everything; StoreError where a file is
        damaged. classes: your own components that the map was built with, as a folder may come from anywhere and is not
        to choose what is imported. InputError if it holds no map, or one that other versions of the components or their
        libraries made.
        """
        folder = pathlib.Path(folder).expanduser().absolute()
        saved = SavedMap(folder, verify, trusted_by([*classes, *map(type, changed.values())]))
        components = saved.components()
        fixed = sorted(changed.keys() - ANSWERING.keys() | changed.keys() & BUILT_INTO_MAPS)
        if fixed:
            raise InputError(f"{', '.join(fixed)} cannot be changed after the map is built; build another map")
        use = Components(**{**components, **changed})
        index = BuiltIndex(use.index, saved.part("index"), "") if "index" in components else None
        ranking = saved.part("ranking") if isinstance(use.ranking, PreparedRanking) else None
        rerankers = use.ranking.rerank if isinstance(use.ranking, RerankedRanking) else ()
        prepared = any(isinstance(reranker, PreparedRanking | RegionReranker) for reranker in rerankers)
        rerankers = saved.part("rerankers").built if prepared else ()
        parts = {name: saved.part(name) for name in ("references", "rows", "learned")}
        try:
            built = BuiltRanking(use.ranking, ranking, rerankers)
            parts["sources"] = saved.sources
            localizer = cls(use, **parts, index=index, ranking=built, vectors=saved.vectors())
        except InputError:
            raise
        except DAMAGED as e:
            raise StoreError(f"the map {folder} is damaged ({e}): build it again") from e
        if use.search.uses_leaves and localizer.index is None:
            raise InputError(f"the map {folder} has no index, as it was built with search=frames: build it again")
        return localizer


def check_parts_fit(parts: Localizer) -> None:
    """ValueError for parts that are not of one map: each may be sound by itself."""
    references, rows, vectors = parts.references, parts.rows, parts.vectors
    if not isinstance(references, ImageList) or not isinstance(rows, PointRows):
        raise ValueError(f"its parts are a {type(references).__name__} and a {type(rows).__name__}")
    if any(image.pose is None for image in references):
        raise ValueError("a reference has no pose")
    if len(rows.image_indptr) != len(references) + 1 or len(vectors) != len(references):
        raise ValueError(
            f"{len(references)} references, {len(rows.image_indptr) - 1} with rows, {len(vectors)} vectors"
        )
    if parts.sources is not None and parts.sources.names != references.names:
        raise ValueError("it knows the photos of other references")
    for built in parts.ranking.rerankers:
        if built is not None and len(built) != len(references):
            raise ValueError(f"{len(references)} references, but a re-ranker prepared for {len(built)}")
        if isinstance(built, Kept) and built.names != references.names:
            raise ValueError("a re-ranker has regions of other photos than the references")
    if parts.index is not None and isinstance(parts.index.built, FitsRows):
        parts.index.built.check_rows(rows)


def check_answers(use: Components) -> None:
    """InputError for components that know the photos of one scene only, by their names."""
    if isinstance(use.ranking, Restrictions) and use.ranking.prior:
        raise InputError("a file of prior positions speaks of no other photos: build the map without ranking.prior")
    if not isinstance(use.feature, LocalFeature):
        raise InputError("a file of features speaks of no other photos: a map that answers new ones needs feature=sift")
    if not isinstance(use.retrieval, GlobalDescriptor):
        what = "file of global descriptors" if isinstance(use.retrieval, StoredDescriptor) else "list of pairs"
        raise InputError(f"a {what} speaks of no other photos: a map that answers new ones needs retrieval=fusion")


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


def _pixels(image, *, grey: bool, size: tuple[int, int] | None = None) -> np.ndarray:
    """The pixels a feature wants, from a picture or from pixels."""
    if not isinstance(image, np.ndarray):
        return read_photo(image, grey=grey, size=size)
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3):
        raise InputError(f"pixels of shape {image.shape} {image.dtype}, but expected (H, W) or (H, W, 3) uint8")
    return np.ascontiguousarray(PIL.Image.fromarray(image).convert("L" if grey else "RGB"))
