"""Processor seconds from photos to poses, beside plain pycolmap with SIFT on the same photos, in one run.

    python benchmarks/from_nothing.py Herz-Jesu-P25 fountain-P11 [--features dense_crbnet sift_crbnet]

Ours: +pipeline=parallel_search in a new store, in a process of its own: features, map, index, poses. Its compiled
kernels are there (the first run after an installation compiles them, some half a minute). pycolmap: extraction and
exhaustive matching of all photos and triangulation with the references' poses; the queries' poses are not even counted.
"""

import argparse
import pathlib
import resource
import subprocess
import sys
import tempfile

import numpy as np
import pycolmap

from localize.datasets.strecha import Strecha
from localize.geometry.colmap import to_pycolmap_camera, to_pycolmap_pose


def cpu_s(command: list[str]) -> float:
    """Processor seconds of a command and all it started."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}:\n{done.stdout}{done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def ours(root: pathlib.Path, feature: str, settings: list[str]) -> tuple[float, str]:
    """(processor seconds, recall as the run says it) of one run from nothing."""
    with tempfile.TemporaryDirectory() as folder:
        run = ["-m", "localize", "+pipeline=parallel_search", "dataset=strecha", f"dataset.root={root}"]
        places = [f"store.root={folder}/store", f"hydra.run.dir={folder}/run"]
        seconds = cpu_s([sys.executable, *run, f"feature={feature}", *settings, *places])
        summary = (pathlib.Path(folder) / "run" / "summary.txt").read_text()
        return seconds, next(" ".join(line.split()) for line in summary.splitlines() if line.startswith("all "))


def colmap(root: pathlib.Path, folder: pathlib.Path) -> None:
    """pycolmap's part, in a process of its own."""
    scene, database = Strecha(str(root)).load(), folder / "database.db"
    camera = scene.references.images[0].camera
    reader = pycolmap.ImageReaderOptions()
    reader.camera_model, reader.camera_params = camera.model, ",".join(map(str, camera.params))
    extraction = pycolmap.FeatureExtractionOptions()
    extraction.use_gpu, extraction.max_image_size = False, 1600
    names = [*scene.references.names, *scene.queries.names]
    how = {"reader_options": reader, "extraction_options": extraction, "camera_mode": pycolmap.CameraMode.SINGLE}
    pycolmap.extract_features(database, scene.image_root, names, device=pycolmap.Device.cpu, **how)
    pycolmap.match_exhaustive(database, device=pycolmap.Device.cpu)
    model = pycolmap.Reconstruction()
    with pycolmap.Database.open(database) as stored:
        images = {image.name: image.image_id for image in stored.read_all_images()}
        model.add_camera_with_trivial_rig(to_pycolmap_camera(camera, camera_id=stored.read_all_cameras()[0].camera_id))
        for image in scene.references:
            i = images[image.name]
            points = np.asarray(stored.read_keypoints(i))[:, :2].astype(np.float64)
            seen = pycolmap.Image(name=image.name, keypoints=points, camera_id=1, image_id=i)
            model.add_image_with_trivial_frame(seen, to_pycolmap_pose(image.pose))
    found = pycolmap.triangulate_points(model, database, scene.image_root, folder)
    print(f"{found.num_points3D()} points")


def main() -> None:
    """Print a row per scene and contender."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("roots", nargs="+", type=pathlib.Path)
    parser.add_argument("--features", nargs="*", default=["dense_crbnet", "sift_crbnet"])
    parser.add_argument("--settings", nargs="*", default=[], help="more of them for our runs, as workers=1")
    parser.add_argument("--colmap", type=pathlib.Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.colmap:
        return colmap(given.roots[0].absolute(), given.colmap)
    print("| scene | contender | CPU s | of pycolmap's | recall at 1, 2, 5, 25 cm; median cm, deg; localized |")
    print("| --- | --- | --: | --: | --- |")
    for root in given.roots:
        with tempfile.TemporaryDirectory() as folder:
            theirs = cpu_s([sys.executable, __file__, str(root), "--colmap", folder])
        print(f"| {root.name} | pycolmap, SIFT | {theirs:.1f} | 1 | |", flush=True)
        for feature in given.features:
            seconds, recall = ours(root.absolute(), feature, given.settings)
            print(f"| {root.name} | {feature} | {seconds:.1f} | {seconds / theirs:.2f} | {recall} |", flush=True)
    return None


if __name__ == "__main__":
    main()
