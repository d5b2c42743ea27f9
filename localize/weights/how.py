"""Weights of HOW and its spatial context on disk: the tensors of all parts, and the settings in the file's metadata."""

import dataclasses
import json
import pathlib

from safetensors import SafetensorError, safe_open

from localize.networks.how import How, HowSettings
from localize.types import InputError
from localize.weights.tensors import filled, read_tensors, write_tensors

NETWORK = "how"  # of the metadata


def write_how(path: str | pathlib.Path, network: How, metadata: dict[str, str] | None = None) -> None:
    """Write the weights in half precision, whole or not at all; metadata: further things to be said."""
    told = {"network": NETWORK, "settings": json.dumps(dataclasses.asdict(network.settings))}
    write_tensors(path, network, (metadata or {}) | told)


def settings_of(path: str | pathlib.Path) -> HowSettings | None:
    """The settings in a file of weights; None if it is another network's. InputError if they cannot be understood."""
    if pathlib.Path(path).suffix != ".safetensors" or not pathlib.Path(path).is_file():
        return None
    try:
        with safe_open(path, "np") as file:
            told = file.metadata() or {}
    except SafetensorError as e:
        raise InputError(f"{path} is cut off or no weights file ({e}): get it again") from e
    if told.get("network") != NETWORK:
        return None
    try:
        return HowSettings(**json.loads(told["settings"]))
    except (KeyError, TypeError, ValueError) as e:
        raise _not_understood(path, e) from e


def load_how(path: str | pathlib.Path) -> How:
    """The network in eval mode, float32, on the CPU; InputError if the file is missing, cut off or of another one."""
    settings, (tensors, _) = settings_of(path), read_tensors(path)
    what = "HOW, which +pipeline=train_spatial wrote"
    if settings is None:
        raise InputError(f"{path} holds another network: give weights of {what}")
    try:
        network = How(settings.make_backbone(), settings)
    except (RuntimeError, TypeError, ValueError) as e:
        raise _not_understood(path, e) from e
    return filled(network, tensors, path, what).eval().requires_grad_(False)


def _not_understood(path: str | pathlib.Path, problem: Exception) -> InputError:
    return InputError(f"{path} has settings of HOW that are not understood ({problem}): write it again")
