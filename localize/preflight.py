"""What can be known to be wrong before hours of work, all of it at once."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping

from localize.components import missing, unfit
from localize.features.base import StoredFeature
from localize.keys import describe
from localize.pose.base import unfit_for_rigs
from localize.pose.priors import unhonoured
from localize.retrieval.base import StoredDescriptor
from localize.roles import Components, unfit_for_role
from localize.stages import Workbench, like_supplied
from localize.stages.costs import Estimate, estimate
from localize.store import Store
from localize.types import InputError, Scene, StoreError


def preflight(
    dataset, components: Mapping[str, object], store: Store, output: str, *, needs_queries: bool = True
) -> Scene:
    """The loaded scene; InputError with every problem of the dataset, the components, the store and the output folder.

    Names, photos, cameras and intrinsics are checked by `dataset.load()`.
    """
    if not callable(getattr(dataset, "load", None)):
        raise InputError(f"{type(dataset).__name__} cannot be a dataset: it has no load; see localize/datasets/base.py")
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
        problems = [sentence for component in components.values() for sentence in unfit(component, scene)]
        of_names = [c for c in components.values() if isinstance(c, StoredFeature | StoredDescriptor)]
        problems += [p for component in of_names for p in scene.mixed_up_by(type(component).__name__)]
        problems += unfit_for_rigs(components["pose"], scene.queries) if needs_queries and "pose" in components else []
        problems += unhonoured(components["pose"], scene.queries) if needs_queries and "pose" in components else []
    if problems:
        raise InputError(*problems)
    return scene


def foretell(
    given: Mapping, components: Mapping[str, object], dataset, *, queries: bool, runs: int, insist: bool
) -> Estimate | None:
    """What a run is to cost, see `stages.costs.estimate`; None where the run itself will stop.

    given: what the run gets: its scene, or none yet for a table; store, workers, progress. insist: InputError instead
    of None.
    """
    bench = Workbench(given["store"], given["workers"], given["progress"])
    try:
        scene = given.get("scene", given.get("reference_scene")) or dataset.load()
        feature = like_supplied(components["feature"], components["mapping"], scene)
        use = Components(**components | {"feature": feature})
        return estimate(bench, use, scene, describe=not queries, queries=queries, runs=runs)
    except InputError:  # the run will say so itself
        if insist:
            raise
        return None


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
    found = unfit_for_role(role, component)
    if found:
        return found
    if not dataclasses.is_dataclass(component) or not hasattr(component, "VERSION"):
        return [f"{name} is no component: make it a frozen dataclass with a class attribute VERSION = 1"]
    found = missing(component)
    if found:
        return found
    try:
        describe(component)
    except TypeError as e:
        return [f"{name} has a field that cannot be part of a key ({e}): use numbers, text, lists or arrays"]
    return []
