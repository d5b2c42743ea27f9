"""The indexes that can be compared, by their names in conf/index/, and the settings written behind a name."""

import ast
import dataclasses
import importlib
import importlib.resources

import yaml

from localize.components import check_component
from localize.evaluate.search.curves import Contender
from localize.index.base import Swept
from localize.types import InputError

EXACT = "faiss_flat"  # the exact search that all are held against


def read_contenders(asked) -> tuple[list[Contender], set[str]]:
    """The contenders in order, and the names of those that see the means only."""
    if not isinstance(asked, list | tuple) or not asked or not all(isinstance(a, str) and a.strip() for a in asked):
        raise InputError(f"pipeline.contenders is {asked!r}, but must be a list of names: [random_trees,faiss_hnsw]")
    problems, chosen, means_only = [], [_contender(EXACT, EXACT, [])], set()
    valid = _choices()
    for text in asked:
        name, *settings = text.split()
        if name not in valid:
            problems.append(f"there is no contender {name!r} in pipeline.contenders; valid: {', '.join(valid)}")
            continue
        if text == EXACT:
            continue
        try:
            chosen.append(_contender(text, name, [s for s in settings if s != "of=mean"]))
        except InputError as e:
            problems += [f"contender {text!r}: {problem}" for problem in e.problems]
        means_only |= {text} if "of=mean" in settings else set()
    if problems:
        raise InputError(*problems)
    return chosen, means_only


def _folder():
    return importlib.resources.files("localize.conf") / "index"


def _choices() -> list[str]:
    """Names of all indexes, as on the command line behind index=."""
    return sorted(p.name.removesuffix(".yaml") for p in _folder().iterdir() if p.name.endswith(".yaml"))


def _component(name: str):
    """The index of this name with the settings of its YAML."""
    fields = yaml.safe_load((_folder() / f"{name}.yaml").read_text())
    module, _, cls = fields.pop("_target_").rpartition(".")
    return getattr(importlib.import_module(module), cls)(**fields)


def _contender(text: str, name: str, settings: list[str]) -> Contender:
    """The index of this name with settings `field=value`; several values, of one query field, are what is swept."""
    component = _component(name)
    query = {f.name: bool(f.metadata.get("query")) for f in dataclasses.fields(component)}
    changed, swept = {}, {}
    for setting in settings:
        key, _, values = setting.partition("=")
        if key not in query:
            raise InputError(f"{type(component).__name__} has no field {key!r}; it has {', '.join(query)}")
        given = tuple(_value(v) for v in values.split(","))
        if len(given) == 1:
            changed[key] = given[0]
        elif query[key] and not swept:
            swept[key] = given
        else:
            raise InputError(f"{key} has several values, but one setting can be swept, and none that builds the index")
    component = dataclasses.replace(component, **changed)
    if not swept and isinstance(component, Swept) and component.sweep[0] not in changed:
        swept = dict([component.sweep])
    contender = Contender(text, component, *next(iter(swept.items()), ()))
    for value in contender.values:
        check_component(contender.at(value))
    return contender


def _value(text: str):
    """A number, a truth value or None where the text is one, else the text."""
    words = {"true": True, "false": False, "null": None}
    if text in words:
        return words[text]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
