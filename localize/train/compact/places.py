"""Photos to train on, and which of them show the same place.

A folder of photos may hold `places.txt`, one line per photo: name x_m y_m z_m, and where the camera looks, as a vector,
if that is known. `#` starts a comment. Folders are taken for different places.
"""

import pathlib
from dataclasses import dataclass

import numpy as np

from localize.io.images import list_photos
from localize.keys import file_digest, key_of
from localize.types import InputError

FILE = "places.txt"
OTHER, UNKNOWN, SAME = -1, 0, 1


@dataclass(frozen=True, eq=False)
class PlacedPhotos:
    """Photos with positions: paths (N,), folders (N,) int, centers (N, 3) m and axes (N, 3), NaN where unknown."""

    paths: list[pathlib.Path]
    names: list[str]
    folders: np.ndarray
    centers: np.ndarray
    axes: np.ndarray

    def __len__(self) -> int:
        return len(self.paths)

    def digest(self) -> str:
        """Number of the photos, and a digest of their files and of where they were taken."""
        files = [file_digest(path) for path in self.paths]
        return f"{len(self)}:{key_of([files, self.folders, self.centers, self.axes])}"

    def relations(self, same_m: float, same_deg: float, other_m: float) -> np.ndarray:
        """(N, N) int8: SAME within same_m and same_deg (any angle, where one looks is unknown), OTHER beyond other_m
        or of another folder, else UNKNOWN: near, but turned away, or without a position."""
        same_folder = self.folders[:, None] == self.folders
        found = np.where(same_folder, UNKNOWN, OTHER).astype(np.int8)
        distance_m = np.linalg.norm(self.centers[:, None] - self.centers, axis=2)
        cosine = self.axes @ self.axes.T
        with np.errstate(invalid="ignore"):  # NaN is neither near nor far
            found[same_folder & (distance_m > other_m)] = OTHER
            turned = cosine < np.cos(np.radians(same_deg))
            found[same_folder & (distance_m <= same_m) & ~turned] = SAME
        np.fill_diagonal(found, SAME)
        return found


def read_places(folders: list[str]) -> PlacedPhotos:
    """The photos of the folders, those of each in the order of their names; InputError if one has none or a line of
    its places.txt is wrong."""
    paths, names, numbers, rows = [], [], [], []
    for number, folder in enumerate(folders):
        found = list_photos(pathlib.Path(folder))
        if not found:
            raise InputError(f"folder {folder} holds no photos: give one that does")
        listed = _read(pathlib.Path(folder) / FILE, set(found))
        paths += [pathlib.Path(folder) / name for name in found]
        names += found
        numbers += [number] * len(found)
        rows += [listed.get(name, [np.nan] * 6) for name in found]
    table = np.array(rows, float)
    return PlacedPhotos(paths, names, np.array(numbers), table[:, :3], table[:, 3:])


def _read(path: pathlib.Path, photos: set[str]) -> dict[str, list[float]]:
    """Position and unit axis (6 numbers) by photo."""
    if not path.is_file():
        return {}
    listed = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        parts = line.split("#")[0].split()
        if not parts:
            continue
        try:
            name, values = parts[0], [float(p) for p in parts[1:]]
        except ValueError:
            values = []
        if len(values) not in (3, 6) or not np.isfinite(values).all() or (len(values) == 6 and not any(values[3:])):
            raise InputError(f"{path}:{number}: {line!r} is not: name x y z, or: name x y z and a viewing direction")
        if name not in photos:
            raise InputError(f"{path}:{number}: there is no photo {name} in the folder: take its line out")
        axis = np.array(values[3:] or [np.nan] * 3)
        listed[name] = [*values[:3], *(axis / np.linalg.norm(axis))]
    return listed
