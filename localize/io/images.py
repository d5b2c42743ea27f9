"""Photos from disk: a quick check of the header, and the grey or colour pixels. EXIF orientation is never applied."""

import pathlib

import numpy as np
import PIL.Image

from localize.types import Camera, InputError

PIL.Image.MAX_IMAGE_PIXELS = None  # large photos are normal here, not an attack
SUFFIXES = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".ppm", ".pgm"}
_EXIF_ORIENTATION = 0x0112
_SIXTEEN_BIT = ("I;16", "I;16B", "I;16L", "I")


def list_photos(folder: pathlib.Path) -> list[str]:
    """Names of the photos below a folder, sorted, POSIX, relative to it."""
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)


def check_photo(path: pathlib.Path, camera: Camera) -> tuple[str | None, str | None]:
    """What is wrong with a photo (or None), and what is unusual but handled (or None), from its header alone."""
    try:
        with PIL.Image.open(path) as photo:
            size, mode, turned = photo.size, photo.mode, photo.getexif().get(_EXIF_ORIENTATION, 1)
    except FileNotFoundError:
        return f"photo {path} is missing: put it there or take its name off the list", None
    except (OSError, SyntaxError, ValueError) as e:
        return f"photo {path} cannot be opened ({e}): replace it or take it out", None
    if size != (camera.width, camera.height):
        hint = ": the camera describes the upright picture but the pixels are stored turned; save it upright" * (
            turned not in (0, 1) and size == (camera.height, camera.width)
        )
        return (
            f"photo {path} is {size[0]} x {size[1]} px, but its camera is for {camera.width} x {camera.height} px"
            + (hint or ": give the photo the camera belongs to, or the camera for this size")
        ), None
    if turned not in (0, 1):
        return None, f"photo {path} carries EXIF orientation {turned}; its pixels are used as stored, not turned"
    if mode in _SIXTEEN_BIT:
        return None, f"photo {path} has 16 bits per pixel; it is reduced to 8"
    if mode in ("1", "L", "LA"):
        return None, f"photo {path} is grey; that is enough for features on grey values, deep features see grey colours"
    return None, None


def read_photo(path: str | pathlib.Path, *, grey: bool = False) -> np.ndarray:
    """Pixels as stored: (H, W) uint8 if grey (0.299 R + 0.587 G + 0.114 B), else (H, W, 3) uint8 RGB.

    InputError, naming the file, if it is missing, truncated or no picture.
    """
    try:
        with PIL.Image.open(path) as photo:
            photo.load()
            if photo.mode in _SIXTEEN_BIT:
                photo = PIL.Image.fromarray((np.asarray(photo, np.int64).clip(0, 65535) // 257).astype(np.uint8))
            elif photo.mode == "LA":  # an alpha channel is no light: drop it
                photo = photo.convert("L")
            return np.ascontiguousarray(photo.convert("L" if grey else "RGB"))
    except FileNotFoundError as e:
        raise InputError(f"photo {path} is missing") from e
    except (OSError, SyntaxError, ValueError, EOFError) as e:
        raise InputError(f"photo {path} is damaged ({e}): replace it and run again") from e
