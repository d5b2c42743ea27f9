"""What a training computes on and in: device, precision, threads."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from localize.networks.inference import computes_bfloat16
from localize.types import InputError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
PRECISIONS = ("auto", *DTYPES)
DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True)
class Machine:
    """A device, and the precision of its convolutions and products; weights, norms and losses stay in float32."""

    device: str  # cpu or cuda
    precision: str  # float32, bfloat16 or float16

    def autocast(self) -> torch.autocast:
        """The context of forward passes and losses."""
        return torch.autocast(self.device, DTYPES[self.precision], enabled=self.precision != "float32")


def choose_machine(device: str = "auto", precision: str = "auto") -> Machine:
    """What `auto` means here: CUDA if there is one; bfloat16 where the hardware multiplies it, float16 on older GPUs.

    InputError for what this machine does not have.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("device=cuda was asked for, but torch finds no such device: take device=cpu")
    if precision == "auto":
        otherwise = "float16" if device == "cuda" else "float32"
        precision = "bfloat16" if computes_bfloat16(device) else otherwise
    if (device, precision) == ("cpu", "float16"):
        raise InputError("precision=float16 needs a CUDA device: take precision=bfloat16 or float32")
    return Machine(device, precision)


@contextlib.contextmanager
def threads(num: int) -> Iterator[None]:
    """Let torch compute on `num` threads; results depend on it in the last digits."""
    before = torch.get_num_threads()
    torch.set_num_threads(num)
    try:
        yield
    finally:
        torch.set_num_threads(before)
