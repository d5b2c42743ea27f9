"""Frames of a video that are worth keeping as photos: moved enough since the last one, and the sharpest around.

Sharpness is the variance of the Laplacian (Pech-Pacheco et al. 2000). Movement is measured by phase correlation (Kuglin
and Hines 1975) of blocks of small pictures: the median shift of the blocks that show anything.
"""

import importlib
import math
import pathlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import PIL.Image
import scipy.fft
import scipy.ndimage

from localize.types import InputError, check_regular

SHARP_PX, SMALL_PX = 960, 320  # longer sides of the pictures in which sharpness and movement are measured
_BLOCK_PX, _COLUMNS, _ROWS = 96, 5, 3
_TEXTURE = 3.0  # grey levels: standard deviation of a block that shows anything
_PEAK = 0.2  # of a perfect correlation's, under which a block shows something else
_SIGMA = 0.12  # cycles per px to which frequencies count: what is finer is noise


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame as it was looked at."""

    time_s: float
    sharpness: float
    small: np.ndarray  # (h, w) float32 grey, longer side about SMALL_PX
    photo: PIL.Image.Image  # upright, of full size


class Video:
    """An open video file; InputError if it is none, or PyAV is not installed."""

    def __init__(self, path: pathlib.Path):
        self.path, self.looked_at = path, 0
        self.damage: str | None = None  # why it could not be read to its end
        check_regular(path)
        if not path.is_file():
            raise InputError(f"video {path} is missing")
        try:
            self._av = importlib.import_module("av")
        except ImportError as e:
            raise InputError("PyAV, which reads videos, is not installed: pip install av") from e
        try:
            self._file = self._av.open(str(path))
        except (self._av.error.FFmpegError, OSError, ValueError) as e:
            raise InputError(f"{path} is no video that can be read ({e}): is it whole?") from e
        if not self._file.streams.video:
            self._file.close()
            raise InputError(f"{path} holds no pictures: it is no video")

    def __enter__(self) -> "Video":
        return self

    def __exit__(self, *_) -> None:
        self._file.close()

    @property
    def seconds(self) -> float | None:
        """How long it is, where the file says so."""
        return None if self._file.duration is None else self._file.duration / self._av.time_base

    def frames(self, per_second: float) -> Iterator[Frame]:
        """At most so many of each second, in order of time."""
        stream = self._file.streams.video[0]
        stream.thread_type = "AUTO"
        due = -math.inf
        try:
            for number, found in enumerate(self._file.decode(stream)):
                time_s = float(found.time) if found.time is not None else number / float(stream.average_rate or 30)
                if time_s < due - 1e-6:
                    continue
                due = (time_s if due == -math.inf else due) + 1 / per_second
                due = max(due, time_s)
                self.looked_at += 1
                yield _looked_at(found, time_s)
        except self._av.error.FFmpegError as e:
            self.damage = str(e)
        if not self.looked_at:
            raise InputError(f"{self.path} holds no frame that can be read: {self.damage or 'it is empty'}")


def _looked_at(found, time_s: float) -> Frame:
    """A decoded frame of PyAV, turned as the file says that it is to be shown."""
    by = min(1.0, SHARP_PX / max(found.width, found.height))
    size = {"width": max(1, round(found.width * by)), "height": max(1, round(found.height * by))}
    grey = found.reformat(**size, format="gray", interpolation="AREA").to_ndarray().astype(np.float32)
    photo = found.to_image()
    if found.rotation:  # counter-clockwise, as Pillow counts too
        photo = photo.rotate(found.rotation, expand=True)
    return Frame(time_s, sharpness(grey), reduced(grey), photo)


def sharpness(grey: np.ndarray) -> float:
    """Variance of the Laplacian of a picture (H, W)."""
    return float(scipy.ndimage.laplace(grey.astype(np.float32)).var())


def reduced(grey: np.ndarray) -> np.ndarray:
    """The picture (H, W) by means of squares, its longer side about SMALL_PX."""
    n = max(1, round(max(grey.shape) / SMALL_PX))
    h, w = grey.shape[0] // n, grey.shape[1] // n
    return grey[: h * n, : w * n].reshape(h, n, w, n).mean((1, 3), dtype=np.float32)


def movement(first: np.ndarray, second: np.ndarray) -> float:
    """How far the picture moved between two small ones of a size, as a share of the longer side.

    Infinite where most of it shows something else, 0 where there is nothing to see.
    """
    size = min(_BLOCK_PX, *first.shape)
    tops, lefts = (np.linspace(0, n - size, k).astype(int) for n, k in zip(first.shape, (_ROWS, _COLUMNS), strict=True))
    window = np.hanning(size + 2)[1:-1].astype(np.float32)
    window = window[:, None] * window
    passed = _low_pass(size)
    shifts = []
    for top in tops:
        for left in lefts:
            a, b = (_block(p[top : top + size, left : left + size], window) for p in (first, second))
            if max(a.std(), b.std()) < _TEXTURE / 2:  # the window halves it
                continue
            cross = scipy.fft.rfft2(a) * scipy.fft.rfft2(b).conj()
            found = scipy.fft.irfft2(cross / (np.abs(cross) + 1e-6) * passed, a.shape)
            at = np.unravel_index(found.argmax(), found.shape)
            perfect = scipy.fft.irfft2(passed, a.shape)[0, 0]
            shift = [min(i, size - i) for i in at]
            shifts.append(math.hypot(*shift) if found.max() > _PEAK * perfect else math.inf)
    return float(np.median(shifts)) / max(first.shape) if shifts else 0.0


def _block(part: np.ndarray, window: np.ndarray) -> np.ndarray:
    return (part - part.mean()) * window


def _low_pass(size: int) -> np.ndarray:
    rows, columns = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)
    return np.exp(-(rows**2 + columns**2) / (2 * _SIGMA**2)).astype(np.float32)


def chosen(frames: Iterable[Frame], motion: float, around_s: float) -> Iterator[Frame]:
    """The sharpest of the frames just after the picture moved by `motion`, a share of its longer side, since the last.

    around_s: how long after the first of them they may come; where the picture moves by as much again, they end.
    """
    kept = first = best = None
    for frame in frames:
        if best is not None and (frame.time_s - first.time_s > around_s or movement(first.small, frame.small) > motion):
            yield best
            kept, first, best = best, None, None
        if best is not None:
            best = frame if frame.sharpness > best.sharpness else best
        elif kept is None or movement(kept.small, frame.small) >= motion:
            first = best = frame
    if best is not None:
        yield best
