"""MegaDepth as D2-Net prepares it: `scene_info/<scene>.npz` and depth maps (Li & Snavely, CVPR 2018; Dusmanu et al.,
CVPR 2019, megadepth_utils).

The npz file pickles its lists; they are read without running what a foreign pickle might ask for.
"""

import pathlib
import pickle
import zipfile
from dataclasses import dataclass

import h5py
import numpy as np
from numpy.lib import format as npy

from localize.io.hdf5 import values_in
from localize.types import InputError

MIN_DEPTH_BYTES = 100_000  # smaller files hold no depth
KEYS = ("image_paths", "depth_paths", "intrinsics", "poses", "overlap_matrix", "points3D_id_to_2D")
_OTHERS = ("pair_infos",)  # in the files of the same name that LoFTR's authors made
_PLAIN = {("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")}
_ARRAYS = {(f"numpy.{core}.multiarray", n) for core in ("core", "_core") for n in ("_reconstruct", "scalar")}


@dataclass(frozen=True, eq=False)
class MegaDepthScene:
    """A scene's lists; an image that cannot be used is None in the first four of them."""

    name: str
    image_paths: list  # relative to the base folder
    depth_paths: list  # the same
    intrinsics: list  # (3, 3), COLMAP's pixels
    poses: list  # (4, 4) cam_from_world
    overlap: np.ndarray  # (N, N): points that i and j see / points that i sees; -1 = unknown
    points: list  # of each image, {point: (x, y)}

    def usable(self, base: pathlib.Path) -> np.ndarray:
        """Which images (N,) have all they need, and a depth file that is there and holds depth."""
        lists = zip(self.image_paths, self.depth_paths, self.intrinsics, self.poses, strict=True)
        return np.array([all(v is not None for v in row) and _holds_depth(base / row[1]) for row in lists], bool)

    def pairs(self, base: pathlib.Path, min_overlap: float = 0.5, max_overlap: float = 1.0) -> np.ndarray:
        """(P, 2) of usable images that overlap so much; both orders may be there, each by its own overlap."""
        usable = self.usable(base)
        wanted = (self.overlap >= min_overlap) & (self.overlap <= max_overlap) & usable[:, None] & usable
        np.fill_diagonal(wanted, False)
        return np.argwhere(wanted)


def read_scene_info(path: pathlib.Path) -> MegaDepthScene:
    """A scene; InputError if the file is missing, damaged, or of another kind (LoFTR's has the same name)."""
    path = pathlib.Path(path)
    if not path.is_file():
        raise InputError(f"scene file {path} is missing: make it with D2-Net's megadepth_utils/preprocess_scene.py")
    try:
        with zipfile.ZipFile(path) as packed:
            names = {n.removesuffix(".npy") for n in packed.namelist()}
            if missing := [k for k in KEYS if k not in names]:
                kind = "LoFTR's file of this name" if names & set(_OTHERS) else "no scene_info file of D2-Net"
                raise InputError(
                    f"{path} is {kind}: it has no {', '.join(missing)}; make one with D2-Net's "
                    "megadepth_utils/preprocess_scene.py"
                )
            read = {k: _array(packed, k) for k in KEYS}
    except (zipfile.BadZipFile, ValueError, EOFError, pickle.UnpicklingError) as e:
        raise InputError(f"{path} is damaged or holds more than lists of numbers ({e}): make it again") from e
    count = len(read["image_paths"])
    if read["overlap_matrix"].shape != (count, count) or any(len(read[k]) != count for k in KEYS):
        raise InputError(f"{path} lists {count} images, but not as many of everything else: make it again")
    lists = [list(read[k]) for k in KEYS[:4]]
    return MegaDepthScene(path.stem, *lists, read["overlap_matrix"], list(read["points3D_id_to_2D"]))


def read_megadepth(path: pathlib.Path) -> np.ndarray:
    """Depth (H, W) float32 in the model's unit, 0 = unknown; negative values, which are no depths, become 0."""
    try:
        with h5py.File(path) as file:
            depth = values_in(file, "depth").astype(np.float32)
    except (OSError, KeyError) as e:
        raise InputError(f"depth map {path} is missing, damaged or has no `depth` ({e}): get it again") from e
    return np.where(np.isfinite(depth) & (depth > 0), depth, 0)


def _holds_depth(path: pathlib.Path) -> bool:
    return path.is_file() and path.stat().st_size >= MIN_DEPTH_BYTES


class _Plain(pickle.Unpickler):
    """Unpickles lists, dictionaries, numbers and numpy's arrays, and nothing else."""

    def find_class(self, module: str, name: str):
        if (module, name) not in _PLAIN | _ARRAYS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(module, name)


def _array(packed: zipfile.ZipFile, name: str) -> np.ndarray:
    """One array of an npz file."""
    with packed.open(f"{name}.npy") as file:
        version = npy.read_magic(file)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        _, _, dtype = read(file)
        if dtype.hasobject:
            return _Plain(file).load()
    with packed.open(f"{name}.npy") as file:
        return npy.read_array(file, allow_pickle=False)
