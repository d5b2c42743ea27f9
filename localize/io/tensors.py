"""Files of network weights that others wrote: safetensors, or PyTorch's own with nothing but tensors in them."""

import pathlib
import pickle

import torch
from safetensors import SafetensorError, safe_open

from localize.types import InputError


def read_tensors(path: str | pathlib.Path) -> tuple[dict, dict[str, str]]:
    """(what the file holds by name, its metadata). A checkpoint of PyTorch may nest: {"model": {name: tensor}, ...}.

    InputError if the file is missing, cut off, or holds more than tensors and plain values: loading runs no code.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise InputError(f"weights file {path} is missing")
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, "pt") as file:
                return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
        return torch.load(path, map_location="cpu", weights_only=True), {}
    except SafetensorError as e:
        raise InputError(f"{path} is cut off or no weights file ({e}): get it again") from e
    except pickle.UnpicklingError as e:
        raise InputError(f"{path} is no weights file, or holds more than tensors, which is not loaded: {e}") from e
    except (RuntimeError, EOFError, OSError) as e:
        raise InputError(f"{path} is cut off or no weights file ({e}): get it again") from e
