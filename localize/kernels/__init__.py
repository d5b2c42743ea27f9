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
    folders = _HERE / "__pycache__", pathlib.Path("~/.cache/numba").expanduser()
    return (next((f for f in folders if _writable(f)), None) or _temporary()) / f"kernels-{content.hexdigest()[:16]}"


def _temporary() -> pathlib.Path:
    """A folder of this user's alone: compiled code of others is not run."""
    folder = pathlib.Path(tempfile.gettempdir(), f"numba-{os.getuid()}")
    folder.mkdir(0o700, exist_ok=True)
    ours = not folder.is_symlink() and folder.stat().st_uid == os.getuid()
    return folder if ours else pathlib.Path(tempfile.mkdtemp(prefix="numba-"))


if not config.CACHE_DIR:
    config.CACHE_DIR = str(_cache())
