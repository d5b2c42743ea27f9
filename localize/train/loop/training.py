"""What all trainings share: folder, threads, random start, and what is left behind at the end."""

import contextlib
import pathlib
from collections.abc import Callable, Iterator

import torch
from torch import nn

from localize.kernels.threads import keep_memory
from localize.train.loop.curve import TrainingCurve
from localize.train.loop.machine import threads
from localize.train.loop.part import TrainingPart, made_from
from localize.train.loop.plot import plot_training
from localize.train.loop.training_loop import TrainingLoop
from localize.weights.tensors import write_tensors


class Training:
    """A training in a folder, made from its parts by their roles: how it starts, its data, its loss, its validation."""

    def __init__(self, output: str, workers: int, progress: bool, *, loop: TrainingLoop, **parts: TrainingPart):
        """workers: threads. InputError if a part's files cannot be used: all that decides the result is read here."""
        self.folder, self.workers, self.progress, self.loop = pathlib.Path(output), workers, progress, loop
        self.made_from = made_from(parts | {"loop": loop})

    def started(self, build: Callable[[], nn.Module]) -> nn.Module:
        """What `build` makes with the random weights of the seed: the same for any number of threads."""
        with threads(1), torch.random.fork_rng():
            torch.manual_seed(self.loop.seed)
            return build()

    @contextlib.contextmanager
    def threads(self) -> Iterator[None]:
        """Where to compute: on as many threads as there are workers."""
        keep_memory()
        with threads(self.workers):
            yield

    def run(self, module: nn.Module, batches: Callable, loss: Callable, validate: Callable) -> TrainingCurve:
        """Train the module in place, see `TrainingLoop.run`."""
        with self.threads():
            return self.loop.run(
                module,
                batches,
                loss,
                validate,
                folder=self.folder,
                made_from=self.made_from,
                progress=self.progress,
            )

    def finish(
        self,
        curve: TrainingCurve,
        module: nn.Module,
        metadata: dict[str, str],
        *,
        measures: dict[str, str],
        on: str,
        name: str,
        use: str,
    ) -> str:
        """Write the module's weights and training.png; says how good they are and how to use them.

        metadata: kept beside the weights with all that decided them and what validation found; `network` is among it.
        measures: labels by the curve's columns; on: what they were measured on; name: of the weights' file; use: the
        settings that take its path, which ends the sentence.
        """
        path, picture = self.folder / name, self.folder / "training.png"
        first, last = curve.rows[0], curve.rows[-1]
        found = {column: value for column, value in last.items() if value and column != "step"}
        write_tensors(path, module, self.made_from | found | metadata)
        plot_training(picture, curve, measures, f"on the {on} (%)")
        change = [f"{label} from {float(first[m]):.2f} to {float(last[m]):.2f} %" for m, label in measures.items()]
        return (
            f"{metadata['network']} after {self.loop.steps} steps: {', '.join(change)}, on the {on}; the course is in "
            f"{picture}.\nUse it with {use}={path.absolute()}"
        )
