"""Minitown: render a small town, references and queries in four conditions, with exact poses."""

import json
import logging
import pathlib
import zlib

import numpy as np
from tqdm import tqdm

from localize.io.text import write_poses
from localize.render.film import (
    denoised,
    depth_png,
    developed,
    distorted,
    distorted_depth,
    jpeg,
    pinhole_for,
    write_whole,
)
from localize.render.light import LIGHTS
from localize.render.town import Town, build_town
from localize.render.views import QUERIES, View, all_views, exposure_poses
from localize.types import InputError

log = logging.getLogger(__name__)
VERSION = 1
SEEDS = {"benchmark": 1, "training": 2}
BLUR_POSES = 6


def run(
    dataset=None,
    *,
    output: str,
    progress: bool = False,
    workers: int = 1,
    town: str = "benchmark",
    seed: int | None = None,
    samples: int = 4,
    queries: int = QUERIES,
    quality: int = 90,
    depth: bool = False,
    **components,
) -> None:
    """Write photos, cameras.txt, poses.txt and made_from.json into `output`; photos already there are kept.

    `samples` are paths per pixel of a picture 1.5 times finer than the photo; `workers` are threads. `dataset` and
    further components are accepted and not used. InputError if mitsuba is missing or `output` holds another town.
    """
    from localize.render.mitsuba_scene import Renderer, mitsuba

    seed = SEEDS.get(town, 0) if seed is None else seed
    folder = pathlib.Path(output)
    made_from = {"version": VERSION, "town": town, "seed": seed, "samples": samples, "quality": quality, "queries": queries}
    mi = mitsuba(workers)
    _claim(folder, {**made_from, "mitsuba": mi.__version__, "numpy": np.__version__})
    place = build_town(town, seed)
    views = all_views(place, seed, queries)
    _write_lists(folder, views)
    todo = [v for v in views if not _done(folder, v, depth)]
    log.info("%s: %d photos, %d of them to render", town, len(views), len(todo))
    bar = tqdm(total=len(views), initial=len(views) - len(todo), disable=not progress, unit="photo", desc=town)
    try:
        for condition in dict.fromkeys(v.condition for v in todo):
            renderer = Renderer(place, LIGHTS[condition], workers)
            for view in (v for v in todo if v.condition == condition):
                picture, z = photograph(renderer, view, samples, seed)
                if depth:
                    write_whole(folder / depth_name(view.name), depth_png(z))
                write_whole(folder / view.name, jpeg(picture, quality))
                bar.update()
            del renderer
    finally:
        bar.close()
    _write_made_from(folder, {**made_from, "mitsuba": mi.__version__, "numpy": np.__version__}, views)


run.needs_scene = False


def photograph(renderer, view: View, samples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(photo (h, w, 3) uint8, depth (h, w) in metres) of one view; the same for the same seed."""
    focal, size = pinhole_for(view.camera)
    number = zlib.crc32(view.name.encode())
    rng = np.random.default_rng([seed, number])
    light = LIGHTS[view.condition]
    count = samples * light.samples
    poses = exposure_poses(view, BLUR_POSES)
    finest = [renderer.render(p, focal, size, count, seed * 1000 + number % 997) for p in poses[:1]]
    middle = finest[0]
    if len(poses) > 1:
        each = max(1, round(1.5 * count / (len(poses) - 1)))
        moved = [renderer.render(p, focal, size, each, seed * 1000 + i) for i, p in enumerate(poses[1:])]
        middle = np.concatenate([np.mean([m[..., :9] for m in moved], 0), middle[..., 9:]], -1)
    z = distorted_depth(finest[0][..., 12], view.camera)
    flat = distorted(middle, view.camera)
    normal = flat[..., 9:12] / np.maximum(np.linalg.norm(flat[..., 9:12], axis=-1, keepdims=True), 1e-6)
    soft = denoised(flat[..., 3:6], flat[..., 6:9], normal, flat[..., 12], view.camera, light.filter_steps)
    return developed(flat[..., :3] + soft, z, light, rng), z


def depth_name(name: str) -> str:
    """Where the depth of a photo is written."""
    return "depth/" + name.removesuffix(".jpg") + ".png"


def _done(folder: pathlib.Path, view: View, depth: bool) -> bool:
    return (folder / view.name).is_file() and (not depth or (folder / depth_name(view.name)).is_file())


def _claim(folder: pathlib.Path, made_from: dict) -> None:
    """Begin or go on in a folder; InputError if it holds photos of another town, seed or quality."""
    path = folder / "made_from.json"
    if path.is_file():
        found = json.loads(path.read_text())
        other = [k for k in made_from if k in found and found[k] != made_from[k]]
        if other:
            what = ", ".join(f"{k} {found[k]!r} instead of {made_from[k]!r}" for k in other)
            raise InputError(f"folder {folder} holds photos rendered with {what}: choose another with pipeline.output=...")
    elif folder.is_dir() and any(folder.glob("db/*.jpg")):
        raise InputError(f"folder {folder} holds other photos: choose an empty one with pipeline.output=...")
    write_whole(path, json.dumps(made_from, indent=1).encode())


def _write_made_from(folder: pathlib.Path, made_from: dict, views: list[View]) -> None:
    counts = {c: sum(v.condition == c for v in views) for c in dict.fromkeys(v.condition for v in views)}
    write_whole(folder / "made_from.json", json.dumps({**made_from, "photos": counts}, indent=1).encode())


def _write_lists(folder: pathlib.Path, views: list[View]) -> None:
    """cameras.txt and poses.txt, sorted by name."""
    views = sorted(views, key=lambda v: v.name)
    lines = []
    for v in views:
        numbers = " ".join(repr(float(p)) for p in v.camera.params)
        lines.append(f"{v.name} {v.camera.model} {v.camera.width} {v.camera.height} {numbers}\n")
    write_whole(folder / "cameras.txt", "".join(lines).encode())
    write_poses(folder / "poses.txt", {v.name: v.pose for v in views})
