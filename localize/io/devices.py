"""Which camera took a photo: one of a map's, where size and EXIF are the same, else what its own EXIF says."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import PIL.Image

from localize.io.exif import camera_of_photo
from localize.io.images import Source, open_photo
from localize.types import Camera, InputError, Prior

_MAKE, _MODEL, _EXIF, _FOCAL_MM, _LENS = 0x010F, 0x0110, 0x8769, 0x920A, 0xA434
_BAD_FILE = (OSError, SyntaxError, ValueError, EOFError, OverflowError, KeyError, TypeError)

Device = tuple[
    str, ...
]  # make, model, lens, focal length in mm, as EXIF (CIPA DC-008) has them; empty: it says nothing


def device_of(source: Source) -> Device:
    """What took a photo, by its EXIF."""
    try:
        with open_photo(source) as photo:
            return _device(photo)
    except (InputError, *_BAD_FILE):
        return ()


def _device(photo: PIL.Image.Image) -> Device:
    tags = photo.getexif()
    own = tags.get_ifd(_EXIF)
    said = [tags.get(_MAKE), tags.get(_MODEL), own.get(_LENS), own.get(_FOCAL_MM)]
    return tuple("" if tag is None else str(tag).strip("\0 ") for tag in said) if any(said) else ()


@dataclass(frozen=True, eq=False)
class TakenBy:
    """The camera of a photo, where it was taken from, and the lens that it shares with others; empty: with none."""

    camera: Camera
    prior: Prior | None
    lens: str
    source: str  # in words


@dataclass(frozen=True, eq=False)
class KnownCameras:
    """The cameras of photos: pairs of a camera and its photo."""

    known: Iterable[tuple[Camera, Source]]
    _of_size: dict = field(default_factory=lambda: defaultdict(list))
    _of_device: dict = field(default_factory=dict)

    def __post_init__(self):
        for camera, photo in self.known:
            self._of_size[camera.width, camera.height].append((camera, photo))

    def of(self, photo: Source) -> TakenBy:
        """Of another photo: a known one of its size and device, believed if all such agree; else by EXIF, or unknown.

        InputError if the photo cannot be opened.
        """
        camera, prior = camera_of_photo(photo)
        size, device = (camera.width, camera.height), device_of(photo)
        lens = " ".join(map(str, (*device, *size))) if device else ""
        alike = self._alike(size).get(device)
        if alike:
            alike = sorted(alike, key=lambda c: c.focal_px)
            same = len({(c.model, tuple(c.params)) for c in alike}) == 1
            prior = None if same else Prior(focal="guessed")
            return TakenBy(alike[len(alike) // 2], prior, lens, "a camera of the map")
        return TakenBy(camera, prior, lens, "EXIF" if prior.focal == "guessed" else "nothing")

    def _alike(self, size: tuple[int, int]) -> dict[Device, list[Camera]]:
        """The known cameras of this size by device."""
        if size not in self._of_device:
            found = defaultdict(list)
            for camera, photo in self._of_size[size]:
                found[device_of(photo)].append(camera)
            self._of_device[size] = found
        return self._of_device[size]
