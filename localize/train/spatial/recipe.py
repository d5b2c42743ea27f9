"""HOW's recipe: how fast what learns, and when."""

from dataclasses import dataclass

from torch import nn

from localize.train.loop.part import aside, check_part
from localize.train.loop.training_loop import DEVICES, PRECISIONS, SCHEDULES, TrainingLoop
from localize.types import InputError


@dataclass(frozen=True)
class SpatialLoop(TrainingLoop):
    """Adam in epochs; the trunk learns in the later ones, at a rate of its own (Tolias, Jenicek & Chum, ECCV 2020)."""

    steps: int = 8000
    learning_rate: float = 1e-4  # of all but the trunk
    schedule: str = "none"  # of both rates, beside `decay`
    checkpoint_every: int = aside(100)
    validate_every: int = aside(400)
    epoch_steps: int = 400  # at the start of each epoch negatives are mined anew
    decay: float = 0.99  # of both rates, per epoch
    trunk_rate: float = 1e-6  # HOW's for ResNet-50; 5e-6 for ResNet-18
    frozen: float = 0.5  # share of the epochs before the trunk learns
    weight_decay: float = 1e-4

    def __post_init__(self):
        positive = ("steps", "learning_rate", "checkpoint_every", "validate_every", "epoch_steps", "decay")
        positive += ("trunk_rate",)
        choices = {"schedule": tuple(SCHEDULES), "precision": PRECISIONS, "device": DEVICES}
        check_part(self, positive=positive, choices=choices, ranges={"frozen": (0, 1)})
        if self.steps % self.epoch_steps:
            raise InputError(
                f"pipeline.loop.steps is {self.steps}, but must be a multiple of epoch_steps, {self.epoch_steps}"
            )

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0, of all but the trunk."""
        return super().rate(step) * self.decay ** (step // self.epoch_steps)

    def thawed(self, step: int) -> bool:
        """Whether the trunk learns in this step."""
        return step // self.epoch_steps >= self.frozen * (self.steps // self.epoch_steps)

    def groups(self, module: nn.Module) -> list[dict]:
        """The trunk's parameters and the others; those that never learn are left out. InputError if none is left.

        `factor`: of the learning rate.
        """
        learn = [p for p in module.head_parameters() if p.requires_grad]
        groups = [{"params": learn, "weight_decay": self.weight_decay}] if learn else []
        if self.frozen < 1:
            factor = self.trunk_rate / self.learning_rate
            groups.append(
                {"params": list(module.trunk.parameters()), "weight_decay": self.weight_decay, "factor": factor}
            )
        if not groups:
            raise InputError(
                "nothing of this network learns: take pipeline.start.smoothing=learned or another module, or "
                "pipeline.loop.frozen below 1"
            )
        return groups
