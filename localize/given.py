"""What a pipeline is given: what its signature asks for by name, checked before the work, and what that is to cost."""

import dataclasses
import inspect
import logging
import os
import typing

from localize import console, progress
from localize.components import check_value
from localize.store import Store
from localize.types import InputError

log = logging.getLogger(__name__)
MOST_WORKERS = 1024
SETTINGS = ("workers", "progress", "store", "pipeline", "dataset", "costs")  # everything else is a component
COSTS = ("told", "only", "none")
PLACES = ("parallel_search", "direct", "serial", "build_map")  # pipelines that find poses of references without any
FORETOLD = (*PLACES, "tables")  # pipelines whose costs are known beforehand


def check_parts_of(pipeline) -> None:
    """InputError for a setting of the pipeline of the wrong type or range, or a value in the place of a part."""
    parameters = inspect.signature(pipeline.func).parameters
    for name, value in pipeline.keywords.items():
        kind = parameters[name].annotation if name in parameters else None
        if dataclasses.is_dataclass(kind) and not isinstance(value, kind):
            settings = ", ".join(f.name for f in dataclasses.fields(kind))
            raise InputError(f"pipeline.{name} has settings: say pipeline.{name}.SETTING=... with one of {settings}")
        if {int, float, bool} & {kind, *typing.get_args(kind)}:
            check_value(f"pipeline.{name}", value, kind)


def given_to(pipeline, made: dict, store: Store, output: str, *, upright_asked: bool) -> dict:
    """What the pipeline's signature asks for by name, after the check before the work; made: the configuration.

    `scene`: the loaded scene, whose queries are needed; `reference_scene`: the same where only the references are;
    `dataset`: what loads it; `store`, `workers`, `progress`, `output`; `upright_asked`: whether the user set
    feature.upright; `**components`: one per role.
    """
    # these bring all default components: not for --help or a typo
    from localize.preflight import check_parts, preflight
    from localize.stages import like_supplied

    asked = inspect.signature(pipeline.func).parameters
    takes_components = any(p.kind is p.VAR_KEYWORD for p in asked.values())
    components = {role: value for role, value in made.items() if role not in SETTINGS} if takes_components else {}
    shown = console.shows_progress()
    given = {"dataset": made["dataset"], "store": store, "output": output, "progress": shown}
    given |= {"workers": _workers(made), "upright_asked": upright_asked}
    name = next((name for name in ("scene", "reference_scene") if name in asked), None)
    if name is not None:
        with progress.work("photos and settings", shown=shown):
            scene = preflight(made["dataset"], components, store, output, needs_queries=name == "scene")
        if scene.unposed is not None and name_of(pipeline) not in PLACES:
            raise InputError(
                f"the references have no poses yet, which {name_of(pipeline)} needs: run +pipeline=build_map, and take "
                "the model that it writes, dataset=colmap dataset.image_root=PHOTOS dataset.model=RUN/reconstruction"
            )
        if {"feature", "mapping"} <= components.keys():
            upright = like_supplied(components["feature"], components["mapping"], scene, asked=upright_asked)
            components = components | {"feature": upright}
        log.info("%s: %d references, %d queries", scene.name, len(scene.references), len(scene.queries))
        console.event("scene", name=scene.name, references=len(scene.references), queries=len(scene.queries))
        given[name] = scene
        if components and not components["search"].uses_leaves:
            log.info("this search looks at prior frames only: the index is not built")
    elif takes_components:
        check_parts(components, store, output)
    return {name: value for name, value in given.items() if name in asked} | components


def foretold(pipeline, made: dict, given: dict):
    """The Estimate of the run, said; None where none is asked for, or none can be made."""
    from localize.preflight import foretell

    name, costs = name_of(pipeline), made["costs"]
    if costs not in COSTS:
        raise InputError(f"costs is {costs!r}, but must be one of: {', '.join(COSTS)}")
    if costs == "none" or (costs == "told" and name not in FORETOLD):
        return None
    if name not in FORETOLD:
        raise InputError(f"nothing is known beforehand of what {name} costs, but of {', '.join(FORETOLD)}")
    runs = len(pipeline.keywords.get("rows", [0])) * len(pipeline.keywords.get("seeds", [0]))
    components = {role: value for role, value in made.items() if role not in SETTINGS}
    how = {"queries": name != "build_map", "runs": runs, "insist": costs == "only"}
    with progress.work("cost estimate", shown=given["progress"]):
        found = foretell(given | {"progress": False}, components, made["dataset"], **how)
    if costs == "only":
        console.say(found.text)
        console.event("ended", ok=True, estimated=found.as_json())
    elif found is not None and found.told:
        log.info("%s", found.told)
    for sentence in found.warnings if found is not None else ():
        log.warning("%s", sentence)
    return found


def _workers(made: dict) -> int:
    workers = len(os.sched_getaffinity(0)) if made["workers"] is None else made["workers"]
    if type(workers) is not int or not 1 <= workers <= MOST_WORKERS:
        wanted = f"a whole number of at least 1 and at most {MOST_WORKERS}, or null for all cores"
        raise InputError(f"workers is {workers!r}, but must be {wanted}")
    return workers


def name_of(pipeline) -> str:
    """Of the module of a pipeline."""
    return pipeline.func.__module__.rpartition(".")[2]
