"""Whitenings of global descriptors in files: safetensors, with the settings of the descriptor they belong to."""

import pathlib

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from localize.io.files import write_bytes, writing
from localize.types import InputError


def write_whitening(path: str | pathlib.Path, mean: np.ndarray, projection: np.ndarray, made_with: str) -> None:
    """Write mean (D,), projection (D', D) and what they were made with, whole or not at all."""
    with writing(path):
        write_bytes(path, save({"mean": mean, "projection": projection}, {"made_with": made_with}))


def read_whitening(path: str | pathlib.Path) -> tuple[np.ndarray, np.ndarray, str]:
    """(mean (D,), projection (D', D), what they were made with); InputError if the file holds something else."""
    if not pathlib.Path(path).is_file():
        raise InputError(f"whitening {path} is missing: give a file that +pipeline=learn_whitening wrote")
    try:
        with safe_open(path, "np") as file:
            found = {name: file.get_tensor(name) for name in ("mean", "projection")}
            made_with = (file.metadata() or {})["made_with"]
    except (SafetensorError, KeyError) as e:
        raise InputError(
            f"{path} is cut off or no whitening ({e}): learn it again with +pipeline=learn_whitening"
        ) from e
    if not all(np.isfinite(values).all() for values in found.values()):
        raise InputError(f"{path} holds NaN or infinite numbers: learn it again with +pipeline=learn_whitening")
    return *found.values(), made_with
