"""Queries whose focal length is unknown or wrong, on real photos: position errors, focal errors, what is noticed.

    python benchmarks/focal.py SCENE... --store outputs/store

A scene is a folder of Strecha et al., or one with photos/, model/ (COLMAP), queries.txt and perhaps gt.txt.
The references keep their true focal length; each query is given its true one times `--times`. "believed" takes that as
it is; "unknown" estimates it with the pose. Errors are medians over the queries; milliseconds are of this process on
the processor. Features are SIFT, matches those of the queries' 20 most similar references.
"""

import argparse
import pathlib
import time

import numpy as np
from scenes import scene

from localize.datasets.colmap import Colmap
from localize.features.sift import Sift
from localize.geometry.poses import pose_error
from localize.mapping.focal_check import doubtful_focals
from localize.mapping.triangulation import Triangulation
from localize.pipelines.mapped_scene import map_scene
from localize.pose.focal import focal_in
from localize.pose.poselib import PoseLib
from localize.roles import Components
from localize.search.prior import Frames
from localize.stages import Workbench, choose_pairs, extract_features, match_pairs, match_points, query_photos, retrieve
from localize.store import Store
from localize.types import Camera, Image, ImageList, Matches2D3D, Prior, Scene


def place(name: str) -> Scene:
    """The scene in a folder."""
    root = pathlib.Path(name)
    if not (root / "model").is_dir():
        return scene(name)
    truth = root / "gt.txt"
    return Colmap(
        str(root / "photos"),
        str(root / "model"),
        str(root / "queries.txt"),
        ground_truth=str(truth) if truth.is_file() else None,
        name=root.name,
    ).load()


def times_focal(camera: Camera, times: float) -> Camera:
    """The camera with a wrong focal length."""
    two = camera.model not in ("SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL")
    params = camera.params * np.where(np.arange(len(camera.params)) < 1 + two, times, 1)
    return Camera(camera.model, camera.width, camera.height, params)


def row(place: Scene, matches: dict[str, Matches2D3D], times: float) -> list[str]:
    """Medians over the queries: errors where it is believed, and where it is unknown; how often it is noticed."""
    believed, unknown, off, noticed, took = [], [], [], 0, []
    for name, of_query in matches.items():
        truth = place.ground_truth.by_name[name]
        camera = times_focal(truth.camera, times)
        solver = PoseLib(max_error_px=12 * max(camera.width, camera.height) / 1600)
        found = solver.estimate(of_query, camera)
        believed.append(np.inf if found.pose is None else pose_error(found.pose, truth.pose)[0])
        noticed += any(focal_in(note) for note in found.notes)
        start = time.process_time()
        found = solver.estimate(of_query, camera, Prior(focal="unknown"))
        took.append(1000 * (time.process_time() - start))
        unknown.append(np.inf if found.pose is None else pose_error(found.pose, truth.pose)[0])
        off.append(np.inf if found.camera is None else abs(found.camera.focal_px / truth.camera.focal_px - 1))
    return [
        f"{np.median(believed):.4f}",
        f"{noticed} of {len(matches)}",
        f"{np.median(unknown):.4f}",
        f"{100 * np.median(off):.2f}",
        f"{100 * np.max(off):.2f}",
        f"{np.median(took):.0f}",
    ]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("scenes", nargs="+")
    arguments.add_argument("--times", type=float, nargs="+", default=[0.7, 0.85, 1, 1.114, 1.2, 1.44, 1.5])
    arguments.add_argument("--max-keypoints", type=int, default=4000)
    arguments.add_argument("--num-neighbours", type=int, default=8)
    arguments.add_argument("--store", default="outputs/store")
    given = arguments.parse_args()
    mapping = Triangulation(num_neighbours=given.num_neighbours)
    use = Components(feature=Sift(max_keypoints=given.max_keypoints), search=Frames(), mapping=mapping)
    for name in given.scenes:
        here, bench = place(name), Workbench(Store(given.store))
        mapped, queries = map_scene(bench, use, here), extract_features(bench, use.feature, query_photos(here))
        frames = retrieve(bench, use, queries, mapped.described)
        found = match_points(bench, use, queries, mapped.points, frames=frames).matches
        matches = {name: found[name] for name in found.item_keys}
        print(f"\n{here.name}: {len(matches)} queries\n")
        header = [
            "given",
            "believed: error",
            "noticed",
            "unknown: error",
            "focal %",
            "worst",
            "ms",
            "references' matches",
        ]
        print("| " + " | ".join(header) + " |\n|" + " --- |" * len(header), flush=True)
        photos = mapped.references
        of_pairs = match_pairs(bench, use.pair_matching, choose_pairs(bench, mapping, photos, mapped.described), photos)
        xy = {image.name: photos.features[image.name].keypoints for image in photos.images}
        for times in given.times:
            images = ImageList(tuple(Image(i.name, times_focal(i.camera, times), i.pose) for i in photos.images))
            said = doubtful_focals(images, of_pairs.item_keys, xy.__getitem__, of_pairs.__getitem__)
            fits = ", ".join(s.split("f = ")[1].split(" better")[0] for s in said) or "nothing said"
            print("| " + " | ".join([f"{times:g} x", *row(here, matches, times), fits]) + " |", flush=True)


if __name__ == "__main__":
    main()
