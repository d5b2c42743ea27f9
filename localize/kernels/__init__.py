"""Hot loops, compiled by numba and cached beside the source or in the user's cache, else in a temporary folder.

numba asks only whether a kernel's own file has changed, not those it calls, so all are cached in a folder that is named
after the content of all.
"""

import hashlib
import os
import pathlib
import tempfile

from numba.core import config

_HERE = pathlib.Path(__file__).parent


def _writable(folder: pathlib.Path) -> bool:
    """Whether the folder, or the first of its parents that exists, can be written."""
    while not folder.exists():
        folder = folder.parent
    return os.access(folder, os.W_OK)


def _cache() -> pathlib.Path:
    content = hashlib.sha256()
    for path in sorted(_HERE.glob("*.py")):
        content.update(path.read_bytes())
    temporary = pathlib.Path(tempfile.gettempdir(), f"numba-{os.getuid()}")
    folders = _HERE / "__pycache__", pathlib.Path("~/.cache/numba").expanduser(), temporary
    return next(f for f in folders if _writable(f)) / f"kernels-{content.hexdigest()[:16]}"


if not config.CACHE_DIR:
    config.CACHE_DIR = str(_cache())
