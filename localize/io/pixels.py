"""A picture of any kind as pixels of 8 bits: deep ones by the depth that their values have, LAB and CMYK converted.

Cameras of 10, 12 or 14 bits write their values into files of 16 as they are, so that the brightest is 1023, 4095 or
16383. The depth is taken from the values: no header tells it reliably. Of colours of 16 bits Pillow gives the upper
bytes alone; where the values lie in the lower ones, the file is decoded once more in the other order of bytes.
"""

from collections.abc import Callable

import numpy as np
import PIL.Image

DEPTHS = 8, 10, 12, 14, 16  # bits that values in a file of 16 may have


def channel_bits(photo: PIL.Image.Image) -> int:
    """Bits per channel: 8, 16, or 32, whose range is unknown. Of a photo in a file before its pixels are loaded."""
    if photo.mode == "F" or (photo.mode == "I" and photo.format not in ("PNG", "PPM")):
        return 32
    return 16 if photo.mode.startswith("I") or ";16" in _rawmode(photo) else 8


def pixels_of(photo: PIL.Image.Image, again: Callable[[], PIL.Image.Image] | None = None, *, grey: bool) -> np.ndarray:
    """(H, W) uint8 if grey (0.299 R + 0.587 G + 0.114 B), else (H, W, 3) uint8 RGB.

    again: opens the same file once more. ValueError for 32 bits per channel, else what Pillow raises on a damaged file.
    """
    bits, rawmode = channel_bits(photo), _rawmode(photo)
    if bits == 32:
        raise ValueError("32 bits per pixel, of unknown range")
    photo.load()
    if photo.mode.startswith("I"):
        photo = _in_8_bits(np.asarray(photo, np.int64).clip(0, 65535))
    elif bits == 16 and photo.mode in ("RGB", "RGBA") and again is not None:
        upper = np.asarray(photo, np.int64)[..., :3]
        if upper.max() < 1 << DEPTHS[-2] - 8:
            photo = _in_8_bits(upper * 256 + _lower_bytes(again(), rawmode))
    elif photo.mode == "LA":  # an alpha channel is no light: drop it
        photo = photo.convert("L")
    elif photo.mode == "LAB":  # Pillow knows no way from it to grey
        photo = photo.convert("RGB")
    return np.ascontiguousarray(photo.convert("L" if grey else "RGB"))


def _rawmode(photo: PIL.Image.Image) -> str:
    """How the file holds its pixels, such as `RGB;16B`; empty where that is not known."""
    args = photo.tile[0].args if getattr(photo, "tile", None) else ""
    return args if isinstance(args, str) else str(args[0]) if args else ""


def _lower_bytes(photo: PIL.Image.Image, rawmode: str) -> np.ndarray:
    """(H, W, 3) of a photo whose upper bytes this rawmode gives."""
    with photo:
        order = "B" if rawmode[-1] in "LN" else "L"  # N: this machine's order, little-endian wherever this runs
        other = rawmode[:-1] + order
        photo.tile = [
            tile._replace(args=other if isinstance(tile.args, str) else (other, *tile.args[1:])) for tile in photo.tile
        ]
        return np.asarray(photo, np.int64)[..., :3]


def _in_8_bits(values: np.ndarray) -> PIL.Image.Image:
    """From values of 16 bits or of the fewer that they need."""
    depth = next(bits for bits in DEPTHS if values.max(initial=0) < 1 << bits)
    return PIL.Image.fromarray((values * 255 // ((1 << depth) - 1)).astype(np.uint8))


def resized(photo: np.ndarray, factor: float) -> tuple[np.ndarray, np.ndarray]:
    """The photo (H, W) or (H, W, 3) uint8 at this multiple of its size, and the factors (x, y) float32 from its pixels
    to the original ones, which rounding makes differ."""
    height, width = photo.shape[:2]
    if factor != 1:
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        photo = np.asarray(PIL.Image.fromarray(photo).resize(size, PIL.Image.Resampling.LANCZOS))
    return photo, np.array([width / photo.shape[1], height / photo.shape[0]], np.float32)
