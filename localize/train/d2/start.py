"""Where a training of D2 starts: the network, whose weights it has, which layers learn, and what is kept of it."""

import pathlib
from dataclasses import dataclass

from torch import nn

from localize.keys import file_digest
from localize.train.d2.network import LAYERS, NETWORKS, D2Training, d2_training_network
from localize.train.loop.part import TrainingPart, aside, check_part
from localize.types import InputError
from localize.weights.d2 import OFFICIAL, VGG
from localize.weights.shipped import shipped_names, weights_file
from localize.weights.tensors import filled, read_tensors, tensors_digest
from localize.weights.trunk import trunk_tensors


@dataclass(frozen=True)
class D2Start(TrainingPart):
    """A network of D2 features as it is before the first step."""

    network: str = "small"
    train_layers: str = "all"  # or head: small's head, vgg16's conv4_3 as in the paper
    weights: str | None = aside(None)  # to go on from, a name or a path; null: random ones
    trunk: str | None = aside(None)  # weights whose trunk small takes

    def __post_init__(self):
        check_part(self, choices={"network": NETWORKS, "train_layers": LAYERS})
        if self.trunk is not None and self.network != "small":
            raise InputError(f"D2Start.trunk is {self.trunk!r}, but D2Start.network={self.network} has no trunk")

    def contents(self) -> dict[str, str]:
        """Digests of the weights' file and of the trunk's tensors, whatever else is in their file."""
        path, trunk = self._path("weights"), self._path("trunk")
        return {
            "weights": "none" if path is None else file_digest(path),
            "trunk": "none" if trunk is None else tensors_digest(trunk_tensors(trunk)),
        }

    def module(self) -> D2Training:
        """The network, what is not in the files at random."""
        network, tensors, path, trunk = (
            d2_training_network(self.network),
            {},
            self._path("weights"),
            self._path("trunk"),
        )
        if path is not None:
            tensors = read_tensors(path)[0]
            tensors = tensors.get("model", tensors)
            tensors = {VGG + n.removeprefix(OFFICIAL) if n.startswith(OFFICIAL) else n: t for n, t in tensors.items()}
        if trunk is not None:
            found = trunk_tensors(trunk)
            filled(network.trunk, {n.removeprefix("trunk."): t for n, t in found.items()}, trunk, "the small network")
            tensors |= found
        if path is not None:
            filled(network, tensors, path, f"network {self.network}", and_others=True)
        return D2Training(network, self.train_layers)

    def kept(self, module: D2Training) -> tuple[nn.Module, dict[str, str]]:
        """(what of the trained module is written, what the file says of it): a head alone names the trunk it is of."""
        named = {"network": self.network}
        if self.trunk is None or self.train_layers == "all":
            return module.network, named
        named |= {"trunk": self._trunk_name(), "trunk weights": self.contents()["trunk"]}
        return nn.ModuleDict({"head": module.network.head}), named

    def _path(self, setting: str) -> str | None:
        weights = getattr(self, setting)
        return weights and weights_file(weights, f"pipeline.start.{setting}")

    def _trunk_name(self) -> str:
        """The trunk's name as its head's file keeps it: a path that is still right in another working directory."""
        return self.trunk if self.trunk in shipped_names() else str(pathlib.Path(self._path("trunk")).absolute())
