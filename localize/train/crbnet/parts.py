"""The parts of a training of CRBNet: where it starts, its patches, and those that it is judged by."""

import functools
import math
from dataclasses import dataclass

from torch import nn

from localize.keys import file_digest, key_of
from localize.networks.patches import NAMES, patch_network
from localize.train.crbnet.batches import PairBatches
from localize.train.crbnet.verification import PatchVerification
from localize.train.loop.part import TrainingPart, aside, check_part
from localize.train.patches.folder import read_patches
from localize.train.patches.sets import PatchSet, joined
from localize.types import InputError
from localize.weights.patches import load_weights
from localize.weights.shipped import weights_file


@dataclass(frozen=True)
class PatchStart(TrainingPart):
    """A network of patches as it is before the first step."""

    network: str = "crbnet256_lite"
    weights: str | None = aside(None)  # shipped or a file; null: random ones

    def __post_init__(self):
        check_part(self, choices={"network": NAMES})

    def contents(self) -> dict[str, str]:
        """The digest of the weights' file."""
        return {"weights": "none" if self.weights is None else file_digest(self._path())}

    def module(self) -> nn.Module:
        """The network; InputError if the weights are of another one."""
        if self.weights is None:
            return patch_network(self.network)
        module, metadata = load_weights(self._path())
        if metadata["network"] != self.network:
            raise InputError(f"{self._path()} is of another network: add pipeline.start.network={metadata['network']}")
        return module

    def _path(self) -> str:
        return weights_file(self.weights, "pipeline.start.weights")


@dataclass(frozen=True)
class PatchData(TrainingPart):
    """Patches to learn from, and how batches are drawn."""

    patches: tuple = aside()  # folders in the format of UBC PhotoTour
    pairs_per_batch: int = 1024  # of different points
    turn: bool = True  # both patches of a pair by the same of the eight symmetries of the square
    augment: float = 0.5  # share of patches that get other light, blur and noise

    def __post_init__(self):
        check_part(self, names=("patches",), ranges={"pairs_per_batch": (2, math.inf), "augment": (0, 1)})

    @functools.cached_property
    def _read(self) -> tuple[PatchSet, list[str]]:
        sets = [read_patches(folder) for folder in self.patches]
        return joined(sets), [_digest(one) for one in sets]

    def contents(self) -> dict[str, str]:
        """Number and digest of each folder's patches."""
        return {"patches": " ".join(self._read[1])}

    def steps(self, epochs: int) -> int:
        """How many batches show all patches that often; InputError for less than once."""
        if epochs < 1:
            raise InputError(f"pipeline.epochs is {epochs}, but must be 1 or more")
        return max(1, round(epochs * len(self._read[0]) / (2 * self.pairs_per_batch)))

    def batches(self, seed: int) -> PairBatches:
        """The batch by step; InputError if the patches show too few points."""
        return PairBatches(self._read[0], self.pairs_per_batch, turn=self.turn, augment=self.augment, seed=seed)


@dataclass(frozen=True)
class PatchValidation(TrainingPart):
    """Patches to validate on."""

    patches: tuple = aside()  # folders, of other places: nothing is learned from them
    pairs: int = 10_000  # matching ones of all folders together, and as many others

    def __post_init__(self):
        check_part(self, names=("patches",), positive=("pairs",))

    @functools.cached_property
    def _read(self) -> tuple[PatchVerification, list[str]]:
        sets = [read_patches(folder) for folder in self.patches]
        return PatchVerification(sets, self.pairs), [_digest(one) for one in sets]

    def contents(self) -> dict[str, str]:
        """Number and digest of each folder's patches."""
        return {"patches": " ".join(self._read[1])}

    def judge(self) -> PatchVerification:
        """What measures FPR95; InputError if the patches make no pairs."""
        return self._read[0]


def check_apart(data: PatchData, validation: PatchValidation) -> None:
    """InputError if the same patches come twice to learn from, or to learn from and to validate on."""
    learned, judged = (part.contents()["patches"].split() for part in (data, validation))
    if len(set(learned)) < len(learned):
        raise InputError("pipeline.data.patches names the same patches twice: their points would pass for others")
    if set(learned) & set(judged):
        raise InputError(
            "a folder of pipeline.validation.patches holds the patches of one of pipeline.data.patches: validate on "
            "other places"
        )


def _digest(patches: PatchSet) -> str:
    return f"{len(patches)}:{key_of(vars(patches))}"
