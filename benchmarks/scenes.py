"""Scenes by one word on the command line: minitown, a town that was rendered, or a folder of Strecha et al."""

import pathlib

from localize.datasets.minitown import Minitown
from localize.datasets.strecha import Strecha
from localize.types import Scene


def scene(name: str) -> Scene:
    """The scene `minitown`, or the one in a folder: queries of all conditions that lie there."""
    if name == "minitown":
        return Minitown().load()
    root = pathlib.Path(name)
    if (root / "cameras.txt").is_file():
        return Minitown(name, conditions=tuple(sorted(p.name for p in (root / "query").iterdir()))).load()
    return Strecha(name).load()
