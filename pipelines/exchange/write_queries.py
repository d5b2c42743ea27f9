"""A list of queries with intrinsics for a folder of photos, which `dataset.queries` takes."""

import pathlib
from collections import defaultdict

import numpy as np

from localize.datasets.shared.models import the_model
from localize.io.exif import camera_of_photo
from localize.io.files import writing
from localize.io.images import list_photos
from localize.io.models.colmap import read_colmap_images
from localize.io.text import blank_in, query_line, write_text
from localize.types import Camera, Image, InputError, collecting

SAME = 0.05  # by how much focal lengths may differ for one camera


def run(*, photos: str, file: str = "queries.txt", model: str | None = None) -> str:
    """Write a line per photo below the folder `photos`, named relative to it; returns what was written, in words.

    The intrinsics are those of the camera of a COLMAP model for photos of the same size, if `model` names one and all
    its cameras of that size have about the same focal length; else those in EXIF, without distortion; else the line
    says `auto`. InputError with all photos that cannot be used; an existing file is left as it is.
    """
    root, path = pathlib.Path(photos).expanduser(), pathlib.Path(file).expanduser()
    problems: list[str] = []
    if not root.is_dir():
        raise InputError(f"folder {root} is missing: pipeline.photos must be the folder of the photos")
    if path.exists():
        raise InputError(f"{path} is there already: delete it, or name another one as pipeline.file")
    cameras = {}
    if model is not None:
        with collecting(problems):
            cameras = _by_size(pathlib.Path(model), problems)
    names = list_photos(root)
    if not names:
        problems.append(f"folder {root} holds no photos")
    lines, of_kind = [], dict.fromkeys(("the model's camera", "EXIF", "auto"), 0)
    for name in names:
        if len(name.split()) != 1:
            problems.append(f"photo {blank_in([name])}")
            continue
        try:
            guessed, prior = camera_of_photo(root / name)
        except InputError as e:
            problems += e.problems
            continue
        known = cameras.get((guessed.width, guessed.height))
        kind = "the model's camera" if known is not None else "EXIF" if prior.focal == "guessed" else "auto"
        of_kind[kind] += 1
        image = Image(name, guessed, prior=prior) if known is None else Image(name, known)
        lines.append(f"{name} auto\n" if kind == "auto" else query_line(image))
    if problems:
        raise InputError(*problems)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, "".join(lines))
    return _said(root, path, of_kind)


def _by_size(model: pathlib.Path, problems: list[str]) -> dict[tuple[int, int], Camera]:
    """The camera of each size in a COLMAP model: that of the median focal length, where all have about the same."""
    found = defaultdict(list)
    for image in read_colmap_images(the_model(model, "pipeline.model", files=()), problems):
        found[image.camera.width, image.camera.height].append(image.camera)
    sorted_by_focal = {size: sorted(cameras, key=lambda c: c.focal_px) for size, cameras in found.items()}
    return {
        size: cameras[len(cameras) // 2]
        for size, cameras in sorted_by_focal.items()
        if np.ptp([c.focal_px for c in cameras]) <= SAME * cameras[len(cameras) // 2].focal_px
    }


def _said(root: pathlib.Path, path: pathlib.Path, of_kind: dict[str, int]) -> str:
    known, guessed, auto = of_kind.values()
    return (
        f"{known + guessed + auto} photos of {root} are in {path}: {known} with the model's camera, {guessed} with the "
        f"focal length in their EXIF, {auto} with none (auto: it is estimated). Next: dataset.queries={path} "
        f"dataset.query_image_root={root}"
    )
