"""Which photos are one: a query among the images of a model, a copy of a reference among the queries."""

import filecmp
import logging
import os
import pathlib
from collections import defaultdict
from collections.abc import Iterable, Sequence

from localize.io.names import Names
from localize.types import Image

log = logging.getLogger(__name__)
_LOOK = 4096  # bytes in the middle of a file, which tell most files of one size apart


class QueryPhotos:
    """The queries' files, to find them among other photos: in two folders, equal names may be two photos."""

    def __init__(self, root: pathlib.Path, queries: Iterable[Image]):
        self._root, self._names = root, Names(query.name for query in queries)
        self._by_file = {os.path.realpath(root / query.name): query.name for query in queries}

    def shown_in(self, path: pathlib.Path, name: str) -> str | None:
        """The query whose photo this file is, or a copy of; one of the same name if there is no such file."""
        query, namesake = self._by_file.get(os.path.realpath(path)), self._names.find(name)
        if query is None and namesake is not None and (not path.exists() or _same(path, self._root / namesake)):
            return namesake
        return query


def warn_of_copies(
    root: pathlib.Path, references: Sequence[Image], query_root: pathlib.Path, queries: Sequence[Image]
) -> None:
    """Name the queries whose photo is that of a reference, byte by byte, and say where names alone are the same."""
    names = {image.name for image in references}
    namesakes = [query.name for query in queries if query.name in names]
    if namesakes:
        log.warning(
            "%d queries, such as %s, have names of references: in a folder of their own, they count as other photos",
            *(len(namesakes), namesakes[0]),
        )
    by_look = defaultdict(list)
    sizes = {path: _size(path) for path in (query_root / query.name for query in queries)}
    wanted = set(sizes.values()) - {None}
    for path in (root / image.name for image in references):
        if _size(path) in wanted:
            by_look[_look(path)].append(path)
    copies = []
    for path in sizes if by_look else ():
        same = [other for other in by_look.get(_look(path), ()) if _same(path, other)]
        copies += [(path, other) for other in same[:1]]
    if copies:
        log.warning(
            "%d queries are copies of references, such as %s of %s: how well they are localized says nothing of others",
            *(len(copies), *copies[0]),
        )


def _same(path: pathlib.Path, other: pathlib.Path) -> bool:
    """Whether two files hold the same bytes; not if one is not there."""
    return _size(path) == _size(other) is not None and filecmp.cmp(path, other, shallow=False)


def _size(path: pathlib.Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _look(path: pathlib.Path) -> tuple[int, bytes]:
    """Size and some bytes of a file."""
    size = _size(path) or 0
    with open(path, "rb") as f:
        f.seek(size // 2)
        return size, f.read(_LOOK)
