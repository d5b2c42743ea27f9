"""Photos as a user gives them to a training: folders, with all below them."""

import pathlib
from collections.abc import Iterable

from localize.io.images import list_photos
from localize.types import InputError


def listed(folders: Iterable[str], setting: str) -> list[tuple[pathlib.Path, str]]:
    """(folder, name) of all photos below the folders; InputError for one without any, which the setting named."""
    found = []
    for folder in map(pathlib.Path, folders):
        names = list_photos(folder) if folder.is_dir() else []
        if not names:
            raise InputError(f"folder {folder} is missing or holds no photos: give another in {setting}")
        found += [(folder, name) for name in names]
    return found
