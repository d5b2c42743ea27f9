"""Names of photos as people and programs write them: one normal form, and the photo that a name means.

`./a.jpg`, `a//b.jpg` and `a\\b.jpg` are written otherwise than the folder has them; a list made on macOS has umlauts
decomposed (NFD), one made on Windows another case. A name means itself where that is there, else the only one of its
normal form.
"""

import functools
import logging
import pathlib
import unicodedata
from collections.abc import Iterable, Mapping

log = logging.getLogger(__name__)


def tidy(name: str) -> str:
    """The name with single slashes and without `.` as a part."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    return ("/" if name.startswith("/") else "") + "/".join(parts)


def normal_form(name: str) -> str:
    """What is the same for all ways to write a name."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", tidy(name)).casefold())


class Names:
    """Some names, in which one written otherwise is found too."""

    def __init__(self, names: Iterable[str]):
        self._names = frozenset(names)

    def __contains__(self, name: str) -> bool:
        return self.find(name) is not None

    def find(self, name: str) -> str | None:
        """The one that `name` means; None if there is none, or several could be meant."""
        return name if name in self._names else self._by_form.get(normal_form(name))

    @functools.cached_property
    def _by_form(self) -> dict[str, str | None]:
        found: dict[str, str | None] = {}
        for name in self._names:
            form = normal_form(name)
            found[form] = None if form in found else name
        return found


class PhotoNames:
    """The names of the photos below a folder, as the disk has them."""

    def __init__(self, root: pathlib.Path):
        self._root, self._listed = root, {}

    def __contains__(self, name: str) -> bool:
        return self.find(name) is not None

    def find(self, name: str) -> str | None:
        """The name of the photo that `name` means; None if there is none."""
        if (self._root / tidy(name)).exists():
            return tidy(name)
        if (self._root / name).exists():  # such as one with a backslash in it
            return name
        folder, parts = self._root, []
        for part in tidy(name).split("/"):
            parts.append(part if (folder / part).exists() else self._below(folder).find(part))
            if not parts[-1]:
                return None
            folder /= parts[-1]
        return "/".join(parts)

    def _below(self, folder: pathlib.Path) -> Names:
        if folder not in self._listed:
            self._listed[folder] = Names(p.name for p in folder.iterdir()) if folder.is_dir() else Names(())
        return self._listed[folder]


def of_queries(path: str | pathlib.Path, listed: Mapping, names: Names, problems: list[str]) -> dict:
    """What a list says of the queries, by their own names; what it says of others is passed over with one remark.

    names: the queries'. To `problems` goes a list of others alone, and a query that it has under two names.
    """
    found, others = {}, []
    for name, value in listed.items():
        query = names.find(name)
        if query is None or (query in listed and tidy(name) != query):  # in a list that has it, another case is another
            others.append(name)
        elif query in found:
            problems.append(f"{path}: {query} is listed twice, the second time as {name}")
        else:
            found[query] = value
    if others and not found:
        problems.append(f"{path} names no query: {others[0]}, for one, is not in the query list")
    elif others:
        log.warning("%s: %d names, such as %s, are not in the query list: passed over", path, len(others), others[0])
    return found
