"""What visuallocalization.net gave back for a submission: three percentages for each condition.

The server shows `day` and `night` (RobotCar: `day all`, `night all`, then each condition) with `85.2 / 92.4 / 97.3`
for each. It publishes no format, so a saved page, text copied from it and JSON are read alike: every triple must stand
behind the name of its condition, or in a row beneath a row of names. What is not clear is refused, never guessed.
"""

import html.parser
import json
import pathlib
import re

from localize.io.text import read_text
from localize.types import InputError

Triples = dict[str, tuple[float, float, float]]  # percent within each of three bounds, by condition

CONDITIONS = ("dawn", "dusk", "OC-summer", "OC-winter", "rain", "snow", "sun", "night", "night-rain", "day", "day all")
CONDITIONS += ("night all",)
FORM = "day 85.2 / 92.4 / 97.3"
_PLAIN = {c.lower(): c for c in CONDITIONS} | {"overcast-summer": "OC-summer", "overcast-winter": "OC-winter"}
_NAME = "|".join(sorted((re.escape(name).replace(r"\ ", "-") for name in _PLAIN), key=len, reverse=True))
_NAME = _NAME.replace(r"\-", "[ _-]").replace("-all", "[ _-]all")
_NUMBER = r"\d+(?:\.\d+)?"
_TRIPLE = re.compile(rf"(?<![\d./])({_NUMBER}) *%? */ *({_NUMBER}) *%? */ *({_NUMBER})(?![\d.]* */)(?!\.?\d) *%?")
_BOUNDS = re.compile(r"\s*(m\b|met|deg|°)")  # behind three numbers that are bounds and no percentages
_YEAR = 1900  # numbers from here on are of dates
_ENDS_IN_NAME = re.compile(rf"(?:^|(?<=[\s\[(,;:|])){_NAME}(?=[\])\s:=,-]*$)", re.IGNORECASE)
_NAMES_ONLY = re.compile(rf"\W*({_NAME})(?:[\s,|/]+(?:{_NAME}))*\W*", re.IGNORECASE)
_EACH_NAME = re.compile(rf"(?<![\w-])(?:{_NAME})(?![\w-])", re.IGNORECASE)
_UNREADABLE = re.compile(rf"(?<![\w-])({_NAME})[\])\s:=]*{_NUMBER} *%? *[/,;]", re.IGNORECASE)


def read_server_results(path: pathlib.Path, method: str | None = None) -> Triples:
    """The results of a page (HTML), its text, or JSON, of the one method that it shows or of the one that is named.

    InputError in one sentence, with the form that would be understood, for what is missing or ambiguous.
    """
    text = read_text(path)
    if path.suffix.lower() == ".json" or text.lstrip().startswith("{"):
        found = _of_json(text, path)
    else:
        html_ = path.suffix.lower() in (".html", ".htm", ".mhtml") or re.search(r"<(html|table|div|body)\b", text, re.I)
        found = _Reader(path, method).read(_text_of(text) if html_ else text)
    if not found:
        raise InputError(f"{path} names no condition with three percentages: text such as `{FORM}` is understood")
    return found


def condition(name: str) -> str | None:
    """The name of the benchmark's tables for a condition; None if it is none."""
    plain = name.strip().lower().replace("_", "-")
    plain = re.sub(r"[ -]all$", " all", plain).replace("night rain", "night-rain").replace("oc ", "oc-")
    return _PLAIN.get(plain.replace("overcast ", "overcast-"))


class _Reader:
    """Goes through a text, cell by cell."""

    def __init__(self, path: pathlib.Path, method: str | None):
        self.path, self.method, self.found = path, method, {}
        self.header: list[str] = []
        self.row: list[tuple] = []
        self.words, self.in_header = "", False

    def read(self, text: str) -> Triples:
        """All triples; InputError for one that stands alone, or for two of a condition."""
        for cell in re.split(r"\n|\t|\||  +", text):
            if cell.strip():
                self._cell(cell.strip())
        if self.row:
            self._refuse(f"{len(self.row)} results stand beneath {len(self.header)} conditions")
        if self.method and not self.found:
            self._refuse(f"no row of results names {self.method!r}")
        return self.found

    def _cell(self, cell: str) -> None:
        triples = [t for t in _TRIPLE.finditer(cell) if not _BOUNDS.match(cell, t.end())]
        triples = [t for t in triples if max(map(float, t.groups())) < _YEAR]
        if wrong := _UNREADABLE.search(_TRIPLE.sub("", cell)):
            self._refuse(f"`{cell[:60]}` does not give {condition(wrong[1])} three percentages")
        if not triples:
            self._without_numbers(cell)
            return
        self.in_header, start = False, 0
        for t in triples:
            before = cell[start : t.start()]
            name, start = _ENDS_IN_NAME.search(before), t.end()
            values = tuple(map(float, t.groups()))
            if name:
                self.words += " " + before[: name.start()]
                self._keep({condition(name[0]): values})
            else:
                self.words += " " + before
                self._beneath(values)

    def _without_numbers(self, cell: str) -> None:
        if self.row:
            self._refuse(f"{len(self.row)} results stand beneath {len(self.header)} conditions, and then `{cell[:60]}`")
        if not _NAMES_ONLY.fullmatch(cell):
            self.words += " " + cell
            return
        if not self.in_header:
            self.header = []
        self.in_header = True
        self.header += [condition(name) for name in _EACH_NAME.findall(cell)]

    def _beneath(self, values: tuple) -> None:
        if not self.header:
            self._refuse(f"{' / '.join(map(str, values))} stands behind no condition")
        self.row.append(values)
        if len(self.row) == len(self.header):
            if len(set(self.header)) < len(self.header):
                self._refuse(f"a row of names has the same condition twice ({', '.join(self.header)})")
            self._keep(dict(zip(self.header, self.row, strict=True)))
            self.row = []

    def _keep(self, results: Triples) -> None:
        """The results of one row, unless another method is wanted."""
        words, self.words = self.words, ""
        if self.method and not re.search(rf"(?<!\w){re.escape(self.method)}(?!\w)", words):
            return
        for name, values in results.items():
            if self.found.setdefault(name, values) != values:
                self._refuse(f"{name} has several results: keep the row of yours alone, or name it by pipeline.method")

    def _refuse(self, what: str):
        raise InputError(f"{self.path}: {what}; text such as `{FORM}`, one condition a line, is understood")


class _Text(html.parser.HTMLParser):
    """The visible text of a page, every element a cell of its own."""

    INSIDE = ("span", "b", "i", "em", "strong", "a", "sup", "sub", "small", "font", "u")

    def __init__(self):
        super().__init__()
        self.parts: list[str] = []
        self.hidden = 0

    def handle_starttag(self, tag, attrs):
        self.hidden += tag in ("script", "style")
        if tag not in self.INSIDE:
            self.parts.append("\n")

    def handle_endtag(self, tag):
        self.hidden -= tag in ("script", "style") and self.hidden > 0
        if tag not in self.INSIDE:
            self.parts.append("\n")

    def handle_data(self, data):
        if not self.hidden:
            self.parts.append(re.sub(r"\s+", " ", data))


def _text_of(page: str) -> str:
    reader = _Text()
    reader.feed(page)
    return "".join(reader.parts)


def _of_json(text: str, path: pathlib.Path) -> Triples:
    """The triples of every key that names a condition, however deep."""
    found: Triples = {}

    def walk(value) -> None:
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, inside in items:
            name = condition(str(key))
            values = name and as_triple(inside)
            if name and values and found.setdefault(name, values) != values:
                raise InputError(f"{path}: {name} has several results: keep those of your method alone")
            if not values:
                walk(inside)

    try:
        walk(json.loads(text))
    except ValueError as e:
        raise InputError(f'{path} is no JSON ({e}): {{"day": [85.2, 92.4, 97.3], ...}} is understood') from e
    return found


def as_triple(value) -> tuple[float, float, float] | None:
    """Three numbers of a list, or of a text `85.2 / 92.4 / 97.3`; None for anything else."""
    if isinstance(value, str) and (found := _TRIPLE.fullmatch(value.strip())):
        value = [float(v) for v in found.groups()]
    numbers = isinstance(value, list | tuple) and all(type(v) in (int, float) for v in value)
    return tuple(map(float, value)) if numbers and len(value) == 3 else None
