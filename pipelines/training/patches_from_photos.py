"""Training patches of any photos: each is warped and shown in other light, by day and by night."""

import functools
import logging
import pathlib
import zlib

import numpy as np

from localize.io.images import list_photos, read_photo
from localize.stages import Workbench
from localize.store import Store
from localize.train.patches.folder import write_patches
from localize.train.patches.from_photos import Homographies, check_extracts
from localize.train.patches.sets import PatchSet, joined
from localize.types import InputError

log = logging.getLogger(__name__)


def run(
    store: Store,
    *,
    output: str,
    workers: int = 1,
    progress: bool = False,
    photos: tuple,
    pattern: str | None = None,
    max_photos: int | None = None,
    versions: int = 4,
    max_points: int = 600,
    night_share: float = 0.4,
    coefficient: float = 13.0,
    seed: int = 0,
    **components,
) -> str:
    """Write `output`/patches in the format of UBC PhotoTour; says how many there are and what to type next.

    photos: folders, searched with all below them; pattern: which of their photos, such as day/*.jpg; max_photos: that
    many, chosen at random. versions, max_points, night_share and coefficient as in Homographies. A photo that
    cannot be read is logged as an error and left out. InputError if there are none.
    """
    make = Homographies(
        versions=versions, max_points=max_points, night_share=night_share, coefficient=coefficient, seed=seed
    )
    feature = components["feature"]
    check_extracts(feature)
    paths = _find(photos, pattern, max_photos, seed)
    bench = Workbench(store, workers, progress)
    sets, images = [], []
    with (
        bench.stage("patches") as record,
        bench.bar("patches", len(paths)) as bar,
    ):
        work = functools.partial(_of_photo, make, feature)
        for i, (found, _) in enumerate(bench.map(work, paths, processes=True)):
            bar.update()
            if isinstance(found, InputError):
                log.error("%s; left out, the rest goes on", found)
                continue
            sets.append(found)
            record.computed += 1
            images.append(np.full(len(found), i))
    if not sets:
        raise InputError(f"none of the {len(paths)} photos could be read")
    source = f"{len(sets)} photo{'s' * (len(sets) > 1)}"
    return write_patches(pathlib.Path(output) / "patches", joined(sets), np.concatenate(images), source, seed)


def _find(folders, pattern: str | None, max_photos: int | None, seed: int) -> list[tuple[pathlib.Path, str]]:
    """(folder, name) of the photos, in the order of their names; InputError for what is missing or empty."""
    problems, found = [], []
    for folder in [folders] if isinstance(folders, str) else folders:
        root = pathlib.Path(folder).expanduser()
        names = list_photos(root)
        wanted = [n for n in names if pattern is None or pathlib.PurePosixPath(n).match(pattern)]
        if not root.is_dir():
            problems.append(f"folder {root} is missing: give pipeline.photos=[FOLDER,...] with photos in them")
        elif not names:
            problems.append(f"folder {root} holds no photos (.jpg, .png, .ppm ...): give another in pipeline.photos")
        elif not wanted:
            problems.append(f"none of the {len(names)} photos in {root} is named like {pattern}: mend pipeline.pattern")
        found += [(root, name) for name in wanted]
    if max_photos is not None and max_photos < 1:
        problems.append(f"pipeline.max_photos is {max_photos}, but must be at least 1, or null for all photos")
    if problems or not found:
        raise InputError(*problems or ["pipeline.photos is empty: give pipeline.photos=[FOLDER,...]"])
    if max_photos is not None and max_photos < len(found):
        chosen = np.random.default_rng(seed).permutation(len(found))[:max_photos]
        found = [found[i] for i in sorted(chosen)]
    return found


def _of_photo(make: Homographies, feature, photo: tuple[pathlib.Path, str]) -> PatchSet | InputError:
    """The patches of one photo, or why it cannot be read. Its name sets the seed, so other photos change nothing."""
    root, name = photo
    try:
        pixels = read_photo(root / name)
    except InputError as e:
        return e
    return make.patches(pixels, feature, zlib.crc32(name.encode()))
