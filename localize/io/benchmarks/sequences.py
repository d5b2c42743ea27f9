"""Photo sequences of flat scenes with known homographies, in HPatches' folder layout.

Balntas et al., "HPatches", CVPR 2017: a folder per sequence, whose name begins with i_ where the light changes and with
v_ where the viewpoint does, with photos 1 to 6 and files H_1_2 to H_1_6: three lines of three numbers, which map pixels
of photo 1 to those of photo k.
"""

import pathlib
from dataclasses import dataclass

import numpy as np

from localize.io.images import SUFFIXES
from localize.types import InputError, check_regular, collecting

HALF_PIXEL = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])  # the files count from the centre of the first pixel
KINDS = {"i_": "illumination", "v_": "viewpoint"}


@dataclass(frozen=True, eq=False)
class PhotoSequence:
    """Six photos of one flat scene."""

    name: str
    photos: tuple[pathlib.Path, ...]
    homographies: np.ndarray  # (6, 3, 3) float64 from photo 1 to each, in COLMAP's pixels

    @property
    def kind(self) -> str:
        """illumination, viewpoint or other, by the name."""
        return KINDS.get(self.name[:2], "other")


def read_sequence(folder: str | pathlib.Path) -> PhotoSequence:
    """The sequence in a folder; InputError for the first photo or homography that lacks."""
    folder = pathlib.Path(folder)
    photos, homographies = [], [np.eye(3)]
    for k in range(1, 7):
        found = [p for p in sorted(folder.glob(f"{k}.*")) if p.suffix.lower() in SUFFIXES]
        if not found:
            raise InputError(f"{folder} has no photo {k}: name folders of single sequences, which have photos 1 to 6")
        photos.append(found[0])
        if k > 1:
            homographies.append(HALF_PIXEL @ _matrix(folder / f"H_1_{k}") @ np.linalg.inv(HALF_PIXEL))
    return PhotoSequence(folder.name, tuple(photos), np.array(homographies))


def read_sequences(root: str | pathlib.Path) -> list[PhotoSequence]:
    """All sequences in the folders below `root`, by name; InputError with everything that lacks."""
    root = pathlib.Path(root).expanduser()
    folders = sorted(p for p in root.iterdir() if p.is_dir()) if root.is_dir() else []
    if not folders:
        raise InputError(f"{root} has no folders: name the one that holds HPatches' sequences, such as v_wormhole")
    found, problems = [], []
    for folder in folders:
        with collecting(problems):
            found.append(read_sequence(folder))
    if problems:
        raise InputError(*problems)
    return found


def _matrix(path: pathlib.Path) -> np.ndarray:
    check_regular(path)
    try:
        matrix = np.loadtxt(path)
    except (OSError, ValueError) as e:
        raise InputError(f"homography {path} cannot be read ({e}): it must hold three lines of three numbers") from e
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-12:
        raise InputError(f"homography {path} is no invertible matrix of three lines of three numbers")
    return matrix
