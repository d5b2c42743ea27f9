"""Where learned smoothing looks far and where it trusts a place itself, as pictures beside photos."""

import json
import pathlib

import numpy as np

import localize
from localize.evaluate.context_picture import draw_context
from localize.io.images import read_photo
from localize.io.text import write_text
from localize.retrieval.how import How
from localize.roles import Components
from localize.types import InputError


def run(*, output: str, photos: tuple, **components) -> str:
    """What the maps hold, one line for each photo; `output` gets context.png, and results.json with the numbers.

    photos: their paths. retrieval: a How with weights that have learned smoothing; its maps of scale 1 are drawn.
    """
    how = Components(**components).retrieval
    photos = [photos] if isinstance(photos, str) else photos
    read, problems = [], [] if photos else ["pipeline.photos names no photo"]
    if not isinstance(how, How):
        problems.append("pictures of spatial context are of retrieval=how with trained weights, retrieval.weights=FILE")
    for path in photos:
        try:
            read.append(read_photo(pathlib.Path(path)))
        except InputError as e:
            problems += e.problems
    if problems:
        raise InputError(*problems)
    maps = [how.context(photo) for photo in read]
    folder = pathlib.Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    draw_context(folder / "context.png", read, maps)
    told = {str(path): {k: _told(values) for k, values in of.items()} for path, of in zip(photos, maps, strict=True)}
    write_text(folder / "results.json", json.dumps({"localize": localize.__version__, "photos": told}, indent=1) + "\n")
    return "\n".join([*(_line(path, of) for path, of in told.items()), f"The picture is {folder / 'context.png'}."])


def _told(values: np.ndarray) -> dict:
    return {"mean": float(values.mean()), "least": float(values.min()), "most": float(values.max())}


def _line(path: str, told: dict) -> str:
    numbers = (f"{name} {of['mean']:.3g} ({of['least']:.3g} to {of['most']:.3g})" for name, of in told.items())
    return f"{path}: {'; '.join(numbers)}"
