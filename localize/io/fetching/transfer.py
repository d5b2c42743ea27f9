"""One file from one address into `<target>.partial`, going on where a lost connection left off.

`<target>.partial.json` says what the partial file is part of: the address, its ETag or Last-Modified (sent back in
If-Range, RFC 9110 13.1.5) and its length, so that the rest of one file is never appended to the start of another.
"""

import http.client
import json
import logging
import os
import pathlib
import re
import shutil
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass

from localize import __version__
from localize.io.fetching.filecheck import HEAD, bytes_text, wrong_start, wrong_type
from localize.io.files import writing
from localize.types import InputError

log = logging.getLogger(__name__)

AGENT = {"User-Agent": f"localize/{__version__}"}
CHUNK = 1 << 20  # bytes
TRIES = 4  # in a row without a byte gained
TRY_AGAIN = (408, 425, 429, 500, 502, 503, 504)  # HTTP: the server has trouble that may pass


class Refused(Exception):
    """This address does not have what we want; the sentence says why. Trying it again is of no use."""


class Unreachable(Refused):
    """Nobody answers at this address."""


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follow to http and https alone; plain: also from https to http, where anybody on the way can change a file."""

    def __init__(self, plain: bool):
        self.plain = plain

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        before, after = (urllib.parse.urlsplit(u).scheme for u in (req.full_url, newurl))
        if after not in ("http", "https") or (after == "http" and before == "https" and not self.plain):
            raise Refused(f"leads from {before} to {after}, which is not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def web_opener(*, plain: bool) -> urllib.request.OpenerDirector:
    """What opens http and https, and no other addresses wherever these lead. plain: see `_Redirects`."""
    opener, web = urllib.request.OpenerDirector(), urllib.request
    handlers = web.ProxyHandler, web.UnknownHandler, web.HTTPHandler, web.HTTPSHandler, web.HTTPDefaultErrorHandler
    for handler in (*(kind() for kind in handlers), web.HTTPErrorProcessor(), _Redirects(plain)):
        opener.add_handler(handler)
    return opener


def local_path(url: str) -> pathlib.Path:
    """The path of a file:// address, or of what is a path already."""
    if urllib.parse.urlsplit(url).scheme == "file":
        return pathlib.Path(urllib.request.url2pathname(urllib.parse.urlsplit(url).path))
    return pathlib.Path(url).expanduser()


@dataclass(frozen=True)
class Transfer:
    """One file that is wanted: its final name, its size in bytes and checksum if known, and how to wait."""

    target: pathlib.Path
    size: int | None = None
    sha256: str | None = None
    progress: Callable[[int, int | None], None] | None = None  # bytes there, bytes in all if known
    sleep: Callable[[float], None] = time.sleep
    timeout_s: float = 30.0

    @property
    def partial(self) -> pathlib.Path:
        """What has arrived."""
        return self.target.with_name(self.target.name + ".partial")

    @property
    def note(self) -> pathlib.Path:
        """What the partial file is part of."""
        return self.target.with_name(self.target.name + ".partial.json")

    def discard(self) -> None:
        """Forget what has arrived."""
        self.partial.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)

    def arrived(self) -> int:
        """Bytes of the partial file."""
        return self.partial.stat().st_size if self.partial.exists() else 0

    def take(self, url: str) -> None:
        """Fill the partial file from an address (http, https, file) or a local path; Refused if that is of no use."""
        scheme = urllib.parse.urlsplit(url).scheme
        if scheme in ("http", "https"):
            self._from_server(url)
        elif scheme in ("", "file"):
            self._from_folder(local_path(url))
        else:
            raise Refused(f"is of the kind {scheme}, but only http, https, file and plain folders are known")

    def _from_folder(self, path: pathlib.Path) -> None:
        try:
            with open(path, "rb") as source:
                total = os.fstat(source.fileno()).st_size
                self._write(source, 0, total, None)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as e:
            raise Refused("is not there") from e
        except OSError as e:
            raise Refused(f"cannot be read ({e.strerror or e})") from e

    def _from_server(self, url: str) -> None:
        failures, best, answered = 0, self.arrived(), False
        while True:
            try:
                if self._attempt(url):
                    return
            except (OSError, http.client.HTTPException) as e:
                _refuse_for_good(e)
                gained = self.arrived() > best
                failures, best = (1 if gained else failures + 1), max(best, self.arrived())
                answered = answered or gained or isinstance(e, urllib.error.HTTPError)
                reason = _in_words(e)
                if failures >= TRIES and not answered:
                    raise Unreachable(f"cannot be reached ({reason})") from e
                if failures >= TRIES:
                    raise Refused(f"failed {TRIES} times in a row ({reason})") from e
                wait_s = 2 ** (failures - 1)
                log.warning("%s: %s; trying again in %d s", url, reason, wait_s)
                self.sleep(wait_s)

    def _attempt(self, url: str) -> bool:
        """One request. True: complete. False: what had arrived is of no use and gone, start afresh."""
        known, offset = self._started(url)
        if offset and offset == known["total"]:
            return True
        headers = AGENT | {"Accept-Encoding": "identity"}
        if offset:
            headers["Range"] = f"bytes={offset}-"
            if known["validator"]:
                headers["If-Range"] = known["validator"]
        try:
            opener = web_opener(plain=self.sha256 is not None)
            response = opener.open(urllib.request.Request(url, headers=headers), timeout=self.timeout_s)
        except urllib.error.HTTPError as e:
            if e.code != 416 or not offset:
                raise
            self.discard()  # the file is now shorter than what had arrived
            return False
        with response:
            if response.status not in (200, 206) or (response.status == 206 and not offset):
                raise Refused(f"answered {response.status}, which is of no use here")
            if self.sha256 is None and (problem := wrong_type(response.headers.get_content_type(), self.target.name)):
                raise Refused(problem)
            offset = offset if response.status == 206 else 0  # 200: it has changed, or the server knows no ranges
            length = response.headers["Content-Length"] or ""
            total = offset + int(length) if length.isdigit() else None
            note = {"url": url, "validator": _validator(response.headers), "total": total}
            if offset and not _continues(known, note, offset, response.headers["Content-Range"]):
                self.discard()
                return False
            self._write(response, offset, total, note)
        return True

    def _started(self, url: str) -> tuple[dict, int]:
        """(what the partial file is part of, its bytes), or ({}, 0) if it cannot be continued from this address."""
        try:
            known = json.loads(self.note.read_text())
            usable = known["url"] == url and (known["validator"] or known["total"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return {}, 0
        return (known, self.arrived()) if usable else ({}, 0)

    def _write(self, source, offset: int, total: int | None, note: dict | None) -> None:
        """Append the source; what had arrived is given up only for a source that looks right and fits the disk."""
        if self.size is not None and total is not None and total != self.size:
            raise Refused(f"has {total} bytes, but must have {self.size}")
        head = source.read(HEAD)
        if not offset and (problem := wrong_start(head, self.target.name, vouched=self.sha256 is not None)):
            raise Refused(problem)
        self._check_space(offset, total)
        with writing(self.partial):
            if note is None:
                self.note.unlink(missing_ok=True)
            else:
                self.note.write_text(json.dumps(note))
            f = open(self.partial, "ab" if offset else "wb")  # noqa: SIM115  closed below
        with f:
            chunk, there = head, offset
            while chunk:
                with writing(self.partial):
                    f.write(chunk)
                there += len(chunk)
                if self.progress:
                    self.progress(there, total)
                chunk = source.read1(CHUNK)
            with writing(self.partial):
                f.flush()
                os.fsync(f.fileno())
        if total is not None and there != total:
            raise ConnectionError(f"the connection was closed after {there} of {total} bytes")

    def _check_space(self, offset: int, total: int | None) -> None:
        free = shutil.disk_usage(self.target.parent).free + (0 if offset else self.arrived())
        if total is not None and total - offset > free:
            raise InputError(
                f"{self.target} needs {bytes_text(total - offset)} more, but its disk has {bytes_text(free)} free: "
                "free some space, or choose a folder on a larger disk"
            )


def _refuse_for_good(error: Exception) -> None:
    """Refused if what went wrong will go wrong again."""
    reason = getattr(error, "reason", error)
    if isinstance(error, urllib.error.HTTPError) and error.code not in TRY_AGAIN:
        raise Refused(f"answered {error.code} {error.reason}") from error
    if isinstance(reason, ssl.SSLCertVerificationError):
        raise Refused(f"has a certificate that is not accepted ({reason.verify_message})") from error
    if isinstance(error, http.client.InvalidURL):
        raise Refused("is no valid address") from error


def _in_words(error: Exception) -> str:
    """What went wrong, without errno and class names where there are words for it."""
    if isinstance(error, urllib.error.HTTPError):
        return f"answered {error.code} {error.reason}"
    reason = getattr(error, "reason", error)
    return getattr(reason, "strerror", None) or str(reason) or type(reason).__name__


def _validator(headers) -> str | None:
    """What tells this version of a file from others: a strong ETag, else the date of its last change."""
    etag = headers["ETag"]
    return etag if etag and not etag.startswith("W/") else headers["Last-Modified"]


def _continues(known: dict, note: dict, offset: int, content_range: str | None) -> bool:
    """Whether the part that a server sends follows what has arrived."""
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", (content_range or "").strip())
    same = note["validator"] in (None, known["validator"]) and known["total"] in (None, note["total"])
    return same and found is not None and int(found[1]) == offset and found[2] in ("*", str(note["total"]))
