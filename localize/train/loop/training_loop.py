"""One loop for everything that is trained: a module, its data and its loss in; the trained module and its curve out.

Whatever is random in a step is a function of the seed and the step's number, so a training that was killed goes on
from its last checkpoint as if nothing had happened: on the CPU, and with as many threads as before, bit for bit.
"""

import logging
import math
import pathlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from localize import progress as told
from localize.io.files import locked
from localize.train.loop.checkpoint import Checkpoint
from localize.train.loop.curve import TrainingCurve
from localize.train.loop.machine import DEVICES, PRECISIONS, Machine, choose_machine
from localize.train.loop.part import TrainingPart, aside, check_part
from localize.types import InputError

log = logging.getLogger(__name__)
BETAS = (0.9, 0.999)
SCHEDULES = {"linear": lambda done: 1 - done, "halving": lambda done: 0.5 ** int(5 * done), "none": lambda done: 1.0}
CHECKPOINT_S = 60.0  # a checkpoint comes after that long, however few steps were made


@dataclass(frozen=True)
class TrainingLoop(TrainingPart):
    """Adam for a number of steps."""

    steps: int = 20_000
    learning_rate: float = 0.01
    schedule: str = "linear"  # to 0 at the last step; halving: by half at every fifth; none: the same all the time
    seed: int = 0
    precision: str = "auto"  # of convolutions and products: float32, bfloat16, float16; auto: what is fast here
    device: str = "auto"  # cpu, cuda; auto: cuda if there is one
    checkpoint_every: int = aside(200)  # steps; after a minute in any case
    validate_every: int = aside(500)  # steps

    VERSION: ClassVar[int] = 1

    def __post_init__(self):
        positive = ("steps", "learning_rate", "checkpoint_every", "validate_every")
        choices = {"schedule": tuple(SCHEDULES), "precision": PRECISIONS, "device": DEVICES}
        check_part(self, positive=positive, choices=choices)

    def machine(self) -> Machine:
        """What it computes on here, and how precisely; InputError for what this machine does not have."""
        return choose_machine(self.device, self.precision)

    def contents(self) -> dict[str, str]:
        """What `auto` means here."""
        return vars(self.machine())

    def run(
        self,
        module: nn.Module,
        data: Callable[[int, str], Any],
        loss: Callable[[nn.Module, Any], dict[str, torch.Tensor]],
        validate: Callable[[nn.Module, Machine], dict[str, float]],
        *,
        folder: pathlib.Path,
        made_from: dict[str, str],
        progress: bool = False,
    ) -> TrainingCurve:
        """Train `module` in place, leaving checkpoint.pt and curve.csv in the folder; goes on from those it finds.

        data(step, device): the batch; loss(module, batch): terms by name, whose sum is minimised; validate(module in
        eval mode, machine): figures by name, told with the progress; made_from: what decides the result, by the
        names that a user gives. InputError if the folder's checkpoint is of another training, or if the loss is no
        number any more.
        """
        machine = self.machine()
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / "checkpoint.pt"), torch.random.fork_rng():
            work = _Work(self, machine, module, Checkpoint(folder / "checkpoint.pt", made_from))
            curve = TrainingCurve(folder / "curve.csv", work.done)
            log.info("%s in %s, steps %d to %d", machine.device, machine.precision, work.done, self.steps)
            log.info("if it is stopped, the same command with hydra.run.dir=%s goes on", folder)
            with told.work("training", self.steps, work.done, shown=progress) as bar:
                for _ in range(work.done, self.steps):
                    work.step(data, loss, validate, curve, bar)
            found = work.measured(validate)
            curve.append(self.steps, seconds=work.seconds, **found)
        module.eval()
        return curve

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        return self.learning_rate * SCHEDULES[self.schedule](step / self.steps)

    def groups(self, module: nn.Module):
        """What Adam is given: the parameters, or groups of them, each with its weight decay or its `factor` of the
        learning rate. A parameter without a gradient stays as it is."""
        return module.parameters()


class _Work:
    """A module with its optimiser after `done` steps."""

    def __init__(self, settings: TrainingLoop, machine: Machine, module: nn.Module, checkpoint: Checkpoint):
        self.settings, self.machine, self.checkpoint = settings, machine, checkpoint
        self.module = module.to(machine.device, memory_format=torch.channels_last)
        self.optimizer = torch.optim.Adam(settings.groups(self.module), settings.learning_rate, BETAS)
        self.scaler = torch.amp.GradScaler(machine.device, enabled=machine.precision == "float16")
        self.done, earlier_s, self.shown = 0, 0.0, {}
        if state := checkpoint.load(machine.device):
            self.module.load_state_dict(state["module"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.scaler.load_state_dict(state["scaler"])
            self.done, earlier_s = state["done"], state["seconds"]
        self.start_s, self.saved_s = time.monotonic() - earlier_s, time.monotonic()

    @property
    def seconds(self) -> float:
        return round(time.monotonic() - self.start_s, 2)

    def step(self, data: Callable, loss: Callable, validate: Callable, curve: TrainingCurve, bar: told.Work) -> None:
        """One update, its row of the curve and, when due, validation before it and a checkpoint after it."""
        due = self.done % self.settings.validate_every == 0
        found = self.measured(validate) if due else {}
        values, rate = self._update(data, loss), self.settings.rate(self.done)
        curve.append(self.done, **values, learning_rate=rate, seconds=self.seconds, **found)
        if found:
            log.info("step %d: %s", self.done, ", ".join(f"{k} {v:.2f}" for k, v in found.items()))
        self.shown = found or self.shown
        bar.tell(", ".join([f"loss {sum(values.values()):.3f}", *(f"{k} {v:.2f}" for k, v in self.shown.items())]))
        bar.update()
        self.done += 1
        late = time.monotonic() - self.saved_s > CHECKPOINT_S
        if late or self.done % self.settings.checkpoint_every == 0 or self.done == self.settings.steps:
            self._save()

    def measured(self, validate: Callable) -> dict[str, float]:
        """What the validation says of the module as it is."""
        self.module.eval()
        with torch.inference_mode(), self.machine.autocast():
            return validate(self.module, self.machine)

    def _update(self, data: Callable, loss: Callable) -> dict[str, float]:
        """Take one step of Adam; the loss terms before it."""
        self.module.train()
        torch.manual_seed(step_seed(self.settings.seed, self.done))  # of dropout
        with self.machine.autocast():
            terms = loss(self.module, data(self.done, self.machine.device))
        values = {name: term.item() for name, term in terms.items()}
        if not all(map(math.isfinite, values.values())):
            self._stop(f"the loss of step {self.done} is no number ({values})")
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.rate(self.done) * group.get("factor", 1.0)
        self.optimizer.zero_grad()
        self.scaler.scale(sum(terms.values())).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return values

    def _save(self) -> None:
        if not all(t.isfinite().all() for t in self.module.state_dict().values()):
            self._stop(f"the weights after step {self.done - 1} are no numbers")
        state = {"module": self.module.state_dict(), "optimizer": self.optimizer.state_dict()}
        self.checkpoint.save(state | {"scaler": self.scaler.state_dict(), "done": self.done, "seconds": self.seconds})
        self.saved_s = time.monotonic()

    def _stop(self, why: str):
        kept = f"; the last good checkpoint, {self.checkpoint.path}, is kept" if self.checkpoint.path.exists() else ""
        advice = (
            "take a smaller pipeline.loop.learning_rate or pipeline.loop.precision=float32, and another hydra.run.dir"
        )
        raise InputError(f"{why}: {advice}{kept}")


def step_seed(*numbers: int) -> int:
    """A seed for torch's generators, another one for other numbers: the training's seed, the step, the purpose."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))
