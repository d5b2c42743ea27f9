"""Masks of photos in COLMAP's form: NAME.png beside the photo NAME of a folder, black where nothing is to be seen."""

import pathlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from localize.io.images import open_photo, read_photo
from localize.types import Image, InputError

SHOWN = 5


@dataclass(frozen=True)
class Masks:
    """A folder of masks, or one mask for all photos: black (0) pixels are ignored."""

    path: pathlib.Path

    def of(self, name: str) -> pathlib.Path | None:
        """The mask of the photo of this name; None: all of it counts."""
        if self.path.is_file():
            return self.path
        found = self.path / f"{name}.png"
        return found if found.is_file() else None

    def problems(self, images: list[Image]) -> list[str]:
        """What is wrong with the masks of these photos, one sentence each, from their headers."""
        found = {image: self.of(image.name) for image in images}
        if images and not any(found.values()):
            name = images[0].name
            return [
                f"dataset.masks={self.path} holds no mask of the {len(images)} photos: it must be a folder with "
                f"{name}.png for {name} and so on, or one picture for all"
            ]
        wrong = [_wrong(path, image) for image, path in found.items() if path is not None]
        wrong = list(dict.fromkeys(filter(None, wrong)))
        more = len(wrong) - SHOWN
        return wrong[:SHOWN] + ([f"and {more} more masks that cannot be used"] if more > 0 else [])


@dataclass(frozen=True)
class MaskOf:
    """Masks that lie anywhere, by the names of their photos."""

    paths: Mapping[str, pathlib.Path]

    def of(self, name: str) -> pathlib.Path | None:
        """The mask of the photo of this name; None: all of it counts."""
        return self.paths.get(name)


def _wrong(path: pathlib.Path, image: Image) -> str | None:
    try:
        with open_photo(path) as mask:
            size = mask.size
    except InputError as e:
        return str(e)
    except (OSError, SyntaxError, ValueError) as e:
        return f"mask {path} cannot be opened ({e}): replace it or take it out"
    if size == (image.camera.width, image.camera.height):
        return None
    sizes = f"{size[0]} x {size[1]} px, but the photo {image.name} {image.camera.width} x {image.camera.height} px"
    return f"mask {path} is {sizes}: save it in the size of the photo"


def read_mask(path: pathlib.Path, width: int, height: int) -> np.ndarray:
    """(H, W) bool, which pixels count; InputError if it cannot be read or is of another size."""
    mask = read_photo(path, grey=True) > 0
    if mask.shape != (height, width):
        raise InputError(f"mask {path} is {mask.shape[1]} x {mask.shape[0]} px, but its photo {width} x {height} px")
    return mask


def seen(mask: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
    """Which keypoints (N, 2) px lie on pixels of the mask that count, (N,) bool."""
    columns, rows = np.floor(keypoints).astype(int).T
    height, width = mask.shape
    return mask[rows.clip(0, height - 1), columns.clip(0, width - 1)]
