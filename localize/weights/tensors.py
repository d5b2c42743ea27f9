"""Files of network weights that others wrote: safetensors, or PyTorch's own with nothing but tensors in them."""

import hashlib
import pathlib
import pickle
import struct
import zipfile
import zlib

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from localize.io.files import write_bytes, writing
from localize.types import InputError

STATISTICS = ("running_mean", "running_var")  # of batch norms: kept in float32, as a variance may be tiny
DAMAGED = (  # what torch and zipfile raise on a file that was harmed
    RuntimeError, EOFError, OSError, LookupError, ValueError, AttributeError, AssertionError, TypeError,
    ArithmeticError, MemoryError, NotImplementedError, struct.error, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
ROOM = 64 << 20  # bytes that a small archive may hold beyond four times its size: torch packs nothing
NUMBERS = [  # numpy's, which training scripts keep beside the weights
    (np.float64(0).__reduce__()[0], "numpy.core.multiarray.scalar"),
    (np.float64(0).__reduce__()[0], "numpy._core.multiarray.scalar"),
    np.dtype,
    *(type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8", "?")),
]


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
        _check_zip(path)
        with torch.serialization.safe_globals(NUMBERS):
            found = torch.load(path, map_location="cpu", weights_only=True)
    except SafetensorError as e:
        raise InputError(f"{path} is cut off or no weights file ({e}): get it again") from e
    except pickle.UnpicklingError as e:
        raise InputError(f"{path} is no weights file, or holds more than tensors, which is not loaded: {e}") from e
    except DAMAGED as e:
        raise InputError(f"{path} is cut off or no weights file ({e}): get it again") from e
    if not isinstance(found, dict):
        raise InputError(f"{path} holds a {type(found).__name__}, not weights by name: save a state dict")
    return found, {}


def _check_zip(path: pathlib.Path) -> None:
    """ValueError where a file of PyTorch's, which is a zip archive, has a wrong checksum, which torch does not compare.

    Torch may be told to write none: then all are wrong.
    """
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as z:
        if sum(info.file_size for info in z.infolist()) > 4 * path.stat().st_size + ROOM:
            raise ValueError("it is packed, and holds far more than its own size")
        wrong = [info.filename for info in z.infolist() if info.file_size and not _sound(z, info)]
        if 0 < len(wrong) < sum(info.file_size > 0 for info in z.infolist()):
            raise ValueError(f"the checksum of {wrong[0]} is wrong")


def _sound(z: zipfile.ZipFile, info: zipfile.ZipInfo) -> bool:
    try:
        with z.open(info) as file:
            while file.read(1 << 20):
                pass
    except zipfile.BadZipFile:
        return False
    return True


def filled(
    module: nn.Module, tensors: dict, path: str | pathlib.Path, what: str, *, and_others: bool = False
) -> nn.Module:
    """The module with the tensors of its state dict's names, in float32; InputError if they are not exactly its own.

    what: whose weights are wanted and which file has them, for the sentence; and_others: tensors of other names are
    passed over.
    """
    wanted = {name: tuple(t.shape) for name, t in module.state_dict().items() if not name.endswith("_tracked")}
    shapes = {name: tuple(getattr(t, "shape", ())) for name, t in tensors.items()}
    wrong = [name for name, shape in wanted.items() if shapes.get(name) != shape]
    if not and_others:
        wrong += [name for name in shapes if name not in wanted and not name.endswith("_tracked")]
    if wrong:
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise InputError(f"{path} holds other tensors ({wrong[0]}{more}): give weights of {what}")
    check_numbers({name: tensors[name] for name in wanted}, path)
    module.load_state_dict({name: tensors[name].float() for name in wanted}, strict=False)
    return module


def check_numbers(tensors: dict[str, torch.Tensor | np.ndarray], path: str | pathlib.Path) -> None:
    """InputError, naming the file, for weights that are NaN or infinite: whatever they make would be, or worse."""
    for name, tensor in tensors.items():
        if not bool(np.isfinite(tensor).all() if isinstance(tensor, np.ndarray) else torch.isfinite(tensor).all()):
            raise InputError(f"{path} holds NaN or infinite numbers ({name}): it is damaged, get it again")


def write_tensors(path: str | pathlib.Path, module: nn.Module, metadata: dict[str, str]) -> None:
    """Write a module's weights as safetensors in half precision, whole or not at all; ValueError if some are no
    numbers."""
    path, tensors = pathlib.Path(path), {}
    for name, tensor in module.state_dict().items():
        half = tensor.is_floating_point() and not name.endswith(STATISTICS)
        tensors[name] = (tensor.half() if half else tensor).cpu().contiguous()
        if not tensors[name].isfinite().all():
            raise ValueError(f"weights {name} hold NaN or values beyond half precision")
    with writing(path):
        write_bytes(path, save(tensors, metadata))


def tensors_digest(tensors: dict[str, torch.Tensor]) -> str:
    """Digest of names and values, so that a part of a file can be told from another, whatever else the files hold."""
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(tensors):
        digest.update(name.encode() + b"\0" + tensors[name].contiguous().numpy().tobytes())
    return digest.hexdigest()
