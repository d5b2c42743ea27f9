"""What the adapters share: references of a supplied model, ground truth in a file."""

import logging
import pathlib
from collections.abc import Mapping

from localize.io.images import open_photo
from localize.io.models.bundler import ENDING as BUNDLER
from localize.io.models.bundler import read_bundler_images
from localize.io.models.colmap import read_colmap_images
from localize.io.models.nvm import read_nvm_images
from localize.io.names import Names, PhotoNames, of_queries
from localize.io.text import read_poses
from localize.types import Camera, Image, ImageList, InputError

log = logging.getLogger(__name__)
FILES = ".nvm", BUNDLER  # models in a file, which know no image sizes


def the_model(path: str | pathlib.Path, option: str = "dataset.model", files: tuple[str, ...] = FILES) -> pathlib.Path:
    """A COLMAP model's folder, or the only one below a folder (`sparse` for `sparse/0`, hloc's outputs); or a file.

    option: what the user calls it; files: the endings of files that will do. InputError if there is none, or which of
    them is not clear.
    """
    wanted = " or ".join(["the folder of a COLMAP model", *(f"a file *{ending}" for ending in files)])
    path = pathlib.Path(path).expanduser().absolute()
    if path.suffix.lower() in files and path.is_file():
        return path
    if path.is_file():
        raise InputError(f"{option}={path} is a file, but must be {wanted}")
    if not path.is_dir():
        raise InputError(f"folder {path} is missing: {option} must be {wanted}")
    if _holds_model(path):
        return path
    near = (p.parent for levels in ("*", "*/*", "*/*/*") for p in path.glob(f"{levels}/images.*"))
    below = sorted({folder for folder in near if _holds_model(folder)})
    below = [p for p in below if not set(p.parents) & set(below)]  # hloc leaves the others below the one it kept
    if len(below) > 1:
        shown = ", ".join(str(p.relative_to(path)) for p in below[:6])
        raise InputError(f"{path} holds {len(below)} COLMAP models ({shown}): name one of them as {option}")
    if below:
        log.info("the COLMAP model is %s", below[0])
    return below[0] if below else path


def _holds_model(folder: pathlib.Path) -> bool:
    return any(all((folder / f"{stem}{s}").is_file() for stem in ("cameras", "images")) for s in (".bin", ".txt"))


def model_images(
    model: pathlib.Path,
    problems: list[str],
    *,
    root: pathlib.Path,
    cameras: Mapping[str, Camera] | None = None,
) -> list[Image]:
    """Images of an NVM or Bundler file or of the COLMAP model in a folder, with poses and cameras.

    cameras: by name, in place of the model's own; an image that is not there is a problem.
    A file knows no image size: without `cameras` it is read from the photos, and an image without its photo left out.
    """
    if model.is_dir():
        found = read_colmap_images(model, problems)
    else:
        read = read_bundler_images if model.suffix.lower() == BUNDLER else read_nvm_images
        listed = read(model, problems)
        if cameras is None:
            return _with_sizes(listed, root, model, problems)
        found = [Image(name, None, pose) for name, _, _, pose in listed]
    if cameras is None:
        return found
    missing = [image.name for image in found if image.name not in cameras]
    if missing:
        problems.append(f"{len(missing)} images of {model}, such as {missing[0]}, have no intrinsics")
    return [Image(i.name, cameras[i.name], i.pose) for i in found if i.name in cameras]


def _with_sizes(listed: list[tuple], root: pathlib.Path, model: pathlib.Path, problems: list[str]) -> list[Image]:
    """Images of (name, focal px, radial coefficients, pose), the principal point in the middle of the photo."""
    photos, found, missing = PhotoNames(root), [], []
    for name, focal_px, radial, pose in listed:
        there = photos.find(name)
        if there is None:
            missing.append(name)
            continue
        width, height = photo_size(root / there)
        bent = [radial] if isinstance(radial, float) else list(radial)
        kind = "SIMPLE_RADIAL" if len(bent) == 1 else "RADIAL"
        found.append(Image(name, Camera(kind, width, height, [focal_px, width / 2, height / 2, *bent]), pose))
    if missing and 2 * len(missing) >= len(listed):
        said = f"{len(missing)} of {len(listed)} photos, such as {missing[0]}, of {model} are missing in {root}"
        problems.append(f"{said}: name the folder they are in")
    elif missing:
        log.warning("%d photos, such as %s, of %s are missing: they are left out", len(missing), missing[0], model)
    return found


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
