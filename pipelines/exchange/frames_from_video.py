"""Photos out of a video: the sharpest frames, each moved enough since the one before."""

import logging
import pathlib

from localize.io.files import whole_folder, writing
from localize.io.video import Video, chosen
from localize.progress import work
from localize.types import InputError

log = logging.getLogger(__name__)


def run(
    *,
    progress: bool = False,
    video: str,
    folder: str,
    motion: float = 0.1,
    around_s: float = 0.5,
    frames_per_second: float = 15.0,
    quality: int = 95,
) -> str:
    """Write frames of a video as JPEG into a new folder, named by their time; returns what was written, in words.

    motion: how far the picture must have moved since the last one kept, as a share of its longer side; around_s: the
    sharpest is taken of the frames of so many seconds after that. frames_per_second: that are looked at. quality: of
    JPEG. InputError if the file is no video, PyAV is missing, or the folder is not empty.
    """
    path, target = pathlib.Path(video).expanduser(), pathlib.Path(folder).expanduser().absolute()
    if not 0 < motion < 1 or not frames_per_second > 0 or not 1 <= quality <= 100:
        raise InputError("pipeline.motion must lie between 0 and 1, frames_per_second above 0, quality from 1 to 100")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"pipeline.folder={target} is not empty: name a new folder")
    written = []
    with Video(path) as source, writing(target), whole_folder(target) as new:
        seen = _shown(source, progress, frames_per_second)
        for frame in chosen(seen, motion, around_s):
            name = f"{'_'.join(path.stem.split())}_{round(frame.time_s * 1000):08d}.jpg"
            frame.photo.save(new / name, quality=quality)
            written.append(name)
        looked_at, damage = source.looked_at, source.damage
    if damage is not None:
        log.error("%s could not be read to its end (%s): what came before is kept", path, damage)
    if len(written) < 3:
        log.warning("the picture hardly moves: with a smaller pipeline.motion there are more photos")
    return (
        f"{len(written)} photos, {written[0]} to {written[-1]}, are in {target}: chosen of {looked_at} frames that "
        "were looked at. The numbers are milliseconds."
    )


def _shown(source: Video, progress: bool, per_second: float):
    """The frames; how far they are is told in seconds of the video."""
    total = source.seconds and round(source.seconds)
    with work(f"{source.path.name}, seconds", total, shown=progress) as counting:
        for frame in source.frames(per_second):
            counting.update(frame.time_s - counting.done)
            yield frame
