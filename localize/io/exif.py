"""What a camera wrote into its photo (EXIF): the focal length in pixels, the device, where it was, which way is down.

CIPA DC-008 (Exif 2.32): FocalLengthIn35mmFilm is the focal length with the same diagonal angle of view on film of
36 mm x 24 mm; FocalPlaneXResolution counts the pixels of the photo as taken per FocalPlaneResolutionUnit. GPSLatitude
and GPSLongitude are degrees, minutes and seconds, GPSAltitude metres, all without their sign.
"""

import contextlib
import math
from collections.abc import Iterator

import numpy as np
import PIL.Image

from localize.io.images import Source, name_of, open_photo
from localize.types import Camera, InputError, Prior, Taken

FILM_DIAGONAL_MM = math.hypot(36, 24)
DEFAULT = 1.2  # times the longer side, where a photo says nothing: an angle of view of 45 degrees
POSSIBLE = 0.2, 20.0  # times the longer side; others are mistakes of what wrote the file
_EXIF, _FOCAL_MM, _FOCAL_35MM, _TAKEN_WIDTH, _TAKEN_HEIGHT = 0x8769, 0x920A, 0xA405, 0xA002, 0xA003
_PER_UNIT, _UNIT = 0xA20E, 0xA210
_MAKE, _MODEL, _ORIENTATION, _LENS, _ZOOM, _GPS = 0x010F, 0x0110, 0x0112, 0xA434, 0xA404, 0x8825
_DOWN = {3: (0, -1), 4: (0, -1), 5: (1, 0), 6: (1, 0), 7: (-1, 0), 8: (-1, 0)}  # in the pixels as stored
_UNIT_MM = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}


def exif_focal_px(photo: PIL.Image.Image) -> float | None:
    """Focal length in pixels of the photo as it is stored, turned or not; None if it does not say."""
    size = photo.size
    try:
        tags = photo.getexif().get_ifd(_EXIF)
    except (OSError, SyntaxError, ValueError, KeyError, TypeError):
        return None
    focal_px = _number(tags.get(_FOCAL_35MM)) / FILM_DIAGONAL_MM * math.hypot(*size)
    if not focal_px > 0:
        unit_mm = _UNIT_MM.get(tags.get(_UNIT, 2), 0.0)
        per_mm = _number(tags.get(_PER_UNIT)) / unit_mm if unit_mm else 0.0
        taken = max(_number(tags.get(_TAKEN_WIDTH)), _number(tags.get(_TAKEN_HEIGHT)))
        shrunk = max(size) / taken if taken > 0 else 1.0  # the photo may have been made smaller since
        focal_px = _number(tags.get(_FOCAL_MM)) * per_mm * shrunk
    return focal_px if POSSIBLE[0] <= focal_px / max(size) <= POSSIBLE[1] else None


def guessed_camera(width: int, height: int, focal_px: float | None = None) -> tuple[Camera, Prior]:
    """A camera without distortion, and that its focal length is guessed; 1.2 times the longer side where unknown."""
    known = focal_px is not None
    focal_px = focal_px if known else DEFAULT * max(width, height)
    camera = Camera("SIMPLE_RADIAL", width, height, [focal_px, width / 2, height / 2, 0])
    return camera, Prior(focal="guessed" if known else "unknown")


def camera_of_photo(source: Source | PIL.Image.Image) -> tuple[Camera, Prior]:
    """The same for a photo, from its EXIF; InputError if it cannot be opened."""
    if isinstance(source, PIL.Image.Image):
        return guessed_camera(*source.size, exif_focal_px(source))
    with opened_photo(source) as photo:
        return guessed_camera(*photo.size, exif_focal_px(photo))


@contextlib.contextmanager
def opened_photo(source: Source) -> Iterator[PIL.Image.Image]:
    """The picture in a file; InputError for one that cannot be opened."""
    path = name_of(source)
    try:
        with open_photo(source) as photo:
            yield photo
    except FileNotFoundError as e:
        raise InputError(f"photo {path} is missing: put it there or take its name off the list") from e
    except InputError:
        raise
    except (OSError, SyntaxError, ValueError, EOFError, OverflowError) as e:
        raise InputError(f"photo {path} cannot be opened ({e}): replace it or take it out") from e


def taken(photo: PIL.Image.Image) -> Taken:
    """How a photo says that it was taken. One without EXIF has the device of all such photos of its size."""
    exif = photo.getexif()
    tags, gps = (_directory(exif, ifd) for ifd in (_EXIF, _GPS))
    words = [str(value).strip(" \0") for value in (exif.get(_MAKE), exif.get(_MODEL), tags.get(_LENS)) if value]
    focal = [f"{_number(tags.get(tag)):g}" for tag in (_FOCAL_MM, _FOCAL_35MM, _ZOOM)] if words else []
    device = " ".join([*words, *focal, f"{photo.width}x{photo.height}"])
    return Taken(device, _DOWN.get(exif.get(_ORIENTATION), (0, 1)), _position(gps))


def _directory(exif: PIL.Image.Exif, ifd: int) -> dict:
    try:
        return exif.get_ifd(ifd)
    except (OSError, SyntaxError, ValueError, KeyError, TypeError):
        return {}


def _position(gps: dict) -> np.ndarray | None:
    """Latitude and longitude in degrees, altitude in m or NaN; None where they are not written, or cannot be."""
    found = []
    for reference, tag, negative, most in ((1, 2, "S", 90), (3, 4, "W", 180)):
        parts = gps.get(tag)
        if not isinstance(parts, tuple | list) or len(parts) != 3:
            return None
        try:
            degrees = sum(float(part) / 60**i for i, part in enumerate(parts))
        except (TypeError, ValueError, ZeroDivisionError):
            return None
        if not degrees <= most:
            return None
        found.append(-degrees if str(gps.get(reference, "")).upper().startswith(negative) else degrees)
    if not any(found):  # 0, 0 lies in the sea, and is what programs write that know nothing
        return None
    below = gps.get(5) in (1, b"\x01")
    try:
        altitude = float(gps.get(6, math.nan)) * (-1 if below else 1)
    except (TypeError, ValueError, ZeroDivisionError):
        altitude = math.nan
    return np.array([*found, altitude])


def photo_facts(source: Source) -> tuple[Camera, Prior, Taken]:
    """A photo's camera as `camera_of_photo` has it, and how it was taken; InputError if it cannot be opened."""
    with opened_photo(source) as photo:
        return *guessed_camera(*photo.size, exif_focal_px(photo)), taken(photo)


def _number(value) -> float:
    """0 where a tag is missing or no number, such as 0/0."""
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return 0.0
    return number if math.isfinite(number) else 0.0
