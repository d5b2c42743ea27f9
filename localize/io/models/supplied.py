"""A supplied 3D model, whatever its format."""

import pathlib

from localize.io.models.colmap import read_colmap_model
from localize.io.models.nvm import read_nvm
from localize.types import InputError, SourceModel


def check_model(path: pathlib.Path, otherwise: str = "mapping=triangulation") -> None:
    """InputError if the files of the model are not there, before the work that needs them; it names what does not."""
    if not path.exists():
        raise InputError(f"the supplied model {path} is missing: get it, or take {otherwise}")
    if path.is_dir() and not any((path / f"points3D.{suffix}").is_file() for suffix in ("bin", "txt")):
        raise InputError(f"the supplied model {path} has no points3D.bin or points3D.txt: take {otherwise}")


def read_model(path: pathlib.Path, problems: list[str]) -> SourceModel:
    """The COLMAP model in a folder, or the NVM file; what is bad goes to `problems`."""
    return read_colmap_model(path, problems) if path.is_dir() else read_nvm(path, problems)


def sound_model(path: pathlib.Path) -> SourceModel:
    """The same; InputError with all that is bad."""
    problems: list[str] = []
    model = read_model(path, problems)
    if problems:
        raise InputError(*problems)
    return model
