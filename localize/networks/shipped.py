"""The weights that come with the package, by name. Nothing here imports torch."""

import pathlib

from localize.types import InputError

FOLDER = pathlib.Path(__file__).parent / "weights"


def weights_file(weights: str, setting: str, otherwise: str = "") -> str:
    """Path of shipped weights, such as crbnet256_lite; a path of a .safetensors file is returned as it is.

    InputError for a name that does not ship, saying what to give as `setting`, and what to do otherwise.
    """
    if pathlib.Path(weights).suffix == ".safetensors":
        return weights
    path = FOLDER / f"{weights}.safetensors"
    if not path.is_file():
        shipped = ", ".join(sorted(p.stem for p in FOLDER.glob("*.safetensors"))) or "none"
        raise InputError(
            f"there are no weights {weights!r} (shipped: {shipped}): give one of these, or the path of a .safetensors "
            f"file, as {setting}{otherwise}"
        )
    return str(path)
