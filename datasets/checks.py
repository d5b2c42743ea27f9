"""Checks that the adapters share; what is wrong is collected, so that a user sees all of it at once."""

import contextlib
import logging
import pathlib
from collections.abc import Iterator

from localize.io.images import check_photo
from localize.types import Image, InputError

log = logging.getLogger(__name__)
SHOWN = 5  # remarks on unusual photos; a whole grey data set is one remark, not thousands


@contextlib.contextmanager
def collecting(problems: list[str]) -> Iterator[None]:
    """Add the problems of an InputError to the list and go on."""
    try:
        yield
    except InputError as e:
        problems += e.problems


def existing_folder(path, field: str, content: str, problems: list[str]) -> pathlib.Path:
    """The folder as an absolute path; a problem if it is not there."""
    folder = pathlib.Path(path).expanduser().absolute()
    if not folder.is_dir():
        problems.append(f"folder {folder} is missing: {field} must be {content}")
    return folder


def check_photos(root: pathlib.Path, images: list[Image], problems: list[str]) -> None:
    """Look at every photo's header: what cannot be used goes to `problems`, what is unusual is logged."""
    if not root.is_dir():
        return  # one problem, not one per photo; `existing_folder` named it
    if len(images) > 1 and not any((root / image.name).exists() for image in images):
        problems.append(
            f"none of {len(images)} photos, such as {images[0].name}, is in {root}: name the folder they are in"
        )
        return
    remarks = []
    for image in images:
        problem, remark = check_photo(root / image.name, image.camera)
        if problem:
            problems.append(problem)
        elif remark:
            remarks.append(remark)
    for remark in remarks[:SHOWN]:
        log.warning("%s", remark)
    if len(remarks) > SHOWN:
        log.warning("and %d more photos in %s that are unusual in such ways", len(remarks) - SHOWN, root)


def check_query_names(queries: list[Image], problems: list[str]) -> None:
    """Result files separate their fields by blanks, so a query's name must not hold one."""
    for query in queries:
        if len(query.name.split()) != 1:
            problems.append(f"query {query.name!r} has a blank in its name, which result files cannot hold: rename it")
