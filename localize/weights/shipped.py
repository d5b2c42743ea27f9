"""Files of weights by name or path. Nothing here imports torch."""

import pathlib

from localize.types import InputError
from localize.weights.manifest import checked, read_manifest

FOLDER = pathlib.Path(__file__).parent
SUFFIXES = (".safetensors", ".pth", ".params", ".mat", ".tar", ".npz")  # a text that ends so is a path


def weights_file(weights: str, setting: str, otherwise: str = "") -> str:
    """Path of weights: those that ship, such as crbnet256_lite, or published ones, such as resnet50v2, by name.

    Published ones are looked for in the folder of weights (see weights/manifest.py), and their size and SHA-256
    compared once per process; a path of a file is returned as it is. InputError for a name that there is not, saying
    what to give as `setting`, and what to do otherwise; and for a file that is missing, cut off or another one.
    """
    if pathlib.Path(weights).suffix in SUFFIXES:
        if not pathlib.Path(weights).is_file():
            raise InputError(f"weights file {weights} is missing: give a name or another path as {setting}{otherwise}")
        return weights
    path = FOLDER / f"{weights}.safetensors"
    if path.is_file():
        return str(path)
    published = read_manifest()
    if weights in published:
        return checked(published[weights])
    shipped = ", ".join(shipped_names()) or "none"
    raise InputError(
        f"there are no weights {weights!r} (shipped: {shipped}; published: {', '.join(published)}): give one of these, "
        f"or the path of a file that ends in {', '.join(SUFFIXES)}, as {setting}{otherwise}"
    )


def shipped_names() -> list[str]:
    """The weights that come with the package."""
    return sorted(p.stem for p in FOLDER.glob("*.safetensors"))
