"""What a person types, as Hydra's grammar wants it: there umlauts, brackets, commas, `=` and `~` have meanings."""

import os
import re
from collections.abc import Callable

_KEY = re.compile(r"[+~]*\w[\w.@/]*")
GROUPS_OF_PIPELINES = ("pipeline.losses",)  # Hydra writes a slash there
_PLAIN = re.compile(r"[\w./-]*", re.ASCII)


def as_meant(argument: str, parses: Callable[[str], bool]) -> str:
    """A setting `key=value` with its value in quotes where it is the path of something, or the grammar refuses it.

    ~ at its beginning becomes the home folder, which no shell does behind `=`. parses: whether the grammar takes it. A
    list with a slip in it stays, as Hydra explains it.
    """
    key, equals, value = argument.partition("=")
    if key in GROUPS_OF_PIPELINES:
        return as_meant(f"{key.replace('.', '/')}={value}", parses)
    if not equals or not _KEY.fullmatch(key) or _PLAIN.fullmatch(value):
        return argument
    path = os.path.expanduser(value)
    if path == value and not os.path.exists(path) and (value[0] in "[{\"'" or parses(argument)):
        return argument
    return f"{key}={_quoted(path)}"


def _quoted(text: str) -> str:
    """In Hydra's single quotes; a backslash means itself there unless a quote follows."""
    text = re.sub(r"(\\*)'", r"\1\1\\'", text)
    return "'" + re.sub(r"(\\+)$", r"\1\1", text) + "'"
