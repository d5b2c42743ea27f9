"""How near the poses of `dataset=photos` come to known ones: the references' by structure from motion, the queries'.

    python -m localize +pipeline=parallel_search dataset=photos dataset.references=photos dataset.holdout=8 \
        hydra.run.dir=outputs/own
    python benchmarks/own_photos.py outputs/own --colmap sparse/0

The run's frame is brought onto that of the truth by the similarity that fits the references' centres best. Errors are
medians (and the largest) in % of the diagonal of the box around the true centres, in the truth's unit, and in degrees.
"""

import argparse
import json
import pathlib

import numpy as np

from localize.datasets.strecha import Strecha
from localize.geometry.georeference import extent, similarity_between
from localize.geometry.poses import pose_error
from localize.io.models.colmap import read_colmap_images
from localize.io.text import read_poses
from localize.types import Pose


def true_poses(arguments) -> dict[str, Pose]:
    """The known poses by photo."""
    problems: list[str] = []
    if arguments.colmap:
        return {image.name: image.pose for image in read_colmap_images(pathlib.Path(arguments.colmap), problems)}
    if arguments.strecha:
        scene = Strecha(arguments.strecha).load()
        return {image.name: image.pose for image in (*scene.references, *scene.ground_truth)}
    return read_poses(pathlib.Path(arguments.poses), problems)


def report(run: pathlib.Path, truth: dict[str, Pose]) -> dict:
    """Medians and largest errors of references and queries."""
    images = read_colmap_images(run / "reconstruction", [])
    references = {image.name: image.pose for image in images}
    queries = read_poses(run / "poses.txt", []) if (run / "poses.txt").is_file() else {}
    common = [name for name in references if name in truth]
    frame = similarity_between(*(np.array([poses[n].center for n in common]) for poses in (references, truth)))
    size = extent(np.array([pose.center for pose in truth.values()]))
    found = {"references": len(references), "photos with a known pose": len(truth), "scale": frame.scale}
    for what, poses in (("references", references), ("queries", queries)):
        errors = np.array([pose_error(frame.of_pose(poses[name]), truth[name]) for name in poses if name in truth])
        if len(errors):
            (m, d), (worst, worst_d) = np.median(errors, 0), errors.max(0)
            found[f"of {len(errors)} {what}"] = {
                "median %": 100 * m / size, "largest %": 100 * worst / size, "median": m, "largest": worst,
                "median deg": d, "largest deg": worst_d,
            }  # fmt: skip
    focals = {round(image.camera.focal_px, 1) for image in images}
    return found | {"focal px": sorted(focals)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=pathlib.Path, help="hydra.run.dir of the run")
    known = parser.add_mutually_exclusive_group(required=True)
    known.add_argument("--colmap", help="folder of a COLMAP model with the known poses")
    known.add_argument("--strecha", help="folder of a scene of Strecha et al.")
    known.add_argument("--poses", help="list: name qw qx qy qz tx ty tz")
    arguments = parser.parse_args()
    print(json.dumps(report(arguments.run, true_poses(arguments)), indent=1))


if __name__ == "__main__":
    main()
