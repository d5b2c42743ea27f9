"""Whether a file that came from elsewhere is what its name, size and checksum say."""

import pathlib
import re

from localize.keys import sha256_of

HEAD = 512  # bytes that are looked at
MAGIC = {  # what a file of this kind begins with
    ".zip": (b"PK\x03\x04", b"PK\x05\x06"),
    ".gz": (b"\x1f\x8b",),
    ".tgz": (b"\x1f\x8b",),
    ".db": (b"SQLite format 3\x00",),
    ".nvm": (b"NVM_V3",),
}


def wrong_file(path: pathlib.Path, name: str, size: int | None = None, sha256: str | None = None) -> str | None:
    """What is wrong with a complete file, as the rest of a sentence; None if nothing is."""
    found = path.stat().st_size
    if size is not None and found != size:
        return f"has {found} bytes, but must have {size}"
    with open(path, "rb") as f:
        if problem := wrong_start(f.read(HEAD), name):
            return problem
    if sha256 is not None and (digest := sha256_of(path)) != sha256.lower():
        return f"has the SHA-256 {digest}, but must have {sha256.lower()}"
    return None


def wrong_start(head: bytes, name: str) -> str | None:
    """What the first bytes say against a file of this name, as the rest of a sentence; None if nothing."""
    suffix = pathlib.PurePath(name).suffix.lower()
    if re.match(rb"(\xef\xbb\xbf)?\s*<(!doctype html|html)", head, re.IGNORECASE) and suffix not in (".html", ".htm"):
        return "is a web page, such as a log-in or an error page, and not the file"
    if suffix in MAGIC and not head.startswith(MAGIC[suffix]):
        return f"is no {suffix} file: it begins with {head[:8]!r}" if head else "is empty"
    return None


def bytes_text(size: int | None) -> str:
    """A size for people."""
    if size is None:
        return "size unknown"
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size} bytes"
