"""What the adapters of benchmarks share: references of a supplied model, ground truth in a file."""

import pathlib
from collections.abc import Mapping

from localize.io.images import open_photo
from localize.io.models.colmap import read_colmap_images
from localize.io.models.nvm import read_nvm_images
from localize.io.names import Names, of_queries
from localize.io.text import read_poses
from localize.types import Camera, Image, ImageList, InputError


def model_images(
    model: pathlib.Path,
    problems: list[str],
    *,
    root: pathlib.Path,
    cameras: Mapping[str, Camera] | None = None,
) -> list[Image]:
    """Images of an NVM file or of the COLMAP model in a folder, with poses and cameras.

    cameras: by name, in place of the model's own; an image that is not there is a problem.
    An NVM knows no image size: without `cameras` it is read from the photos.
    """
    if model.is_dir():
        found = read_colmap_images(model, problems)
    else:
        found = []
        for name, focal_px, radial, pose in read_nvm_images(model, problems):
            if cameras is None:
                width, height = photo_size(root / name)
                found.append(
                    Image(name, Camera("SIMPLE_RADIAL", width, height, [focal_px, width / 2, height / 2, radial]), pose)
                )
            else:
                found.append(Image(name, None, pose))
    if cameras is None:
        return found
    missing = [image.name for image in found if image.name not in cameras]
    if missing:
        problems.append(f"{len(missing)} images of {model}, such as {missing[0]}, have no intrinsics")
    return [Image(i.name, cameras[i.name], i.pose) for i in found if i.name in cameras]


def photo_size(path: pathlib.Path) -> tuple[int, int]:
    """Width and height in px from a photo's header."""
    try:
        with open_photo(path) as photo:
            return photo.size
    except InputError:
        raise
    except (OSError, SyntaxError, ValueError, EOFError, OverflowError) as e:
        raise InputError(f"photo {path} is missing or cannot be read") from e


def truth_of(path: str | None, queries: list[Image], problems: list[str]) -> ImageList | None:
    """Queries with their poses from a file of lines `name qw qx qy qz tx ty tz`; None without a file."""
    if path is None:
        return None
    names = Names(q.name for q in queries)
    poses = of_queries(path, read_poses(pathlib.Path(path).expanduser(), problems, names), names, problems)
    return ImageList(tuple(Image(q.name, q.camera, poses[q.name], q.tags) for q in queries if q.name in poses))
