"""Photos from disk: a quick check of the header, and the grey or colour pixels. EXIF orientation is never applied.

A HEIC file says in its container how its pixels are turned (irot, imir; ISO/IEC 23008-12), and they come out turned so:
what its EXIF says of orientation is not for who reads the pixels, and pillow-heif sets it to 1.
"""

import contextlib
import importlib
import os
import pathlib
from dataclasses import dataclass
from typing import BinaryIO, ClassVar

import numpy as np
import PIL.Image

from localize.io.pixels import channel_bits, pixels_of
from localize.types import Camera, InputError, check_regular

PIL.Image.MAX_IMAGE_PIXELS = None  # large photos are normal here: `open_photo` has a limit of its own
MAX_MEGAPIXELS = 400  # of a photo that is decoded, which takes 3 bytes a pixel and more
LIMIT = "LOCALIZE_MAX_MEGAPIXELS"  # the variable that sets another
PROGRAMS = ("EPS", "WMF")  # kinds that Pillow draws by running another program
SUFFIXES = {
    *(".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".ppm", ".pgm"),
    *(".heic", ".heif", ".hif", ".avif"),
}
_EXIF_ORIENTATION = 0x0112
_BAD_FILE = (OSError, SyntaxError, ValueError, EOFError, OverflowError)  # what Pillow raises on one

# Kinds that Pillow opens with a plugin only: where the file says so, what to install, to import and to call.
_HEIC = "HEIC", "pillow-heif", "pillow_heif", "register_heif_opener"
_PLUGINS = [
    *((4, b"ftyp" + brand, *_HEIC) for brand in (b"hei", b"hev", b"mif1")),
    (0, b"\0\0\0\x0cJXL ", "JPEG XL", "pillow-jxl-plugin", "pillow_jxl", None),
]
Source = str | os.PathLike | BinaryIO  # a path, or a file open for reading bytes
_RAW = {".cr2", ".cr3", ".nef", ".arw", ".dng", ".orf", ".raf", ".rw2"}  # some hold a small picture that Pillow opens


@dataclass(frozen=True)
class Reader:
    """What `read_photo` does, for the keys of results."""

    VERSION: ClassVar[int] = 1
    LIBRARIES: ClassVar[tuple] = ("PIL",)


def list_photos(folder: pathlib.Path) -> list[str]:
    """Names of the photos below a folder, sorted, POSIX, relative to it."""
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)


def name_of(source: Source) -> str:
    """What sentences call a photo: its path, or what it is instead."""
    return str(
        source if isinstance(source, str | os.PathLike) else getattr(source, "name", f"({type(source).__name__})")
    )


def open_photo(source: Source) -> PIL.Image.Image:
    """The picture in a file; its pixels are not read yet, but its header has been asked whether they may be.

    InputError for what is no regular file, too large, or of a kind for which Pillow needs something; else what Pillow
    raises: OSError and others.
    """
    if isinstance(source, str | os.PathLike):
        check_regular(source)
    photo = _opened(source)
    with contextlib.ExitStack() as closing:
        closing.enter_context(photo)
        check_decodable(name_of(source), photo)
        closing.pop_all()
    return photo


def _opened(source: Source) -> PIL.Image.Image:
    path = name_of(source)
    if pathlib.PurePath(path).suffix.lower() in _RAW:
        raise InputError(f"photo {path} is a camera's raw file: develop it, and save it as PNG or TIFF")
    try:
        return PIL.Image.open(source)
    except PIL.UnidentifiedImageError:
        plugin = next((p for p in _PLUGINS if _head(source, p[0] + len(p[1])).endswith(p[1])), None)
        if plugin is None:
            raise
        _, _, kind, package, module, register = plugin
        try:
            imported = importlib.import_module(module)
        except ImportError as e:
            todo = f"`pip install {package}`, or save it as JPEG"
            raise InputError(f"photo {path} is of the kind {kind}, which Pillow cannot read: {todo}") from e
        if register is not None:
            getattr(imported, register)()
        return PIL.Image.open(source)


def _head(source, size: int) -> bytes:
    """The first bytes of a file."""
    if isinstance(source, str | os.PathLike):
        with open(source, "rb") as f:
            return f.read(size)
    source.seek(0)
    return source.read(size)


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
            bits = channel_bits(photo)  # before Pillow loads a PNG to see whether EXIF follows
            size, mode, turned = photo.size, photo.mode, photo.getexif().get(_EXIF_ORIENTATION, 1)
    except FileNotFoundError:
        return f"photo {path} is missing: put it there or take its name off the list", None
    except InputError as e:
        return str(e), None
    except _BAD_FILE as e:
        return f"photo {path} cannot be opened ({e}): replace it or take it out", None
    if bits > 16:
        return f"photo {path} has {bits} bits per pixel, of unknown range: save it with 8 or 16", None
    if size != (camera.width, camera.height):
        what_to_do = "give the photo the camera it belongs to, or the camera for this size"
        if size == (camera.height, camera.width):
            what_to_do = "width and height of the camera look swapped"
            if turned not in (0, 1):
                what_to_do = (
                    "the camera describes the upright picture but the pixels are stored turned; save it upright"
                )
        elif abs(size[0] * camera.height - size[1] * camera.width) <= max(size):  # the same shape, to rounding
            by = size[0] / camera.width
            what_to_do = f"if it was scaled, scale the camera's size, focal length and principal point by {by:.6g} too"
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


def is_deep(path: str | os.PathLike) -> bool:
    """Whether a photo has 16 bits per channel; not, if it cannot be opened."""
    try:
        if _head(path, 2) == b"\xff\xd8":  # JPEG: nothing more to look for
            return False
        with PIL.Image.open(path) as photo:
            return channel_bits(photo) == 16
    except _BAD_FILE:
        return False


def _check_size(source, photo: PIL.Image.Image, size: tuple[int, int] | None) -> None:
    if size not in (None, photo.size):
        found = " x ".join(map(str, photo.size))
        raise InputError(f"the photo {name_of(source)} is {found} px, but its camera is for {size[0]} x {size[1]} px")


def read_photo(
    source: Source | PIL.Image.Image, *, grey: bool = False, size: tuple[int, int] | None = None
) -> np.ndarray:
    """Pixels as stored: (H, W) uint8 if grey (0.299 R + 0.587 G + 0.114 B), else (H, W, 3) uint8 RGB.

    size: (width, height) px that it must have, by its header. InputError, naming the file, if it has not, or is
    missing, truncated or no picture.
    """
    try:
        if isinstance(source, PIL.Image.Image):
            _check_size(source, source, size)
            return pixels_of(source, grey=grey)
        with open_photo(source) as photo:
            _check_size(source, photo, size)
            if photo.format != "PNG":
                return pixels_of(photo, lambda: open_photo(source), grey=grey)
            photo.verify()  # its checksums, which decoding does not look at to the end; then it must be opened anew
        with open_photo(source) as photo:
            return pixels_of(photo, lambda: open_photo(source), grey=grey)
    except FileNotFoundError as e:
        raise InputError(f"photo {name_of(source)} is missing") from e
    except InputError:
        raise
    except _BAD_FILE as e:
        raise InputError(f"photo {name_of(source)} is damaged ({e}): replace it and run again") from e
