"""The command line: compose the configuration, check everything, run one pipeline, say where the results are.

Exit codes: 0 all went well; 2 something given by the user could not be used, and each such thing got one sentence;
130 stopped by the user, 143 by SIGTERM; 1 a defect of ours, with its traceback.
"""

import dataclasses
import difflib
import importlib.resources
import importlib.util
import inspect
import json
import logging
import os
import pathlib
import re
import signal
import sys
import typing

import hydra
import omegaconf
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, MissingConfigException

from localize import __version__
from localize.arguments import as_meant
from localize.comparison import comparison
from localize.components import check_value
from localize.io.files import refused_by_system
from localize.io.text import write_text
from localize.store import Store
from localize.types import InputError, Report, StoreError

log = logging.getLogger(__name__)
MOST_WORKERS = 1024
SETTINGS = ("workers", "progress", "store", "pipeline", "dataset", "costs")  # everything else is a component
COSTS = ("told", "only", "none")
FORETOLD = ("parallel_search", "direct", "serial", "build_map", "tables")  # pipelines whose costs are known beforehand


class _Terminated(KeyboardInterrupt):
    """SIGTERM came: the run ends as by Ctrl-C."""


class _NotComposed(Exception):
    """The configuration does not compose."""


class _Errors(logging.Handler):
    """Remembers what was logged as an error: the run went on, but not with everything the user gave."""

    def __init__(self):
        super().__init__(logging.ERROR)
        self.sentences: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.sentences.append(record.getMessage())


def _job(cfg: omegaconf.DictConfig) -> dict | None:
    """The job's results.json, if any. A bad value is logged, so that a multirun goes on with its other jobs."""
    try:
        return _run(cfg)
    except (InputError, StoreError, HydraException, omegaconf.errors.OmegaConfBaseException) as e:
        for sentence in _sentences(e):
            log.error("%s", sentence)
    except MemoryError as e:
        log.error("the memory is full (%s): take workers=1, or smaller photos; all that was finished is kept", e)
    except OSError as e:
        ours = HydraConfig.get().runtime.output_dir, str(omegaconf.OmegaConf.select(cfg, "store.root"))
        sentence = refused_by_system(e, ours)
        if sentence is None:
            raise
        log.error("%s", sentence)


def _run(cfg: omegaconf.DictConfig) -> dict | None:
    """Instantiate, preflight, run, say where the results are; returns results.json."""
    output = HydraConfig.get().runtime.output_dir
    if "pipeline" not in cfg:
        pipelines, tables = ("|".join(_options(group)) for group in ("pipeline", "table"))
        raise InputError(f"say what to run: +pipeline={pipelines}, or +table={tables}")
    if {"pipeline", "table"} <= set(HydraConfig.get().runtime.choices):
        raise InputError("+table= is a pipeline itself: give either +pipeline=... or +table=...")
    missing = sorted(omegaconf.OmegaConf.missing_keys(cfg))
    if missing:
        raise InputError(*(f"{key} must be given: add {key}=... to the command" for key in missing))
    if not isinstance(cfg.store, omegaconf.DictConfig):
        raise InputError(f"store={cfg.store} names no setting: say store.root={cfg.store}")
    made = hydra.utils.instantiate(cfg, _convert_="all")
    _check_parts_of(made["pipeline"])
    pipeline, store = made["pipeline"], Store(made["store"].get("root"), verify=made["store"].get("verify", False))
    given = _given(pipeline, made, store, output)
    foretold = _foretold(pipeline, made, given)
    if made["costs"] == "only":
        return None
    said = pipeline(**given)
    if isinstance(said, str):
        print("\n" + said)
        return _compared(pathlib.Path(output))
    if not isinstance(said, Report):
        return None
    folder = pathlib.Path(output)
    results = json.loads((folder / "results.json").read_text())
    if foretold is not None:
        results["estimated"] = foretold.as_json()
        write_text(folder / "results.json", json.dumps(results, indent=1, allow_nan=False) + "\n")
    reused, computed = (sum(stage[what] for stage in results["stages"]) for what in ("reused", "computed"))
    print("\n" + (folder / "summary.txt").read_text())
    print(
        f"poses.txt, results.json and this table are in {output}; "
        f"{computed} results were computed and {reused} reused from the store {store.root}."
    )
    return results


def _sets(key: str) -> bool:
    """Whether the command line sets this key."""
    overrides = OverridesParser.create().parse_overrides(list(HydraConfig.get().overrides.task))
    return any(override.key_or_group == key for override in overrides)


def _check_parts_of(pipeline) -> None:
    """InputError for a setting of the pipeline of the wrong type or range, or a value in the place of a part."""
    parameters = inspect.signature(pipeline.func).parameters
    for name, value in pipeline.keywords.items():
        kind = parameters[name].annotation if name in parameters else None
        if dataclasses.is_dataclass(kind) and not isinstance(value, kind):
            settings = ", ".join(f.name for f in dataclasses.fields(kind))
            raise InputError(f"pipeline.{name} has settings: say pipeline.{name}.SETTING=... with one of {settings}")
        if {int, float, bool} & {kind, *typing.get_args(kind)}:
            check_value(f"pipeline.{name}", value, kind)


def _given(pipeline, made: dict, store: Store, output: str) -> dict:
    """What the pipeline's signature asks for by name, after the check before the work.

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
    check_value("progress", made["progress"], bool)
    given = {"dataset": made["dataset"], "store": store, "output": output, "progress": made["progress"]}
    given |= {"workers": _workers(made), "upright_asked": _sets("feature.upright")}
    name = next((name for name in ("scene", "reference_scene") if name in asked), None)
    if name is not None:
        scene = preflight(made["dataset"], components, store, output, needs_queries=name == "scene")
        if {"feature", "mapping"} <= components.keys():
            upright = like_supplied(components["feature"], components["mapping"], scene, asked=_sets("feature.upright"))
            components = components | {"feature": upright}
        log.info("%s: %d references, %d queries", scene.name, len(scene.references), len(scene.queries))
        given[name] = scene
        if components and not components["search"].uses_leaves:
            log.info("this search looks at prior frames only: the index is not built")
    elif takes_components:
        check_parts(components, store, output)
    return {name: value for name, value in given.items() if name in asked} | components


def _foretold(pipeline, made: dict, given: dict):
    """The Estimate of the run, said; None where none is asked for, or none can be made."""
    from localize.preflight import foretell

    name, costs = pipeline.func.__module__.rpartition(".")[2], made["costs"]
    if costs not in COSTS:
        raise InputError(f"costs is {costs!r}, but must be one of: {', '.join(COSTS)}")
    if costs == "none" or (costs == "told" and name not in FORETOLD):
        return None
    if name not in FORETOLD:
        raise InputError(f"nothing is known beforehand of what {name} costs, but of {', '.join(FORETOLD)}")
    runs = len(pipeline.keywords.get("rows", [0])) * len(pipeline.keywords.get("seeds", [0]))
    components = {role: value for role, value in made.items() if role not in SETTINGS}
    found = foretell(given, components, made["dataset"], queries=name != "build_map", runs=runs, insist=costs == "only")
    if costs == "only":
        print(f"\n{found.text}")
    elif found is not None and found.told:
        log.info("%s", found.told)
    for sentence in found.warnings if found is not None else ():
        log.warning("%s", sentence)
    return found


def _compared(folder: pathlib.Path) -> dict | None:
    """results.json of a pipeline without poses, if it names what a multirun compares."""
    path = folder / "results.json"
    results = json.loads(path.read_text()) if path.is_file() else {}
    return results if "compared" in results else None


def _workers(made: dict) -> int:
    workers = len(os.sched_getaffinity(0)) if made["workers"] is None else made["workers"]
    if type(workers) is not int or not 1 <= workers <= MOST_WORKERS:
        wanted = f"a whole number of at least 1 and at most {MOST_WORKERS}, or null for all cores"
        raise InputError(f"workers is {workers!r}, but must be {wanted}")
    return workers


def _options(group: str = "") -> list[str]:
    """The choices of a group in conf/, or the groups themselves."""
    found = (importlib.resources.files("localize.conf") / group).iterdir()
    if group:
        return sorted(p.name.removesuffix(".yaml") for p in found if p.name.endswith(".yaml"))
    return sorted(p.name for p in found if p.is_dir() and p.name not in ("hydra", "__pycache__"))


def _sentences(error: BaseException) -> list[str]:
    """What a person needs of an error: what was wrong, and what would be valid."""
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
        if name in _options():
            valid = ", ".join(_options(name))
            return [f"write +{name}=..., with a plus: there is no default to replace; valid: {valid}"]
        return [_unknown(f"setting {name}", name, _options())]
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


def _terminate(*_) -> None:
    raise _Terminated


def main() -> None:
    """Entry point of `python -m localize` and of the console script."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # let exceptions reach us instead of hydra's own printing
    logging.raiseExceptions = False  # a log that cannot be written (full disk) must not bury the reason
    if "--version" in sys.argv[1:]:
        print(f"localize {__version__}")
        sys.exit(0)
    flags = [a for a in sys.argv[1:] if a in ("-m", "--multirun")]  # argparse wants them before or after all settings
    sys.argv[1:] = flags + [as_meant(a, _parses) for a in sys.argv[1:] if a not in flags]
    errors, before = _Errors(), signal.signal(signal.SIGTERM, _terminate)
    logging.getLogger("localize").addHandler(errors)
    started, finished = [], []

    def job(cfg: omegaconf.DictConfig) -> None:
        started.append(cfg)
        found = _job(cfg)
        if found:
            finished.append((list(HydraConfig.get().overrides.task), found))

    try:
        try:
            hydra.main(version_base=None, config_path="pkg://localize.conf", config_name="config")(job)()
        except ValueError as e:  # hydra's own word for a group set to null; from a job it would be a defect of ours
            if started:
                raise
            raise _NotComposed(f"{e}: give every group one of its choices, as in search=union") from e
    except KeyboardInterrupt as e:
        kept = "Stopped. What is in the store and in the last checkpoint is kept; run the same command again to go on."
        print(f"\n{kept}", file=sys.stderr, flush=True)
        code = 143 if isinstance(e, _Terminated) else 130
        os._exit(code)  # at once: a second Ctrl-C must not end up waiting for anybody
    except (HydraException, omegaconf.errors.OmegaConfBaseException, _NotComposed) as e:
        errors.sentences += _sentences(e)
        print("\n".join(errors.sentences), file=sys.stderr)
    except OSError as e:
        if started and (isinstance(e, FileNotFoundError) or refused_by_system(e, ()) is None):
            raise
        where = e.filename or "into the results folder"
        errors.sentences.append(f"cannot write {where}: {e.strerror}; choose another place with hydra.run.dir=...")
        print(errors.sentences[-1], file=sys.stderr)
    finally:
        signal.signal(signal.SIGTERM, before)
        logging.getLogger("localize").removeHandler(errors)
    if len(finished) > 1:
        print("\n" + comparison(finished))
    if errors.sentences:
        count = len(errors.sentences)
        print(f"\nlocalize: {count} problem{'s' * (count > 1)}, named above.", file=sys.stderr)
    sys.exit(2 if errors.sentences else 0)


def _parses(argument: str) -> bool:
    try:
        OverridesParser.create().parse_override(argument)
    except HydraException:
        return False
    return True
