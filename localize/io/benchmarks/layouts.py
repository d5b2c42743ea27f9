"""Folders laid out as Aachen Day-Night and RobotCar Seasons are distributed, written from any scene.

With a scene whose poses are known they show that the adapters read every file the right way.
"""

import pathlib
import shutil
from collections.abc import Iterable

import numpy as np

from localize.geometry.poses import qvec_from_rotation
from localize.io.text import write_poses, write_query_list, write_text
from localize.types import Camera, Image, InputError, Scene

FIRST_TIME_US = 1417176985000000  # RobotCar names its photos by microseconds; ours count on from one of its first


def aachen_names(scene: Scene) -> dict[str, str]:
    """The name of every photo in the Aachen layout, in an order that keeps ours; base names of queries are unique."""
    names = {image.name: f"db/{i:04d}.jpg" for i, image in enumerate(scene.references, 1)}
    for query in scene.queries:
        folder = "night/nexus5x" if _is_night(query) else "day/nexus4"
        base = query.name.removeprefix("query/").replace("/", "_")
        names[query.name] = f"query/{folder}/{base}"
    return names


def robotcar_names(scene: Scene) -> dict[str, str]:
    """The name of every photo in the RobotCar layout, all of the rear camera, in an order that keeps ours."""
    names = {}
    for i, image in enumerate([*scene.references, *scene.queries]):
        condition = "overcast-reference" if i < len(scene.references) else (*image.tags, "query")[0]
        names[image.name] = f"{condition}/rear/{FIRST_TIME_US + 100_000 * i}.jpg"
    return names


def _is_night(image: Image) -> bool:
    return any(tag.startswith("night") for tag in image.tags)


def copy_photos(scene: Scene, names: dict[str, str], root: pathlib.Path) -> None:
    """Copy every photo to root/<its name>."""
    for images, source in ((scene.references, scene.image_root), (scene.queries, scene.query_root or scene.image_root)):
        for image in images:
            target = root / names[image.name]
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(pathlib.Path(source) / image.name, target)


def write_aachen_texts(folder: pathlib.Path, scene: Scene, names: dict[str, str]) -> None:
    """Intrinsics of the references, the lists of queries, and the ground truth, which the real dataset keeps secret."""
    (folder / "3D-models").mkdir(parents=True, exist_ok=True)
    (folder / "queries").mkdir(exist_ok=True)
    _write_cameras(folder / "3D-models/database_intrinsics.txt", scene.references, names)
    night = [q for q in scene.queries if _is_night(q)]
    day = [q for q in scene.queries if not _is_night(q)]
    _write_cameras(folder / "queries/day_time_queries_with_intrinsics.txt", day, names)
    _write_cameras(folder / "queries/night_time_queries_with_intrinsics.txt", night, names)
    if scene.ground_truth is not None:
        write_poses(folder / "ground_truth.txt", {names[i.name]: i.pose for i in scene.ground_truth})


def write_robotcar_texts(folder: pathlib.Path, scene: Scene, names: dict[str, str]) -> None:
    """Intrinsics, lists of queries per condition, the two locations, the files of v2, and the ground truth.

    The queries of v2's public training poses are every other one of those with ground truth.
    """
    cameras = {_parameters(image.camera) for image in scene.references}
    if len(cameras) != 1:
        raise InputError(f"the references have {len(cameras)} cameras; the RobotCar layout holds one per camera folder")
    focal, cx, cy, _ = scene.references.images[0].camera.params
    lines = {"fx": focal, "fy": focal, "cx": cx, "cy": cy}
    (folder / "intrinsics").mkdir(parents=True, exist_ok=True)
    write_text(folder / "intrinsics/rear_intrinsics.txt", "".join(f"{k} {float(v)!r}\n" for k, v in lines.items()))
    (folder / "queries").mkdir(exist_ok=True)
    for condition in sorted({names[q.name].split("/")[0] for q in scene.queries}):
        queries = [q for q in scene.queries if names[q.name].startswith(condition + "/")]
        _write_cameras(folder / f"queries/{condition}_queries_with_intrinsics.txt", queries, names)
    truth = scene.ground_truth.images if scene.ground_truth is not None else ()
    write_poses(folder / "ground_truth.txt", {names[i.name]: i.pose for i in truth})
    write_text(folder / "robotcar_v2_train.txt", "".join(_matrix_line(names[i.name], i) for i in truth[::2]))
    test = [names[i.name].split("/", 1)[1].removesuffix(".jpg") for i in truth[1::2]]
    write_text(folder / "robotcar_v2_test.txt", "".join(f"{name}.png\n" for name in test))


def write_locations(folder: pathlib.Path, scene: Scene, names: dict[str, str]) -> None:
    """RobotCar's models per location: the references west and east of their middle, each query with its nearest one.

    The nearest by the ground truth, as the real lists come from GPS; queries without it are in both.
    """
    centers = np.array([image.pose.center for image in scene.references])
    place = (centers[:, 0] > np.median(centers[:, 0])).astype(int)
    poses = {i.name: i.pose for i in scene.ground_truth or ()}
    individual = folder / "3D-models/individual"
    (individual / "queries_per_location").mkdir(parents=True, exist_ok=True)
    for k in (0, 1):
        model = individual / f"colmap_reconstructions/{k + 1:03d}_aligned"
        model.mkdir(parents=True, exist_ok=True)
        images = [image for image, p in zip(scene.references, place, strict=True) if p == k]
        cameras = {key: i for i, key in enumerate(dict.fromkeys(_parameters(image.camera) for image in images), 1)}
        write_text(model / "cameras.txt", "".join(f"{i} {' '.join(key)}\n" for key, i in cameras.items()))
        lines = []
        for i, image in enumerate(images, 1):
            numbers = [*qvec_from_rotation(image.pose.rotation), *image.pose.translation]
            name = names[image.name].removesuffix(".jpg") + ".png"
            values = " ".join(repr(float(v)) for v in numbers)
            lines.append(f"{i} {values} {cameras[_parameters(image.camera)]} {name}\n\n")
        write_text(model / "images.txt", "".join(lines))
        write_text(model / "points3D.txt", "")
        queries = [
            names[q.name]
            for q in scene.queries
            if q.name not in poses or place[np.argmin(np.linalg.norm(centers - poses[q.name].center, axis=1))] == k
        ]
        path = individual / f"queries_per_location/queries_location_{k + 1:03d}.txt"
        write_text(path, "".join(f"{name}\n" for name in queries))


def check_cameras(images: Iterable[Image]) -> None:
    """InputError unless all cameras are SIMPLE_RADIAL with the principal point in the middle, as Aachen's are."""
    for image in images:
        camera = image.camera
        middle = (camera.width / 2, camera.height / 2)
        if camera.model != "SIMPLE_RADIAL" or tuple(camera.params[1:3]) != middle:
            raise InputError(
                f"{image.name} has a camera {camera.model} {camera.params.tolist()}, but an NVM holds SIMPLE_RADIAL "
                "with the principal point in the middle only"
            )


def _parameters(camera: Camera) -> tuple[str, ...]:
    numbers = (repr(float(p)) for p in camera.params)
    return (camera.model, str(camera.width), str(camera.height), *numbers)


def _write_cameras(path: pathlib.Path, images: Iterable[Image], names: dict[str, str]) -> None:
    write_query_list(path, (Image(names[i.name], i.camera) for i in images))


def _matrix_line(name: str, image: Image) -> str:
    """RobotCar v2: name and the 16 numbers of the matrix camera to world."""
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = image.pose.rotation.T, image.pose.center
    return f"{name.removesuffix('.jpg')}.png " + " ".join(repr(float(v)) for v in matrix.ravel()) + "\n"
