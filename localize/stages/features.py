"""Local features of photos: found in the pixels, described at given keypoints, or read from a file by name."""

import logging
import pathlib
from dataclasses import dataclass

import numpy as np

from localize.components import files_of
from localize.features.base import LocalFeature, StoredFeature, photo_files
from localize.io.images import Reader, read_photo
from localize.io.masks import read_mask, seen
from localize.kernels import gpu
from localize.keys import describe, file_digest, key_of
from localize.stages import workers
from localize.stages.keypoints import FoundKeypoints, GivenKeypoints, KeypointsOfPhoto
from localize.stages.photos import PhotoList, Photos, Stamps, photo_digest, unless_replaced, with_digests
from localize.stages.workbench import Workbench
from localize.types import Camera, Features, ImageList

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Photo:
    """A photo as a worker needs it."""

    name: str
    path: pathlib.Path
    digest: str  # of its bytes
    camera: Camera
    mask: pathlib.Path | None = None
    mask_digest: str = ""
    given: KeypointsOfPhoto | None = None  # to describe in place of the feature's own

    @property
    def key(self) -> str:
        """Of what of it can be seen."""
        return self.digest if self.mask is None else key_of([self.digest, "mask", self.mask_digest])

    def masked(self, features: Features, width: int, height: int, *, keep_rows: bool) -> Features:
        """The features without those that the mask hides. keep_rows: a model counts them, so these become zeros."""
        if self.mask is None:
            return features
        shown = seen(read_mask(self.mask, width, height), features.keypoints)
        unless_replaced(self.mask, self.mask_digest)
        return features.undescribed(~shown) if keep_rows else features.only(shown)


@dataclass(frozen=True)
class _FromPixels:
    """Features that are found in the pixels, or described where others found them."""

    feature: LocalFeature
    stamps: Stamps
    found: FoundKeypoints | None = None

    def key(self, photo: _Photo) -> str:
        return photo.key if photo.given is None else key_of([photo.key, *photo.given.read()])

    def read(self, photo: _Photo) -> np.ndarray:
        return read_photo(photo.path, grey=self.feature.grey)

    def make(self, photo: _Photo, pixels: np.ndarray) -> Features:
        if photo.given is not None:
            features = self.feature.describe_at(pixels, *photo.given.read())
        elif self.found is not None:
            features = self.feature.describe_at(pixels, *self.found.of(photo.name))
            features = features.only(features.descriptors.any(1))  # as `extract` drops what it cannot describe
        else:
            features = self.feature.extract(pixels)
            self._check_inside(features, photo, *pixels.shape[:2])
        features = photo.masked(features, *pixels.shape[1::-1], keep_rows=photo.given is not None)
        unless_replaced(photo.path, photo.digest)
        self.stamps.check()
        return features

    def _check_inside(self, features: Features, photo: _Photo, height: int, width: int) -> None:
        if not ((features.keypoints >= 0) & (features.keypoints <= (width, height))).all():
            name = type(self.feature).__name__
            raise ValueError(f"{name} returned keypoints outside {photo.path} ({width} x {height} px)")


@dataclass(frozen=True)
class _FromFile:
    """Features that lie in a file; of two equal photos, each has those of its own name."""

    feature: StoredFeature
    stamps: Stamps

    def key(self, photo: _Photo) -> str:
        own = [file_digest(path) for path in photo_files(self.feature, photo.name)]
        return key_of([photo.key, photo.name, photo.camera.width, photo.camera.height, *own])

    def make(self, photo: _Photo) -> Features:
        own = Stamps(photo_files(self.feature, photo.name))
        features = self.feature.read(photo.name, photo.camera.width, photo.camera.height)
        own.check()
        self.stamps.check()
        return photo.masked(features, photo.camera.width, photo.camera.height, keep_rows=True)


def _processes_on_gpu(feature: LocalFeature, asked: int) -> int | None:
    """How many worker processes the GPU has memory for; None where the feature does not compute on one."""
    if asked == 1 or "torch" not in getattr(feature, "LIBRARIES", ()) or not gpu.has_gpu():
        return None
    import torch

    free_mb = torch.cuda.mem_get_info()[0] / 1e6
    number = workers.fit_on_gpu(asked, free_mb, getattr(feature, "GPU_MB", workers.NETWORK_MB))
    if number < asked:
        log.info("%d workers, as the GPU has %.0f MB free", number, free_mb)
    return number


def extract_features(
    bench: Workbench,
    feature: LocalFeature | StoredFeature,
    photos: PhotoList,
    given: GivenKeypoints | None = None,
    found_before: FoundKeypoints | None = None,
) -> Photos:
    """The photos that can be read, with their features: found or described in the pixels, or read from a file by name.

    given: keypoints to describe in place of the feature's own. found_before: its own, which its detector need not find
    again; the features are those of `extract`, under the same key. Keyed by the photo's bytes, and those of its mask,
    its given keypoints and the feature's files: what is replaced is new.
    """
    found = with_digests(bench, photos)
    masks = {i.name: photos.masks and photos.masks.of(i.name) for i in found.images}
    of_mask = {path: photo_digest(path) for path in set(masks.values()) - {None}}
    asked = {
        i.name: _Photo(
            *(i.name, found.paths[i.name], found.digests[i.name], i.camera),
            *(masks[i.name], of_mask.get(masks[i.name], ""), given and given.of(i.name)),
        )
        for i in found.images
    }
    stamps, stage = Stamps(files_of(feature)), f"{photos.kind}_features"
    if isinstance(feature, StoredFeature):
        how, reader, ways = _FromFile(feature, stamps), None, {}
    else:
        how, reader = _FromPixels(feature, stamps, found_before), describe(Reader())
        ways = {"read": how.read, "processes": True, "at_most": _processes_on_gpu(feature, bench.workers)}
    shelf = bench.store.shelf("features", {"feature": describe(feature), "reader": reader})
    keys = {name: how.key(photo) for name, photo in asked.items()}
    features = bench.fill(stage, shelf, keys, how.make, arguments=asked, leave_out=True, **ways)
    failed = {n: features.failures[k] for n, k in keys.items() if k in features.failures}
    bench.unreadable.update({str(photos.paths[name]): sentence for name, sentence in failed.items()})
    images = ImageList(image for image in found.images if image.name not in failed)
    return Photos(photos.kind, images, photos.paths, found.digests, features)
