"""What the kinds of files that `fuzz.py` harms have in common."""

import pathlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from localize.types import Camera, Image, ImageList, InputError, Pose

SIZE = 96, 64
CAMERA = Camera("OPENCV", *SIZE, [80.0, 80.5, 48.0, 32.0, 0.01, 0.002, 0.0, 0.0])
NAMES = tuple(f"db/{i}.jpg" for i in range(4))


@dataclass(frozen=True)
class Kind:
    """make(folder) writes whole files and returns the one that is harmed; read(folder) is what the program makes of it.

    checksum: whether the format has one, so that any other result could have been seen.
    """

    name: str
    make: Callable[[pathlib.Path], pathlib.Path]
    read: Callable[[pathlib.Path], object]
    text: bool = False
    checksum: bool = False


def poses() -> list[Pose]:
    """One for each of NAMES."""
    from localize.geometry.poses import rotation_from_qvec

    rng = np.random.default_rng(0)
    return [Pose(rotation_from_qvec(rng.normal(size=4)), rng.normal(size=3)) for _ in NAMES]


def images() -> ImageList:
    """NAMES with their cameras and poses."""
    return ImageList(Image(n, CAMERA, p) for n, p in zip(NAMES, poses(), strict=True))


def told(read, *arguments):
    """What a reader makes, or an InputError of the problems that it lists."""
    problems: list[str] = []
    found = read(*arguments, problems)
    if problems:
        raise InputError(*problems)
    return found
