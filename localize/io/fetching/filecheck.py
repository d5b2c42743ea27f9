"""Whether a file that came from elsewhere is what its name, size and checksum say."""

import logging
import pathlib
import re

from localize.keys import sha256_of

log = logging.getLogger(__name__)

HEAD = 512  # bytes that are looked at
MAGIC = {  # what a file of this kind begins with
    ".zip": (b"PK\x03\x04", b"PK\x05\x06"),
    ".gz": (b"\x1f\x8b",),
    ".tgz": (b"\x1f\x8b",),
    ".db": (b"SQLite format 3\x00",),
    ".nvm": (b"NVM_V3",),
    ".7z": (b"7z\xbc\xaf\x27\x1c",),
    ".xz": (b"\xfd7zXZ\x00",),
    ".bz2": (b"BZh",),
    ".npz": (b"PK\x03\x04", b"PK\x05\x06"),
    ".npy": (b"\x93NUMPY",),
    **dict.fromkeys((".h5", ".hdf5"), (b"\x89HDF\r\n\x1a\n",)),
    ".mat": (b"MATLAB ", b"\x89HDF\r\n\x1a\n"),
    **dict.fromkeys((".pth", ".pt"), (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")),
    ".png": (b"\x89PNG\r\n\x1a\n",),
    **dict.fromkeys((".jpg", ".jpeg"), (b"\xff\xd8\xff",)),
}
PAGE = rb"(\xef\xbb\xbf)?\s*((<\?xml[^>]*>|<!--.*?-->)\s*)*<(!doctype html|html|head|body|script|meta|title)\b"
PAGES = ("text/html", "application/xhtml+xml")  # types of what a server sends in place of a file
ANSWERS = {
    "application/json": (".json",),
    "application/xml": (".xml",),
    "text/xml": (".xml",),
}  # of an error, as a rule
WEB_PAGE = "is a web page, such as a log-in or an error page, and not the file"


def wrong_file(path: pathlib.Path, name: str, size: int | None = None, sha256: str | None = None) -> str | None:
    """What is wrong with a complete file, as the rest of a sentence; None if nothing is."""
    found = path.stat().st_size
    if size is not None and found != size:
        return f"has {found} bytes, but must have {size}"
    with open(path, "rb") as f:
        if problem := size != 0 and wrong_start(f.read(HEAD), name, vouched=sha256 is not None):
            return problem
    if sha256 is not None and (digest := sha256_of(path)) != sha256.lower():
        return f"has the SHA-256 {digest}, but must have {sha256.lower()}"
    return None


def wrong_start(head: bytes, name: str, *, vouched: bool = False) -> str | None:
    """What the first bytes say against a file of this name, as the rest of a sentence; None if nothing.

    vouched: a checksum will say whether it is the right file, whatever it begins with.
    """
    suffix = pathlib.PurePath(name).suffix.lower()
    if not head:
        return "is empty"
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        head = head.decode("utf-16", "ignore").encode()
    if re.match(PAGE, head, re.IGNORECASE | re.DOTALL) and suffix not in (".html", ".htm"):
        return WEB_PAGE
    if suffix in MAGIC and not vouched and not head.startswith(MAGIC[suffix]):
        return f"is no {suffix} file: it begins with {head[:8]!r}"
    return None


def wrong_type(content_type: str, name: str) -> str | None:
    """What a server's word for the kind of a file says against one of this name; None if nothing."""
    suffix = pathlib.PurePath(name).suffix.lower()
    if content_type in PAGES and suffix not in (".html", ".htm"):
        return WEB_PAGE
    if content_type in ANSWERS and suffix not in ANSWERS[content_type]:
        return f"is sent as {content_type}, an answer of the server and not the file"
    return None


def note_of(path: pathlib.Path) -> pathlib.Path:
    """The file that keeps the digest of a file whose checksum nobody published, as `sha256sum -c` reads it."""
    return path.with_name(path.name + ".sha256")


def remembered(path: pathlib.Path) -> str | None:
    """The digest of a file when it first came or was first used; None before."""
    try:
        return note_of(path).read_text().split()[0].lower()
    except (OSError, UnicodeDecodeError, IndexError):
        return None


def remember(path: pathlib.Path, what: str) -> None:
    """Keep the digest at the first use; a folder that cannot be written to gets a warning, as every use is a first."""
    if remembered(path) is not None:
        return
    digest = sha256_of(path)
    said = f"nobody published a checksum of {what}: {path} (SHA-256 {digest}) is taken as it is"
    try:
        note_of(path).write_text(f"{digest}  {path.name}\n")
    except OSError as e:
        log.warning("%s, and that cannot be kept for next time (%s)", said, e.strerror or e)
    else:
        log.warning("%s; from now on another file in its place is refused", said)


def bytes_text(size: int | None) -> str:
    """A size for people."""
    if size is None:
        return "size unknown"
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size} bytes"
