"""The folder of a rendered town: photos, depths, cameras.txt, poses.txt and made_from.json."""

import json
import pathlib

from localize.io.files import write_bytes
from localize.io.text import write_poses
from localize.render.views import View
from localize.types import InputError


def write_whole(path: pathlib.Path, data: bytes) -> None:
    """The file and the folder it is in, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, data)


def depth_name(name: str) -> str:
    """Where the depth of a photo is written."""
    return "depth/" + name.removesuffix(".jpg") + ".png"


def is_done(folder: pathlib.Path, view: View, depth: bool) -> bool:
    """Whether a photo, and its depth where asked for, is there already."""
    return (folder / view.name).is_file() and (not depth or (folder / depth_name(view.name)).is_file())


def claim(folder: pathlib.Path, made_from: dict) -> None:
    """Begin or go on in a folder; InputError if it holds photos of another town, seed or quality."""
    path = folder / "made_from.json"
    if path.is_file():
        found = json.loads(path.read_text())
        other = [k for k in made_from if k in found and found[k] != made_from[k]]
        if other:
            what = ", ".join(f"{k} {found[k]!r} instead of {made_from[k]!r}" for k in other)
            raise InputError(
                f"folder {folder} holds photos rendered with {what}: choose another with hydra.run.dir=..."
            )
    elif folder.is_dir() and any(folder.glob("db/*.jpg")):
        raise InputError(f"folder {folder} holds other photos: choose an empty one with hydra.run.dir=...")
    write_whole(path, json.dumps(made_from, indent=1).encode())


def write_made_from(folder: pathlib.Path, made_from: dict, views: list[View]) -> None:
    """The settings and versions, and how many photos there are of each kind."""
    counts = {c: sum(v.condition == c for v in views) for c in dict.fromkeys(v.condition for v in views)}
    write_whole(folder / "made_from.json", json.dumps({**made_from, "photos": counts}, indent=1).encode())


def write_lists(folder: pathlib.Path, views: list[View]) -> None:
    """cameras.txt and poses.txt, sorted by name."""
    views = sorted(views, key=lambda v: v.name)
    lines = []
    for v in views:
        numbers = " ".join(repr(float(p)) for p in v.camera.params)
        lines.append(f"{v.name} {v.camera.model} {v.camera.width} {v.camera.height} {numbers}\n")
    write_whole(folder / "cameras.txt", "".join(lines).encode())
    write_poses(folder / "poses.txt", {v.name: v.pose for v in views})
