"""The command line: compose the configuration, check everything, run one pipeline, say where the results are.

Exit codes: 0 all went well; 2 something given by the user could not be used, and each such thing got one sentence;
130 stopped by the user; 1 a defect of ours, with its traceback.
"""

import difflib
import logging
import os
import pathlib
import sys

import hydra
import omegaconf
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException

from localize.preflight import preflight
from localize.store import Store
from localize.types import InputError, StoreError

log = logging.getLogger(__name__)
SETTINGS = ("workers", "progress", "store", "pipeline", "dataset")  # everything else is a component


class _Errors(logging.Handler):
    """Remembers what was logged as an error: the run went on, but not with everything the user gave."""

    def __init__(self):
        super().__init__(logging.ERROR)
        self.sentences: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.sentences.append(record.getMessage())


def _run(cfg: omegaconf.DictConfig) -> None:
    """One job: instantiate, preflight, run, report."""
    output = HydraConfig.get().runtime.output_dir
    if "pipeline" not in cfg:
        raise InputError("say what to run: +pipeline=" + "|".join(_options("pipeline")))
    made = hydra.utils.instantiate(cfg, _convert_="all")
    components = {name: value for name, value in made.items() if name not in SETTINGS}
    store = Store(made["store"]["root"])
    pipeline = made["pipeline"]
    mapping_only = pipeline.func.__module__.endswith(".build_map")
    scene = preflight(made["dataset"], components.values(), store, output, needs_queries=not mapping_only)
    log.info("%s: %d references, %d queries", scene.name, len(scene.references), len(scene.queries))
    target = os.path.join(output, "map") if mapping_only else output
    workers = made["workers"] or len(os.sched_getaffinity(0))
    pipeline(scene, store, **components, workers=workers, progress=made["progress"], output=target)
    summary = pathlib.Path(output) / "summary.txt"
    if summary.is_file():
        print("\n" + summary.read_text())
        print(f"poses.txt, results.json and this table are in {output}; the store {store.root} serves the next run.")
    else:
        print(f"\nThe map is in {target}; open it with localize.Localizer.load({target!r}).")


def _options(group: str) -> list[str]:
    from hydra.core.global_hydra import GlobalHydra

    return GlobalHydra.instance().config_loader().get_group_options(group)


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
            return [_unknown_key(str(e.full_key), list(e.parent_node.keys()))]
        if isinstance(e, omegaconf.errors.MissingMandatoryValue):
            return [f"{e.full_key} must be given: add {e.full_key}=... to the command"]
    text = " ".join(str(error).split())
    if "No match in the defaults list" in text:  # a misspelt group, e.g. serch=union
        return [_unknown_key(text.split("'")[1], _options("") or [])]
    for e in chain:  # a class or a field that does not exist
        if isinstance(e, TypeError | ImportError | ValueError) and e is not error:
            return [f"{' '.join(str(e).split())} ({' '.join(str(error).split())[:200]})"]
    return [text]


def _unknown_key(key: str, valid: list[str]) -> str:
    valid = sorted(k for k in valid if not k.startswith("_") and k != "hydra")
    close = difflib.get_close_matches(key.rsplit(".", 1)[-1], valid, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return f"there is no setting {key}{hint} Valid: {', '.join(valid)}".replace("? Valid", "? Valid")


def main() -> None:
    """Entry point of `python -m localize` and of the console script."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # let exceptions reach us instead of hydra's own printing
    errors = _Errors()
    logging.getLogger("localize").addHandler(errors)
    code = 0
    try:
        hydra.main(version_base=None, config_path="pkg://localize.conf", config_name="config")(_run)()
    except KeyboardInterrupt:
        print("\nStopped. What was finished is kept; run the same command again to go on.", file=sys.stderr)
        code = 130
    except (InputError, StoreError, HydraException, omegaconf.errors.OmegaConfBaseException) as e:
        for sentence in _sentences(e):
            print(f"localize: {sentence}", file=sys.stderr)
        code = 2
    if not code and errors.sentences:
        print("\nThe run went through, but not with everything it was given:", file=sys.stderr)
        for sentence in errors.sentences:
            print(f"localize: {sentence}", file=sys.stderr)
        code = 2
    sys.exit(code)
