"""What a person needs of an error: what was wrong, and what would be valid."""

import dataclasses
import difflib
import importlib.util
import re
import typing

import hydra
import omegaconf
from hydra.errors import MissingConfigException

from localize.help import choices, groups
from localize.types import InputError, StoreError


class NotComposed(Exception):
    """The configuration does not compose."""


def sentences(error: BaseException) -> list[str]:
    """Of an error and of what caused it."""
    chain = [error]
    while chain[-1].__cause__ or chain[-1].__context__:
        chain.append(chain[-1].__cause__ or chain[-1].__context__)
    for e in chain:
        if isinstance(e, InputError):
            return list(e.problems)
        if isinstance(e, StoreError):
            return [str(e)]
        if isinstance(e, omegaconf.errors.ConfigKeyError | omegaconf.errors.ConfigAttributeError) and e.parent_node:
            return [_unknown(f"setting {e.full_key}", str(e.key), e.parent_node.keys())]
        if isinstance(e, MissingConfigException) and e.options is not None:
            group, _, choice = str(e.missing_cfg_file).rpartition("/")
            return [_unknown(f"choice {group}={choice}", choice, e.options)]
    text = " ".join(str(error).split())
    if "No match in the defaults list" in text:  # a misspelt group, e.g. serch=union
        name = text.split("'")[1]
        if name in groups():
            valid = ", ".join(sorted(choices(name)))
            return [f"write +{name}=..., with a plus: there is no default to replace; valid: {valid}"]
        return [_unknown(f"setting {name}", name, groups())]
    if deleted := re.search(r"resolving interpolation '\$\{(settings|quality)\}_\$\{(\w+)\}'", text):
        return [f"~{deleted[2]} takes away what {deleted[1]}= looks at: choose another with {deleted[2]}=..."]
    name, target = (re.search(p, text) for p in (r"unexpected keyword argument '(\w+)'", r"call to target '([\w.]+)'"))
    if name and target:
        made = hydra.utils.get_object(target[1])
        cls = made if isinstance(made, type) else typing.get_type_hints(made)["return"]
        valid = [f.name for f in dataclasses.fields(cls)]
        return [_unknown(f"setting {name[1]} in {target[1]}", name[1], valid)]
    missing = next((e for e in reversed(chain) if isinstance(e, ImportError)), None)
    if missing and target is None:
        what = re.search(r"locating target '([\w.]+)'", text)
        name = what[1] if what else "a component"
        module, _, cls = name.rpartition(".")
        if getattr(missing, "name", None) == name and importlib.util.find_spec(module):
            return [f"there is no class {cls} in {module}: mend _target_ in the YAML"]
        return [f"cannot load {name}: {missing}; put the folder of your own code on PYTHONPATH"]
    return [text.split(" See https://hydra.cc")[0]]


def _unknown(what: str, name: str, valid) -> str:
    valid = sorted(str(k) for k in valid if not str(k).startswith("_") and k != "hydra")
    close = difflib.get_close_matches(name, valid, n=1)
    return f"there is no {what}{f' (did you mean {close[0]}?)' if close else ''}; valid: {', '.join(valid)}"
