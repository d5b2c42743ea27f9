"""Where stages work: the store, the workers, what is told of their progress, and a record of what each stage cost."""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import threadpoolctl

from localize import progress
from localize.stages import memory, workers
from localize.stages.shelved import Shelved
from localize.store import Shelf, Store
from localize.types import InputError

log = logging.getLogger(__name__)


@dataclass
class StageRecord:
    """What one stage did in this run."""

    name: str
    key: str = ""
    computed: int = 0
    reused: int = 0
    seconds: float = 0.0
    peak_memory_mb: float = 0.0  # of this process while the stage ran, and of its worker processes


@dataclass
class Workbench:
    """A store, a number of workers (results do not depend on it), and the records of the stages run so far."""

    store: Store
    workers: int = 1
    progress: bool = False
    records: list[StageRecord] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)  # photos that had to be left out, and why

    def __post_init__(self):
        workers.refuse_rerun()

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[StageRecord]:
        """Time a stage. Libraries run on one thread each: the workers are ours, and results do not depend on them.

        A stage within it is timed for itself, and its seconds are not counted twice.
        """
        record, finished = StageRecord(name), len(self.records)
        memory.reset_peak_memory()
        start = time.perf_counter()
        with self.bar(name) as bar, threadpoolctl.threadpool_limits(1):
            yield record
            bar.facts = {"computed": record.computed, "reused": record.reused}
        record.seconds = time.perf_counter() - start - sum(within.seconds for within in self.records[finished:])
        record.peak_memory_mb += memory.peak_memory_mb()
        self.records.append(record)
        log.info("%-20s %s", name.replace("_", " "), _told(record))

    def artifact(
        self, name: str, spec: dict, build: Callable[..., object], *, streamed: bool = False
    ) -> tuple[object, str]:
        """One result from the store, or built now, see `Store.artifact`. Returns (record, key)."""
        with self.stage(name) as record:
            result, record.key, reused = self.store.artifact(name, spec, build, streamed=streamed)
            record.reused, record.computed = int(reused), int(not reused)
        return result, record.key

    def fill(
        self,
        name: str,
        shelf: Shelf,
        keys: dict,
        work: Callable,
        *,
        arguments: dict | None = None,
        read: Callable | None = None,
        leave_out: bool = False,
        processes: bool = False,
        at_most: int | None = None,
    ) -> Shelved:
        """`work(argument)`, or `work(argument, read(argument))`, on the shelf for every item key not there yet.

        keys: of the items, by our names for them; arguments: by name, None: the names themselves. Names of one key are
        one item. An InputError of one item, such as a photo that cannot be read, stops no other. With `leave_out` these
        are logged and named in `failures`; else there is one InputError with all of them when the rest is done.
        at_most: workers, where memory holds no more.
        """
        made = Shelved(shelf, keys)
        arguments = {key: name if arguments is None else arguments[name] for name, key in keys.items()}
        with self.stage(name) as record, contextlib.ExitStack() as stack:
            record.key = shelf.key
            if any(key not in shelf for key in arguments):
                stack.enter_context(shelf.filling())
            todo = [key for key in arguments if key not in shelf]
            record.reused = len(arguments) - len(todo)
            bar = stack.enter_context(self.bar(name, len(arguments), record.reused))
            job = workers.Work(work, read, gives_errors=True)
            number = min(self.workers, at_most or self.workers)
            results = workers.run(job, [arguments[key] for key in todo], number, processes=processes)
            with contextlib.closing(results):
                shelf.fill(made.kept(_usable(zip(todo, results, strict=True), made.failures, bar)))
            record.computed = len(todo) - len(made.failures)
            if processes and min(number, len(todo)) > 1:  # ended by now, so their memory is known
                record.peak_memory_mb += min(number, len(todo)) * memory.peak_memory_of_children_mb()
        if made.failures and not leave_out:
            raise InputError(*made.failures.values())
        for sentence in made.failures.values():
            log.error("%s; left out, the rest goes on", sentence)
        return made

    def map(self, work: Callable, arguments: list, *, processes: bool = False) -> Iterator[tuple[object, float]]:
        """(work(argument), its seconds) in order, on this bench's workers."""
        return workers.run(workers.Work(work), arguments, self.workers, processes=processes)

    def bar(self, name: str, total: int | None = None, done: int = 0) -> contextlib.AbstractContextManager:
        """Work whose progress is told, see `progress.work`; total: None where it is not known."""
        return progress.work(name, total, done, shown=self.progress)


def _told(record: StageRecord) -> str:
    """What it did, in words."""
    if not record.computed and record.reused:
        return f"{record.reused} reused" + (f" in {progress.spoken(record.seconds)}" if record.seconds > 1 else "")
    reused = f", {record.reused} reused" if record.reused else ""
    return f"{record.computed} computed{reused} in {progress.spoken(record.seconds)}"


def _usable(results, failures: dict[str, str], bar: progress.Work) -> Iterator[tuple[str, object, float]]:
    """The results that are no errors; what the errors say is collected by item key."""
    for key, (made, seconds) in results:
        bar.update()
        if isinstance(made, InputError):
            failures[key] = str(made)
        else:
            yield key, made, seconds
