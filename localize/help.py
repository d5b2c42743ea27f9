"""What can be run, for `python -m localize` alone and for --help: read from the configuration files themselves.

What a choice is for is said by the first sentence of its YAML, or else by that of the module that it names.
"""

import argparse
import ast
import functools
import importlib.resources
import importlib.util
import pathlib
import re
import shutil
import textwrap
from collections.abc import Iterable, Iterator

WIDTHS = 80, 110  # of a line, as the terminal has it
USED = ("-h", "--help")
LEAST = 30  # letters that a sentence keeps where it is cut
NO_GROUPS = ("hydra", "__pycache__")

FIRST = """From one photo, the camera's 6-DoF pose in a known 3D scene.

Try it on the small town that comes with the package (about 15 minutes on two cores):
  python -m localize +pipeline=parallel_search

Your own photos, without any model or poses (references: of the place; queries: to be localized in it):
  python -m localize +pipeline=parallel_search dataset=photos dataset.references=FOLDER dataset.queries=FOLDER

Build a map once, then ask it from Python as often as you like:
  python -m localize +pipeline=build_map dataset=photos dataset.references=FOLDER hydra.run.dir=my
  python -c 'import localize; print(localize.Localizer.load("my/map").localize("query.jpg").pose)'
"""
LAST = """Settings:
  group=choice swaps a part, group.field=value changes a setting of it; conf/GROUP/CHOICE.yaml explains each field.
  python -m localize --help GROUP                           what each choice of a group is
  python -m localize +pipeline=parallel_search --cfg job    every setting, with its value
  ... costs=only                                            what a run would cost, before the work
  ... progress=quiet                                        true, false, quiet, or json (for programs)
  ... search=union,leaves,frames -m                         one run each, then one table

Results go to hydra.run.dir (by default outputs/DATE/TIME), computed parts to store.root (by default outputs/store).
Run the same command again, and it goes on where it stopped.
"""
PURPOSES = {  # by the folder of their code; the first two are told apart by name
    "localize": "localize photos",
    "map": "make maps",
    "judging": "judge features, retrieval, indexes, confidences",
    "training": "train networks, and cut patches to train them on",
    "exchange": "bring data and weights in, and results out",
    "": "others",
}


def help_text(arguments: list[str]) -> str:
    """The help for a command line; of one group where it names one behind --help. Folders of --config-dir count."""
    folders = _folders(arguments)
    asked = next((a for a in arguments if a in _groups(folders)), None)
    if asked is not None:
        return f"{_title(asked)}=  (* is the default)\n{_described(asked, _choices(folders, asked).items())}"
    pipelines = _choices(folders, "pipeline")
    parts = [FIRST, "What can be run, +pipeline=...\n"]
    for purpose, title in PURPOSES.items():
        of_it = [(name, path) for name, path in pipelines.items() if _purpose(path) == purpose]
        parts.append(f" to {title}\n{_described('', of_it)}" if of_it else "")
    parts.append(f"Tables beside published figures, +table=...\n{_described('', _choices(folders, 'table').items())}")
    parts.append("Parts and their choices (the default first)\n" + "\n".join(_listed(folders)) + "\n")
    return "\n".join([*filter(None, parts), LAST])


def choices(group: str) -> list[str]:
    """The names of those that come with the package, the default first."""
    return list(_choices(_folders([]), group))


def groups() -> list[str]:
    """The groups that come with the package."""
    return _groups(_folders([]))


def _folders(arguments: list[str]) -> list[pathlib.Path]:
    """Where configuration lies: in the package, and where the command line says."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--config-dir", "-cd", dest="folder", type=pathlib.Path)
    given = parser.parse_known_args(arguments)[0].folder
    package = pathlib.Path(str(importlib.resources.files("localize.conf")))
    return [package] if given is None else [package, given]


def _groups(folders: Iterable[pathlib.Path]) -> list[str]:
    found = {p.name for folder in folders if folder.is_dir() for p in folder.iterdir() if any(p.glob("*.yaml"))}
    return sorted(found - set(NO_GROUPS))


def _choices(folders: Iterable[pathlib.Path], group: str) -> dict[str, pathlib.Path]:
    """By name, the default first."""
    found = {p.stem: p for folder in folders for p in sorted((folder / group).glob("*.yaml"))}
    default = {"pipeline": "parallel_search", **_defaults()}.get(group)
    return dict(sorted(found.items(), key=lambda item: item[0] != default))


@functools.cache
def _defaults() -> dict[str, str]:
    text = (importlib.resources.files("localize.conf") / "config.yaml").read_text()
    return dict(re.findall(r"^  - (\w+): (\w+)", text, re.MULTILINE))


def _listed(folders: list[pathlib.Path]) -> Iterator[str]:
    """One paragraph for each group."""
    for group in _groups(folders):
        if group not in ("pipeline", "table"):
            names = ", ".join(_choices(folders, group))
            yield textwrap.fill(
                f"{_title(group):<16}{names}", _columns(), initial_indent="  ", subsequent_indent=" " * 18
            )


def _title(group: str) -> str:
    return group if group in _defaults() else f"+{group}"


def _described(group: str, choices: Iterable[tuple[str, pathlib.Path]]) -> str:
    """A line for each choice: its name, and what it is."""
    default = _defaults().get(group)
    choices = [(name + " *" * (name == default), path) for name, path in choices]
    width = max(len(name) for name, _ in choices)
    room = _columns() - width - 6
    return "".join(f"    {name:<{width}}  {_shortened(what_it_is(path), room)}\n" for name, path in choices)


def _shortened(text: str, room: int) -> str:
    """What fits on a line, cut where the sentence has a pause."""
    if len(text) <= room:
        return text
    for pause in ("; ", " (", ": ", ", "):
        if (at := text.rfind(pause, 0, room + 1)) > LEAST:
            return text[:at]
    return textwrap.shorten(text, room, placeholder=" ...")


def _columns() -> int:
    return min(max(shutil.get_terminal_size((WIDTHS[1], 24)).columns, WIDTHS[0]), WIDTHS[1])


def _purpose(path: pathlib.Path) -> str:
    """Of a pipeline: which of PURPOSES."""
    _, _, room = _target(path).partition("localize.pipelines.")
    folder, _, rest = room.partition(".")
    if rest.count("."):
        return folder if folder in PURPOSES else ""
    return ("map" if "map" in folder else "localize") if room else ""


def what_it_is(path: pathlib.Path) -> str:
    """The first sentence of a configuration file's comment, or of the docstring of the module that it names."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("# @package")]
    comment = " ".join(line[1:].strip() for line in lines[: _leading(lines)])
    return _first_sentence(comment or _docstring(_target(path).rpartition(".")[0]))


def _leading(lines: list[str]) -> int:
    """How many of them are a comment at the beginning."""
    return next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))


def _first_sentence(text: str) -> str:
    return re.split(r"\.(?= [A-Z`]|$)", " ".join(text.split()), maxsplit=1)[0]


def _target(path: pathlib.Path) -> str:
    found = re.search(r"^\s*_target_: ([\w.]+)", path.read_text(), re.MULTILINE)
    return found[1] if found else ""


def _docstring(module: str) -> str:
    """Without importing the module, which may need much."""
    spec = importlib.util.find_spec(module) if module else None
    source = pathlib.Path(spec.origin).read_text() if spec and spec.origin else ""
    return ast.get_docstring(ast.parse(source)) or ""
