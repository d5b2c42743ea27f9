"""Checks that the adapters share; what is wrong is collected, so that a user sees all of it at once."""

import logging
import pathlib

from localize.io.images import check_photo
from localize.types import Image, InputError

log = logging.getLogger(__name__)


def existing_folder(path, field: str, content: str) -> pathlib.Path:
    """The folder as a path, absolute; InputError if it is not there."""
    folder = pathlib.Path(path).expanduser().absolute()
    if not folder.is_dir():
        raise InputError(f"folder {folder} is missing: {field} must be {content}")
    return folder


def check_photos(root: pathlib.Path, images: list[Image], problems: list[str]) -> None:
    """Look at every photo's header: what cannot be used goes to `problems`, what is unusual is logged."""
    for image in images:
        problem, remark = check_photo(root / image.name, image.camera)
        if problem:
            problems.append(problem)
        elif remark:
            log.warning("%s", remark)
