"""Files from the network, whole and verified or not at all, from the first of several addresses that has them."""

import http.client
import logging
import os
import pathlib
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence

from localize.io.fetching.filecheck import note_of, remember, remembered, wrong_file
from localize.io.fetching.transfer import AGENT, Refused, Transfer, Unreachable, local_path, web_opener
from localize.io.files import locked, writing
from localize.types import InputError

log = logging.getLogger(__name__)

MIRROR = "LOCALIZE_MIRROR"  # environment variable: an address or a folder that is tried first


class FetchError(InputError):
    """A file could not be had. `unreachable`: no server answered, so it is of no use to ask it for other files."""

    def __init__(self, *problems: str, unreachable: bool = False):
        super().__init__(*problems)
        self.unreachable = unreachable


def addresses(path: str, sites: Sequence[str], mirror: str | None = None) -> list[str]:
    """Where a file of a data set may be, best first: the user's mirror (with and without folders), then the sites.

    mirror: an address or a folder in place of that in $LOCALIZE_MIRROR.
    """
    mirror = mirror or os.environ.get(MIRROR, "").strip()
    own = [_join(mirror, p) for p in dict.fromkeys((path, path.rpartition("/")[2]))] if mirror else []
    return own + [_join(site, path) for site in sites]


def _join(site: str, path: str) -> str:
    return f"{site.rstrip('/')}/{urllib.parse.quote(path) if '://' in site else path}"


def remote_size(urls: Sequence[str], timeout_s: float = 10.0) -> int | None:
    """Bytes of the file at the first address that has it and says so; None if none does."""
    for url in urls:
        try:
            if urllib.parse.urlsplit(url).scheme in ("http", "https"):
                request = urllib.request.Request(url, headers=AGENT, method="HEAD")
                with web_opener(plain=True).open(request, timeout=timeout_s) as response:
                    length = response.headers["Content-Length"] or ""
                if length.isdigit():
                    return int(length)
            else:
                return local_path(url).stat().st_size
        except (OSError, http.client.HTTPException, Refused):
            continue
    return None


def fetch(
    urls: str | Sequence[str],
    target: str | os.PathLike,
    *,
    size: int | None = None,
    sha256: str | None = None,
    progress: Callable[[int, int | None], None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
    timeout_s: float = 30.0,
) -> pathlib.Path:
    """The file at `target`, complete and verified; what is there already and fits is not fetched again.

    urls: addresses (http, https, file) or local paths, tried in this order; size in bytes and sha256 where known;
    of a file without a checksum the first one that comes is trusted, and its digest kept beside it in <file>.sha256.
    progress is told (bytes there, bytes in all if known). Two processes may ask for one target: one of them waits.
    FetchError, one sentence with every address and reason, if none has it; InputError if the disk is too small, or if
    a file that lies at `target` is another one.
    """
    target = pathlib.Path(target).expanduser().absolute()
    with locked(target):
        if not target.exists():
            transfer = Transfer(target, size, sha256, progress, sleep, timeout_s)
            _first_of([urls] if isinstance(urls, str) else urls, transfer)
        elif problem := _wrong(target, target, size, sha256):
            raise InputError(f"file {target} {problem}: delete it, or put the right one there, and run again")
    return target


def _wrong(path: pathlib.Path, target: pathlib.Path, size: int | None, sha256: str | None) -> str | None:
    """What is wrong with a file that is there or will be, also against the one that came first; None if nothing is."""
    first = None if sha256 else remembered(target)
    problem = wrong_file(path, target.name, size, sha256) or (first and wrong_file(path, target.name, size, first))
    return (
        f"{problem} as the first that came (delete {note_of(target)} to take another)" if problem and first else problem
    )


def _first_of(urls: Sequence[str], transfer: Transfer) -> None:
    """Take it from the first address that has it."""
    reasons = []
    for url in urls:
        try:
            transfer.take(url)
            if problem := _wrong(transfer.partial, transfer.target, transfer.size, transfer.sha256):
                transfer.discard()  # complete and wrong: the next address starts afresh
                raise Refused(problem)
            with writing(transfer.target):
                os.replace(transfer.partial, transfer.target)
                transfer.note.unlink(missing_ok=True)
            if transfer.sha256 is None:
                remember(transfer.target, transfer.target.name)
            return
        except Refused as e:
            log.debug("%s %s", url, e)
            reasons.append((url, e))
    tried = "; ".join(f"{url} {e}" for url, e in reasons) or "no address of it is known"
    raise FetchError(
        f"cannot get {transfer.target.name}: {tried}. Run again later, or get the file by other means and put it at "
        f"{transfer.target}, or set {MIRROR} to an address or a folder that holds it",
        unreachable=bool(reasons) and isinstance(reasons[-1][1], Unreachable),
    )
