"""Maps that grow, against maps that were made at once: new poses, points, recall, seconds.

    python benchmarks/growing.py [town] [joined] [south=FOLDER] [--folder /tmp] [--features STORE]

Minitown: a map of every second reference, extended by the others as photos without poses; a map of the first 60 %,
joined with one of the last 60 % (which share a third) and of the last 40 % (which share none), both moved by a random
similarity. south: South Building (a folder with photos/ and model/) half and half likewise; its errors are in % of
10.75 units, its extent. Stores are empty at first, but for the features in --features: what these took is told apart.
Seconds are of the clock, and of all processors together.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import resource
import shutil
import tempfile
import time

import numpy as np

from localize import ImageList, Store, build_map, extend_map, join_maps
from localize.datasets.colmap import Colmap
from localize.datasets.minitown import Minitown
from localize.evaluate.recall import evaluate_poses
from localize.geometry.poses import pose_error, rotation_from_qvec
from localize.geometry.similarity import Similarity
from localize.pipelines.kept_map import map_placed, open_map
from localize.pipelines.located import located
from localize.roles import Components
from localize.stages import Workbench, extract_features, query_photos, reference_photos
from localize.types.scenes import NO_UNIT

WORKERS = 2


def seconds(work):
    """(what `work()` returns, seconds of the clock, seconds of the processors)."""

    def used():
        both = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
        return sum(r.ru_utime + r.ru_stime for r in both)

    start, cpu = time.perf_counter(), used()
    made = work()
    took = time.perf_counter() - start, used() - cpu
    print(f"{took[0]:.0f} s of the clock, {took[1]:.0f} s of the processors", flush=True)
    return made, *took


def recall(folder, store, scene) -> str:
    """Percent of the queries within the scene's thresholds, in a saved map."""
    bench = Workbench(store, WORKERS)
    opened = open_map(folder, bench)
    mapped, index = map_placed(bench, opened.use, opened.references)
    found = located(bench, opened.use, mapped, index, query_photos(scene))
    report = evaluate_poses({n: e.pose for n, e in found.items() if e.pose is not None}, scene)
    return " / ".join(f"{100 * r:.1f}" for r in report.recall[0])


def errors(added, truth, unit: float = 1.0) -> str:
    """Of new references against the truth."""
    found = np.array([pose_error(pose, truth[name].pose) for name, pose in added.items()]) / [unit, 1]
    middle, worst = np.median(found, 0), found.max(0)
    return f"median {100 * middle[0]:.2f}, {middle[1]:.3f} deg; worst {100 * worst[0]:.1f}, {worst[1]:.2f} deg"


def photos_of(images, root, folder) -> pathlib.Path:
    """Copies of the photos, as someone brings them."""
    for image in images:
        path = folder / image.name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(pathlib.Path(root) / image.name, path)
    return folder


def part(scene, images, **fields):
    return dataclasses.replace(scene, references=ImageList(images), **fields)


def started(folder: pathlib.Path, features: str | None) -> Store:
    """A store that holds nothing but features."""
    if features is not None:
        shutil.copytree(pathlib.Path(features) / "features", folder / "features", copy_function=os.link)
    return Store(folder)


def seconds_of_features(scene, store) -> float:
    """What the features of the references took when they were made."""
    made = extract_features(Workbench(store), Components().feature, reference_photos(scene)).features
    return sum(made.seconds(name) for name in made.item_keys)


def extended(scene, folder: pathlib.Path, features: str | None, unit: float = 1.0) -> dict:
    """Half of the references, extended by the other half, beside all at once."""
    own, store, empty = scene.references.images, *(started(folder / name, features) for name in ("store", "of_all"))
    new = photos_of(own[1::2], scene.image_root, folder / "new")
    half, *cost_half = seconds(lambda: build_map(part(scene, own[::2]), folder / "half", store=store, workers=WORKERS))
    grown, *cost = seconds(lambda: extend_map(folder / "half", new, folder / "grown", store=store, workers=WORKERS))
    print(grown.summary, flush=True)
    _, *cost_filled = seconds(lambda: build_map(scene, folder / "all", store=store, workers=WORKERS))
    whole, *cost_empty = seconds(lambda: build_map(scene, folder / "all", store=empty, workers=WORKERS))
    maps = {"half": half, "grown": grown.localizer, "all": whole}
    return {
        "added": f"{len(grown.added)} of {len(own[1::2])}, {grown.figures['added_in_rounds']}",
        "new poses": errors(grown.added, scene.references.by_name, unit),
        "old poses moved": max(
            np.abs(i.pose.translation - grown.localizer.references.by_name[i.name].pose.translation).max()
            for i in own[::2]
        ),
        "references": {name: len(made.references) for name, made in maps.items()},
        "points": {name: len(made.rows.points) for name, made in maps.items()},
        "recall": {name: recall(folder / name, store, scene) for name in maps},
        "seconds (clock, processors)": {
            "half, empty store": cost_half,
            "extending it": cost,
            "all, the store of both": cost_filled,
            "all, empty store": cost_empty,
        },
        "seconds of the features of all": seconds_of_features(scene, store),
        "reused": grown.reused,
    }


def joined(scene, folder: pathlib.Path, share: float, store: Store) -> dict:
    """The first 60 % of the references, and the last `share` of them in another frame."""
    rng, own = np.random.default_rng(0), scene.references.images
    other = Similarity(0.37, rotation_from_qvec(rng.normal(size=4)), 10 * rng.normal(size=3))
    last = own[round((1 - share) * len(own)) :]
    moved = [dataclasses.replace(image, pose=other.of_pose(image.pose)) for image in last]
    build_map(part(scene, own[: round(0.6 * len(own))]), folder / "first", store=store, workers=WORKERS)
    build_map(part(scene, moved, unit=NO_UNIT), folder / "second", store=store, workers=WORKERS)
    maps = folder / "first", folder / "second"
    made, *cost = seconds(lambda: join_maps(maps, folder / "both", store=store, workers=WORKERS))
    print(made.summary, flush=True)
    return {
        "scale (0.37 in truth)": 1 / made.figures["similarity"]["scale"],
        "similarity": made.told[0],
        "moved poses": errors(made.added, scene.references.by_name),
        "points": made.points,
        "recall": {name: recall(folder / name, store, scene) for name in ("first", "both")},
        "seconds (clock, processors)": cost,
        "reused": made.reused,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", default=["town", "joined"])
    parser.add_argument("--folder", default=None)
    parser.add_argument("--features", default=None)
    asked, town = parser.parse_args(), Minitown().load()
    with tempfile.TemporaryDirectory(dir=asked.folder, prefix="growing-") as temporary:
        folder = pathlib.Path(temporary)
        for what in asked.what:
            if what == "town":
                said = {what: extended(town, folder / what, asked.features)}
            elif what == "joined":
                store = started(folder / what, asked.features)
                said = {
                    f"{what}, {share}": joined(town, folder / f"{what}{share}", share, store) for share in (0.6, 0.4)
                }
            else:
                south = pathlib.Path(what.removeprefix("south="))
                given = {"queries": str(south / "queries.txt"), "unit": NO_UNIT}
                scene = Colmap(str(south / "photos"), str(south / "model"), **given).load()
                said = {what: extended(scene, folder / "south", asked.features, 10.75)}
            print(json.dumps(said, indent=1), flush=True)


if __name__ == "__main__":
    main()
