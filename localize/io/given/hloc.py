"""hloc's HDF5 files of local features and global descriptors: one group per image, named as the image is.

Sarlin et al., "From Coarse to Fine: Robust Hierarchical Localization at Large Scale", CVPR 2019. A name with slashes is
a path of nested groups. hloc puts the centre of the first pixel at (0, 0) and we at (0.5, 0.5): reading adds half a
pixel, writing takes it off, and nobody else does either. Orientations are degrees there.
"""

import contextlib
import functools
import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence

import h5py
import numpy as np

from localize.io.files import HDF5_DAMAGED, refused_reading, whole_file
from localize.io.given.checks import check_numbers, check_shape, given_features, unit_rows
from localize.io.hdf5 import item_in, values_in
from localize.types import Features, Image, InputError, check_regular

_HALF_PX = 0.5


@contextlib.contextmanager
def opened(path: str | os.PathLike) -> Iterator[h5py.File]:
    """The file, for reading; InputError if it is missing, or shows to be damaged while it is read."""
    if not pathlib.Path(path).is_file():
        check_regular(path)
        raise InputError(f"file {path} is missing")
    try:
        with h5py.File(path, "r") as f:
            yield f
    except InputError:
        raise
    except HDF5_DAMAGED as e:
        if refused := refused_reading(e, pathlib.Path(path)):
            raise InputError(str(refused)) from e
        raise InputError(f"{path} is no HDF5 file, or is damaged ({str(e).split(',')[0]}): copy it again") from e


@functools.lru_cache(maxsize=64)
def file_with(path: str | os.PathLike, kind: str, setting: str) -> str:
    """The path itself; of a folder, the only file in it or beside it whose images have `kind`, such as keypoints.

    InputError if there is none, or several of them; setting: what names the path.
    """
    folder = pathlib.Path(path).expanduser()
    if not folder.is_dir():
        return str(path)
    for place in (folder, folder.absolute().parent):
        found = [str(p) for p in sorted(place.glob("*.h5")) if _holds(p, kind)]
        if len(found) > 1:
            raise InputError(f"{place} holds {len(found)} files with {kind}: name one, {setting}={found[0]} for one")
        if found:
            return found[0]
    raise InputError(f"{folder} holds no .h5 file with {kind}, as hloc writes it: name the file as {setting}")


def _holds(path: pathlib.Path, kind: str) -> bool:
    """Whether the first image in a file has this; not, if it cannot be read."""
    try:
        with opened(path) as f:
            group: h5py.Group | h5py.Dataset | None = f
            while isinstance(group, h5py.Group) and kind not in group:
                group = item_in(group, next(iter(group))) if len(group) else None
            return isinstance(group, h5py.Group)
    except InputError:
        return False


@contextlib.contextmanager
def written(path: str | os.PathLike) -> Iterator[h5py.File]:
    """A new file for writing; it takes its name when it is whole."""
    with whole_file(path) as partial, h5py.File(partial, "w") as f:
        yield f
        f.flush()  # a full disk shows here


def read_local_features(
    path: str | os.PathLike, name: str, width: int, height: int, pixel_center: float = 0.0
) -> Features:
    """Features of one image of width x height px, in our pixel convention, descriptors of unit length.

    pixel_center: where the file puts the centre of the first pixel; 0.5 if COLMAP's keypoints were written as they are.
    Scores are 1 where the file has none. Keypoints that half precision has put just outside the image are moved onto
    its border. InputError, naming file and image, if the image is not there or its arrays cannot be used.
    """
    found = _read(path, name, ("keypoints", "descriptors", "scores", "scales", "oris", "image_size"))
    where = f"{path}: image {name}"
    _check_size(where, found.get("image_size"), width, height)
    for key in ("keypoints", "descriptors"):
        if key not in found:
            raise InputError(f"{where} has no {key}: this is no file of local features")
    xy, descriptors = found["keypoints"], found["descriptors"]
    n = len(xy) if xy.ndim else 0
    check_shape(where, "keypoints", xy, (n, 2))
    if descriptors.ndim == 2 and descriptors.shape[1] != n and descriptors.shape[0] == n:
        raise InputError(f"{where}: descriptors have shape {descriptors.shape}, one row each: hloc has one column each")
    check_shape(where, "descriptors", descriptors, (len(descriptors) if descriptors.ndim else 0, n))
    degrees = found.get("oris")
    return given_features(
        where,
        xy,
        descriptors.T,
        (width, height),
        pixel_center=pixel_center,
        scores=found.get("scores"),
        scales=found.get("scales"),
        orientations=None if degrees is None else np.radians(degrees.astype(np.float64)),
    )


def write_local_features(path: str | os.PathLike, items: Iterable[tuple[Image, Features]]) -> None:
    """Write the features of images: keypoints always float32, descriptors in the precision they have."""
    with written(path) as f:
        for image, features in items:
            group = f.create_group(image.name)
            xy = (features.keypoints.astype(np.float64) - _HALF_PX).astype(np.float32)
            group.create_dataset("keypoints", data=xy).attrs["uncertainty"] = 1.0  # px; hloc reads it
            group["descriptors"] = np.ascontiguousarray(features.descriptors.T)
            group["scores"] = features.scores
            if features.scales is not None:
                group["scales"] = features.scales
            if features.orientations is not None:
                group["oris"] = np.degrees(features.orientations)
            group["image_size"] = np.array([image.camera.width, image.camera.height], np.int64)


def read_global_descriptor(path: str | os.PathLike, name: str) -> np.ndarray:
    """Global descriptor (D,) float32 of one image, unit length; InputError as for the local features."""
    found = _read(path, name, ("global_descriptor",))
    where = f"{path}: image {name}"
    if "global_descriptor" not in found:
        raise InputError(f"{where} has no global_descriptor: this is no file of global descriptors")
    with opened(path) as f:
        first = f.visititems(lambda _, item: item if item.name.endswith("/global_descriptor") else None)
        check_shape(where, "global_descriptor", found["global_descriptor"], first.shape)  # all are of one length
    return unit_rows(found["global_descriptor"].astype(np.float32)[None])[0]


def write_global_descriptors(path: str | os.PathLike, items: Iterable[tuple[Image, np.ndarray]]) -> None:
    """Write the global descriptors (D,) of images, in float32."""
    with written(path) as f:
        for image, vector in items:
            group = f.create_group(image.name)
            group["global_descriptor"] = np.asarray(vector, np.float32)
            group["image_size"] = np.array([image.camera.width, image.camera.height], np.int64)


def _read(path: str | os.PathLike, name: str, keys: Sequence[str]) -> dict[str, np.ndarray]:
    """Those of the arrays `keys` of an image that are there; all are finite numbers."""
    with opened(path) as f:
        group = item_in(f, name)
        if not isinstance(group, h5py.Group):
            raise InputError(f"{path} has no image {name}: names there must be those of the scene")
        found = {key: values_in(group, key) for key in keys if isinstance(item_in(group, key), h5py.Dataset)}
    for key, values in found.items():
        check_numbers(f"{path}: image {name}", key, values)
    return found


def _check_size(where: str, size: np.ndarray | None, width: int, height: int) -> None:
    if size is not None and np.ravel(size).tolist() != [width, height]:
        of_file = " x ".join(map(str, np.ravel(size).tolist()))
        raise InputError(f"{where}: its features are of a photo of {of_file} px, but it has {width} x {height} px")
