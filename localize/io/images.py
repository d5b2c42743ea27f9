"""Photos from disk: a quick check of the header, and the grey or colour pixels. EXIF orientation is never applied."""

import contextlib
import os
import pathlib
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import PIL.Image

from localize.types import Camera, InputError, check_regular

PIL.Image.MAX_IMAGE_PIXELS = None  # large photos are normal here: `open_photo` has a limit of its own
MAX_MEGAPIXELS = 400  # of a photo that is decoded, which takes 3 bytes a pixel and more
LIMIT = "LOCALIZE_MAX_MEGAPIXELS"  # the variable that sets another
PROGRAMS = ("EPS", "WMF")  # kinds that Pillow draws by running another program
SUFFIXES = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".ppm", ".pgm"}
_EXIF_ORIENTATION = 0x0112
_BAD_FILE = (OSError, SyntaxError, ValueError, EOFError, OverflowError)  # what Pillow raises on one


@dataclass(frozen=True)
class Reader:
    """What `read_photo` does, for the keys of results."""

    VERSION: ClassVar[int] = 1
    LIBRARIES: ClassVar[tuple] = ("PIL",)


def list_photos(folder: pathlib.Path) -> list[str]:
    """Names of the photos below a folder, sorted, POSIX, relative to it."""
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)


def open_photo(path: str | os.PathLike) -> PIL.Image.Image:
    """The picture in a file; its pixels are not read yet, but its header has been asked whether they may be.

    InputError for what is no regular file, no picture or too large; else what Pillow raises: OSError and others.
    """
    check_regular(path)
    photo = PIL.Image.open(path)
    with contextlib.ExitStack() as closing:
        closing.enter_context(photo)
        check_decodable(path, photo)
        closing.pop_all()
    return photo


def check_decodable(path: str | os.PathLike, photo: PIL.Image.Image) -> None:
    """InputError for a picture that is better not decoded: a few kilobytes may stand for gigabytes of pixels."""
    if photo.format in PROGRAMS:
        raise InputError(f"photo {path} is {photo.format}, a drawing and no photo: save it as PNG")
    (width, height), text = photo.size, os.environ.get(LIMIT, str(MAX_MEGAPIXELS))
    try:
        limit = float(text)
    except ValueError as e:
        raise InputError(f"{LIMIT} is {text!r}, but must be a number of megapixels") from e
    if not width * height <= limit * 1e6:
        raise InputError(
            f"photo {path} has {width} x {height} px, more than the {limit:g} megapixels that are decoded: shrink it, "
            f"or set {LIMIT} if there is memory for it"
        )


def check_photo(path: pathlib.Path, camera: Camera) -> tuple[str | None, str | None]:
    """What is wrong with a photo (or None), and what is unusual but handled (or None), from its header alone."""
    try:
        with open_photo(path) as photo:
            size, mode, turned = photo.size, photo.mode, photo.getexif().get(_EXIF_ORIENTATION, 1)
            bits = _bits(path, photo)
    except FileNotFoundError:
        return f"photo {path} is missing: put it there or take its name off the list", None
    except InputError as e:
        return str(e), None
    except _BAD_FILE as e:
        return f"photo {path} cannot be opened ({e}): replace it or take it out", None
    if bits > 16:
        return f"photo {path} has {bits} bits per pixel, of unknown range: save it with 8 or 16", None
    if size != (camera.width, camera.height):
        upright = turned not in (0, 1) and size == (camera.height, camera.width)
        what_to_do = (
            "the camera describes the upright picture but the pixels are stored turned; save it upright"
            if upright
            else "give the photo the camera it belongs to, or the camera for this size"
        )
        sizes = f"{size[0]} x {size[1]} px, but its camera is for {camera.width} x {camera.height} px"
        return f"photo {path} is {sizes}: {what_to_do}", None
    remarks = []
    if turned not in (0, 1):
        remarks.append(f"carries EXIF orientation {turned}; its pixels are used as stored, not turned")
    if bits == 16:
        remarks.append("has 16 bits per pixel; it is reduced to 8")
    if mode in ("1", "L", "LA"):
        remarks.append("is grey; it is used as it is")
    return None, f"photo {path} " + "; ".join(remarks) if remarks else None


def _bits(path: pathlib.Path, photo: PIL.Image.Image) -> int:
    """Bits per channel."""
    if photo.format == "PNG":
        with open(path, "rb") as f:
            return f.read(25)[24]
    return {"I": 32, "F": 32}.get(photo.mode, 16 if photo.mode.startswith("I;16") else 8)


def read_photo(path: str | pathlib.Path, *, grey: bool = False, size: tuple[int, int] | None = None) -> np.ndarray:
    """Pixels as stored: (H, W) uint8 if grey (0.299 R + 0.587 G + 0.114 B), else (H, W, 3) uint8 RGB.

    size: (width, height) px that it must have, by its header. InputError, naming the file, if it has not, or is
    missing, truncated or no picture.
    """
    try:
        with open_photo(path) as photo:
            if size not in (None, photo.size):
                found = " x ".join(map(str, photo.size))
                raise InputError(f"the photo {path} is {found} px, but its camera is for {size[0]} x {size[1]} px")
            if photo.format == "PNG":
                with PIL.Image.open(path) as again:
                    again.verify()  # its checksums, which decoding does not look at to the end
            photo.load()
            if photo.mode == "F" or (photo.mode == "I" and photo.format != "PNG"):
                raise ValueError("32 bits per pixel, of unknown range")
            if photo.mode.startswith("I"):
                photo = PIL.Image.fromarray((np.asarray(photo, np.int64).clip(0, 65535) // 257).astype(np.uint8))
            elif photo.mode == "LA":  # an alpha channel is no light: drop it
                photo = photo.convert("L")
            return np.ascontiguousarray(photo.convert("L" if grey else "RGB"))
    except FileNotFoundError as e:
        raise InputError(f"photo {path} is missing") from e
    except InputError:
        raise
    except _BAD_FILE as e:
        raise InputError(f"photo {path} is damaged ({e}): replace it and run again") from e
