"""A supplied 3D model, whatever its format."""

import pathlib

from localize.io.colmap_model import read_colmap_model
from localize.io.nvm import read_nvm
from localize.types import SourceModel


def read_model(path: pathlib.Path, problems: list[str]) -> SourceModel:
    """The COLMAP model in a folder, or the NVM file; what is bad goes to `problems`."""
    return read_colmap_model(path, problems) if path.is_dir() else read_nvm(path, problems)
