"""Hot loops, compiled by numba and cached beside the source or in the user's cache, else in a temporary folder."""

import os
import pathlib
import tempfile


def _writable(folder: pathlib.Path) -> bool:
    """Whether the folder, or the first of its parents that exists, can be written."""
    while not folder.exists():
        folder = folder.parent
    return os.access(folder, os.W_OK)


if not (_writable(pathlib.Path(__file__).parent) or _writable(pathlib.Path("~/.cache/numba").expanduser())):
    os.environ.setdefault("NUMBA_CACHE_DIR", os.path.join(tempfile.gettempdir(), f"numba-{os.getuid()}"))
