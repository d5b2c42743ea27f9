"""The command line: compose the configuration, check everything, run one pipeline, say what came out.

Exit codes: 0 all went well; 2 something given by the user could not be used, and each such thing got one sentence;
130 stopped by the user, 143 by SIGTERM; 1 a defect of ours, with its traceback.
"""

import logging
import os
import signal
import sys
import time

import hydra
import omegaconf
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from localize import __version__, console
from localize.arguments import as_meant
from localize.comparison import comparison
from localize.endings import ended, failed
from localize.given import check_parts_of, foretold, given_to, name_of
from localize.help import USED, choices, help_text
from localize.io.files import refused_by_system
from localize.sentences import NotComposed, sentences
from localize.store import Store
from localize.types import InputError, StoreError

log = logging.getLogger(__name__)


class _Terminated(KeyboardInterrupt):
    """SIGTERM came: the run ends as by Ctrl-C."""


class _Errors(logging.Handler):
    """Remembers what was logged as an error: the run went on, but not with everything the user gave."""

    def __init__(self):
        super().__init__(logging.ERROR)
        self.sentences: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.sentences.append(record.getMessage())

    def say(self, sentence: str) -> None:
        """One that no log can tell yet."""
        self.sentences.append(sentence)
        console.complain(sentence)

    def count(self) -> None:
        """Say how many there were, to people."""
        count = len(self.sentences)
        if count and not console.for_programs():
            console.complain(f"\nlocalize: {count} problem{'s' * (count > 1)}, named above.")


def _job(cfg: omegaconf.DictConfig) -> dict | None:
    """The job's results.json, if any. A bad value is logged, so that a multirun goes on with its other jobs."""
    try:
        return _run(cfg)
    except (InputError, StoreError, HydraException, omegaconf.errors.OmegaConfBaseException) as e:
        for sentence in sentences(e):
            log.error("%s", sentence)
    except MemoryError as e:
        log.error("the memory is full (%s): take workers=1, or smaller photos; all that was finished is kept", e)
    except OSError as e:
        ours = HydraConfig.get().runtime.output_dir, str(omegaconf.OmegaConf.select(cfg, "store.root"))
        sentence = refused_by_system(e, ours)
        if sentence is None:
            raise
        log.error("%s", sentence)
    failed(HydraConfig.get().runtime.output_dir)


def _run(cfg: omegaconf.DictConfig) -> dict | None:
    """Instantiate, preflight, run, say what came out; returns results.json."""
    output, started = HydraConfig.get().runtime.output_dir, time.monotonic()
    console.use(cfg.get("progress"))
    if "pipeline" not in cfg:
        pipelines, tables = ("|".join(sorted(choices(group))) for group in ("pipeline", "table"))
        raise InputError(
            f"say what to run: +pipeline={pipelines}, or +table={tables}; python -m localize --help says what they are"
        )
    if {"pipeline", "table"} <= set(HydraConfig.get().runtime.choices):
        raise InputError("+table= is a pipeline itself: give either +pipeline=... or +table=...")
    missing = sorted(omegaconf.OmegaConf.missing_keys(cfg))
    if missing:
        raise InputError(*(f"{key} must be given: add {key}=... to the command" for key in missing))
    if not isinstance(cfg.store, omegaconf.DictConfig):
        raise InputError(f"store={cfg.store} names no setting: say store.root={cfg.store}")
    made = hydra.utils.instantiate(cfg, _convert_="all")
    check_parts_of(made["pipeline"])
    pipeline, store = made["pipeline"], Store(made["store"].get("root"), verify=made["store"].get("verify", False))
    console.event("run", pipeline=name_of(pipeline), output=output, store=str(store.root))
    given = given_to(pipeline, made, store, output, upright_asked=_sets("feature.upright"))
    estimate = foretold(pipeline, made, given)
    if made["costs"] == "only":
        return None
    return ended(pipeline(**given), output, store.root, estimate, time.monotonic() - started)


def _sets(key: str) -> bool:
    """Whether the command line sets this key."""
    overrides = OverridesParser.create().parse_overrides(list(HydraConfig.get().overrides.task))
    return any(override.key_or_group == key for override in overrides)


def _terminate(*_) -> None:
    raise _Terminated


def main() -> None:
    """Entry point of `python -m localize` and of the console script."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # let exceptions reach us instead of hydra's own printing
    logging.raiseExceptions = False  # a log that cannot be written (full disk) must not bury the reason
    arguments = sys.argv[1:]
    if "--version" in arguments:
        print(f"localize {__version__}")
        sys.exit(0)
    if not arguments or set(USED) & set(arguments):
        try:
            print(help_text(arguments), flush=True)
        except BrokenPipeError:  # who reads has read enough
            os._exit(0)
        sys.exit(0)
    flags = [a for a in arguments if a in ("-m", "--multirun")]  # argparse wants them before or after all settings
    sys.argv[1:] = flags + [as_meant(a, _parses) for a in arguments if a not in flags]
    with console.opened(sys.argv[1:]):
        sys.exit(_composed())


def _composed() -> int:
    """Let Hydra compose the configuration, and run a job for each; returns the exit code."""
    errors, before = _Errors(), signal.signal(signal.SIGTERM, _terminate)
    logging.getLogger("localize").addHandler(errors)
    started, finished = [], []

    def job(cfg: omegaconf.DictConfig) -> None:
        started.append(cfg)
        found = _job(cfg)
        if found:
            finished.append((list(HydraConfig.get().overrides.task), found))

    try:
        _hydra(job, started)
    except KeyboardInterrupt as e:
        kept = "Stopped. What is in the store and in the last checkpoint is kept; run the same command again to go on."
        console.complain(f"\n{kept}")
        code = 143 if isinstance(e, _Terminated) else 130
        os._exit(code)  # at once: a second Ctrl-C must not end up waiting for anybody
    except (HydraException, omegaconf.errors.OmegaConfBaseException, NotComposed) as e:
        for sentence in sentences(e):
            errors.say(sentence)
    except OSError as e:
        if started and (isinstance(e, FileNotFoundError) or refused_by_system(e, ()) is None):
            raise
        where = e.filename or "into the results folder"
        errors.say(f"cannot write {where}: {e.strerror}; choose another place with hydra.run.dir=...")
    finally:
        signal.signal(signal.SIGTERM, before)
        logging.getLogger("localize").removeHandler(errors)
    if len(finished) > 1:
        console.say(comparison(finished))
    errors.count()
    return 2 if errors.sentences else 0


def _hydra(job, started: list) -> None:
    try:
        hydra.main(version_base=None, config_path="pkg://localize.conf", config_name="config")(job)()
    except ValueError as e:  # hydra's own word for a group set to null; from a job it would be a defect of ours
        if started:
            raise
        raise NotComposed(f"{e}: give every group one of its choices, as in search=union") from e


def _parses(argument: str) -> bool:
    try:
        OverridesParser.create().parse_override(argument)
    except HydraException:
        return False
    return True
