"""Checks that the adapters share; what is wrong is collected, so that a user sees all of it at once."""

import logging
import os
import pathlib

from localize.geometry.intrinsics import cameras_of
from localize.io.images import check_photo
from localize.io.text import blank_in
from localize.types import Image, InputError, repeated_names

log = logging.getLogger(__name__)
FEW = 0.02  # share of the references whose cameras may be wrong
SHOWN = 5  # sentences of one kind; a whole grey or missing data set is one remark, not thousands


def dataset_folder(root: str | None, name: str) -> pathlib.Path:
    """The folder of a benchmark: `root`, or the folder `name` in $LOCALIZE_DATA. It need not exist yet."""
    if root is None and not os.environ.get("LOCALIZE_DATA"):
        raise InputError(
            f"say where {name} is: dataset.root=FOLDER, or set LOCALIZE_DATA to a folder that holds a folder {name}"
        )
    found = root if root is not None else os.path.join(os.environ["LOCALIZE_DATA"], name)
    return pathlib.Path(found).expanduser().absolute()


def downloaded(folder: pathlib.Path) -> pathlib.Path:
    """The folder of a benchmark; InputError if it is not there."""
    if not folder.is_dir():
        raise InputError(f"folder {folder} is missing: download it with +pipeline=download, or give dataset.root")
    return folder


def existing_folder(path, field: str, content: str, problems: list[str]) -> pathlib.Path:
    """The folder as an absolute path; a problem if it is not there."""
    folder = pathlib.Path(path).expanduser().absolute()
    if not folder.is_dir():
        problems.append(f"folder {folder} is missing: {field} must be {content}")
    return folder


def query_folder(path: str | None, root: pathlib.Path, problems: list[str]) -> pathlib.Path:
    """Where the queries' photos are, which may be elsewhere than the references' `root`."""
    if not path:
        return root
    return existing_folder(path, "dataset.query_image_root", "the queries' folder", problems)


def check_photos(root: pathlib.Path, images: list[Image], problems: list[str], *, may_lack: bool = False) -> None:
    """Look at every photo's header: what cannot be used goes to `problems`, what is unusual is logged.

    may_lack: fewer photos than half may be missing, such as some that were deleted since the model was made: the stages
    name them and leave them out.
    """
    if not root.is_dir():
        return  # one problem, not one per photo; `existing_folder` named it
    if len(images) > 1 and not any((root / image.name).exists() for image in images):
        problems.append(
            f"none of {len(images)} photos, such as {images[0].name}, is in {root}: name the folder they are in"
        )
        return
    missing = [image.name for image in images if not (root / image.name).exists()]
    if may_lack and 0 < 2 * len(missing) < len(images):
        log.warning(
            "%d of %d reference photos, such as %s, are missing in %s: they will be left out",
            *(len(missing), len(images), missing[0], root),
        )
        passed, more = set(missing), 0
    else:
        passed, more = set(missing[SHOWN:]), len(missing) - SHOWN
    remarks = []
    for image in images:
        if image.name in passed:
            continue
        problem, remark = check_photo(root / image.name, image.camera)
        if problem:
            problems.append(problem)
        elif remark:
            remarks.append(remark)
    if more > 0:
        problems.append(f"and {more} more photos are missing in {root}: was everything unpacked?")
    for remark in remarks[:SHOWN]:
        log.warning("%s", remark)
    if len(remarks) > SHOWN:
        log.warning("and %d more photos in %s that are unusual in such ways", len(remarks) - SHOWN, root)


def check_cameras(references: list[Image], queries: list[Image], problems: list[str]) -> None:
    """Intrinsics that cannot be right go to `problems`, unlikely ones are logged; one sentence for each camera.

    Of many references a few may have a camera that went wrong when the model was made: no point will rest on them.
    """
    for images, few in ((references, FEW * len(references)), (queries, 0)):
        of_cameras = cameras_of(images)
        wrong = sum(len(of) for of, impossible, _ in of_cameras.values() if impossible)
        remarks = []
        for of, impossible, unlikely in of_cameras.values():
            more = f" and {len(of) - 1} more" if len(of) > 1 else ""
            if impossible and wrong > few:
                problems.append(f"camera of {of[0].name}{more}: {impossible}")
            elif impossible or unlikely:
                remarks.append(f"camera of {of[0].name}{more}: {impossible or unlikely}; it is used as it is")
        for remark in remarks[:SHOWN]:
            log.warning("%s", remark)
        if len(remarks) > SHOWN:
            log.warning("and %d more cameras that are unlikely in such ways", len(remarks) - SHOWN)


def check_query_names(queries: list[Image], problems: list[str]) -> None:
    """Result files separate their fields by blanks, so a query's name must not hold one."""
    for query in queries:
        if len(query.name.split()) != 1:
            problems.append(f"query {blank_in([query.name])}")


def refuse_photos(
    root: pathlib.Path, references: list[Image], query_root: pathlib.Path, queries: list[Image], problems: list[str]
) -> None:
    """InputError with the problems so far and those of the photos, the queries' in a folder of their own."""
    check_photos(root, references, problems, may_lack=True)
    check_photos(query_root, queries, problems)
    check_cameras(references, queries, problems)
    check_query_names(queries, problems)
    if problems:
        raise InputError(*problems)


def refuse(
    where: pathlib.Path, root: pathlib.Path, references: list[Image], queries: list[Image], problems: list[str]
) -> None:
    """InputError with the problems so far, and those of the names and of the photos in `root`, if there are any."""
    if not root.is_dir():
        problems.append(f"folder {root} is missing: the photos must be there")
    repeated = repeated_names(image.name for image in [*references, *queries])
    problems += [f"{where}: {p}" for p in repeated[:SHOWN]]
    if len(repeated) > SHOWN:
        problems.append(f"{where}: and {len(repeated) - SHOWN} more names are listed more than once")
    check_query_names(queries, problems)
    check_photos(root, [*references, *queries], problems)
    check_cameras(references, queries, problems)
    if problems:
        raise InputError(*problems)
