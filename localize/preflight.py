"""What can be known to be wrong before hours of work, all of it at once."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping

from localize.keys import describe
from localize.store import Store
from localize.types import InputError, Scene, StoreError

ROLES = {  # role: the folder whose base.py describes it, and what the pipelines ask of a component
    "feature": ("features", "extract", "grey"),
    "retrieval": ("retrieval", "fit", "describe", "needs"),
    "ranking": ("retrieval", "search", "vectors_dtype"),
    "pair_matching": ("matching", "match"),
    "mapping": ("mapping", "build", "num_neighbours"),
    "index": ("index", "build", "nearest"),
    "search": ("search", "nearest", "uses_leaves", "uses_frames"),
    "matching": ("matching", "match"),
    "pose": ("pose", "estimate"),
    "submission": ("io", "poses", "write"),
}
NEEDS = ("features", "pixels", "both", "name", "pairs")  # what a global descriptor may look at


def preflight(
    dataset, components: Mapping[str, object], store: Store, output: str, *, needs_queries: bool = True
) -> Scene:
    """The loaded scene; InputError with every problem of the dataset, the components, the store and the output folder.

    Names, photos, cameras and intrinsics are checked by `dataset.load()`. A component that needs files, such as
    weights, has a method `preflight()` that returns what is missing, one sentence each; one that must fit the scene
    has `check_scene(scene)`.
    """
    problems: list[str] = []
    scene = None
    try:
        scene = dataset.load()
    except InputError as e:
        problems += e.problems
    else:
        if len(scene.references) < 2:
            problems.append(f"scene {scene.name} has {len(scene.references)} references; a map needs at least 2 photos")
        if needs_queries and not len(scene.queries):
            problems.append(
                f"scene {scene.name} has no queries: name some, or build the map only with +pipeline=build_map"
            )
    try:
        check_parts(components, store, output)
    except InputError as e:
        problems += e.problems
    if not problems:
        problems = [p for c in components.values() if hasattr(c, "check_scene") for p in c.check_scene(scene)]
    if problems:
        raise InputError(*problems)
    return scene


def check_parts(components: Mapping[str, object], store: Store, output: str) -> None:
    """The part of `preflight` that needs no scene."""
    problems = [p for role, component in components.items() for p in _of_component(role, component)]
    try:
        store.check_writable()
    except StoreError as e:
        problems.append(str(e))
    if not os.access(pathlib.Path(output).parent if not pathlib.Path(output).exists() else output, os.W_OK):
        problems.append(f"cannot write results to {output}: choose another place with hydra.run.dir=...")
    if problems:
        raise InputError(*problems)


def _of_component(role: str, component) -> list[str]:
    """Whether it fits its role, whether its results can be kept under a key, and what it misses itself."""
    name = type(component).__name__
    folder, *asked = ROLES.get(role, ("",))
    if getattr(component, "needs", None) == "pairs":  # a ranking that exists already: nothing to learn or describe
        asked = ["ranking"]
    if getattr(component, "imports", False):
        asked = ["build"]
    if hasattr(component, "read"):  # from a file, by the photo's name
        asked = {"feature": ["path"], "retrieval": ["needs"]}.get(role, asked)
    if role == "retrieval" and getattr(component, "needs", "pixels") not in NEEDS:
        return [f"{name}.needs is {component.needs!r}, but must be one of: {', '.join(NEEDS)}"]
    lacking = [attribute for attribute in asked if not hasattr(component, attribute)]
    if lacking:
        return [f"{name} cannot be a {role}: it has no {', no '.join(lacking)}; see localize/{folder}/base.py"]
    if not dataclasses.is_dataclass(component) or not hasattr(component, "VERSION"):
        return [f"{name} is no component: make it a frozen dataclass with a class attribute VERSION = 1"]
    missing = getattr(component, "preflight", list)()
    if missing:
        return missing
    try:
        describe(component)
    except TypeError as e:
        return [f"{name} has a field that cannot be part of a key ({e}): use numbers, text, lists or arrays"]
    return []
