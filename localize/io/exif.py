"""The focal length that a camera wrote into its photo (EXIF), in pixels, and a camera made of it.

CIPA DC-008 (Exif 2.32): FocalLengthIn35mmFilm is the focal length with the same diagonal angle of view on film of
36 mm x 24 mm; FocalPlaneXResolution counts the pixels of the photo as taken per FocalPlaneResolutionUnit.
"""

import math
import pathlib

import PIL.Image

from localize.io.images import open_photo
from localize.types import Camera, InputError, Prior

FILM_DIAGONAL_MM = math.hypot(36, 24)
DEFAULT = 1.2  # times the longer side, where a photo says nothing: an angle of view of 45 degrees
POSSIBLE = 0.2, 20.0  # times the longer side; others are mistakes of what wrote the file
_EXIF, _FOCAL_MM, _FOCAL_35MM, _TAKEN_WIDTH, _TAKEN_HEIGHT = 0x8769, 0x920A, 0xA405, 0xA002, 0xA003
_PER_UNIT, _UNIT = 0xA20E, 0xA210
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


def camera_of_photo(path: str | pathlib.Path) -> tuple[Camera, Prior]:
    """The same for a photo, from its EXIF; InputError if it cannot be opened."""
    try:
        with open_photo(path) as photo:
            return guessed_camera(*photo.size, exif_focal_px(photo))
    except FileNotFoundError as e:
        raise InputError(f"photo {path} is missing: put it there or take its name off the list") from e
    except InputError:
        raise
    except (OSError, SyntaxError, ValueError, EOFError, OverflowError) as e:
        raise InputError(f"photo {path} cannot be opened ({e}): replace it or take it out") from e


def _number(value) -> float:
    """0 where a tag is missing or no number, such as 0/0."""
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return 0.0
    return number if math.isfinite(number) else 0.0
