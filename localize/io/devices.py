"""Which camera took a photo: one of a map's, where size and EXIF are the same, else what its own EXIF says."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from localize.io.exif import camera_of_photo, taken
from localize.io.images import Source, open_photo
from localize.types import Camera, InputError, Prior

_BAD_FILE = (OSError, SyntaxError, ValueError, EOFError, OverflowError, KeyError, TypeError)


def device_of(source: Source) -> str:
    """What took a photo, by its EXIF, see `Taken.device`; empty where it does not say."""
    try:
        with open_photo(source) as photo:
            said = taken(photo)
            return said.device if said.by_exif else ""
    except (InputError, *_BAD_FILE):
        return ""


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
        alike = self._alike(size).get(device)
        if alike:
            alike = sorted(alike, key=lambda c: c.focal_px)
            same = len({(c.model, tuple(c.params)) for c in alike}) == 1
            prior = None if same else Prior(focal="guessed")
            source = "a camera of the map" if device else "the map's camera of their size, as EXIF names no device"
            return TakenBy(alike[len(alike) // 2], prior, device, source)
        return TakenBy(camera, prior, device, "EXIF" if prior.focal == "guessed" else "nothing")

    def _alike(self, size: tuple[int, int]) -> dict[str, list[Camera]]:
        """The known cameras of this size by device."""
        if size not in self._of_device:
            found = defaultdict(list)
            for camera, photo in self._of_size[size]:
                found[device_of(photo)].append(camera)
            self._of_device[size] = found
        return self._of_device[size]
