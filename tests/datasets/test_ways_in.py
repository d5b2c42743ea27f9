"""Photos whose poses come in other formats: Minitown's own, written by hand in each, are read back the same."""

import json
import os

import numpy as np
import PIL.Image
import pytest

from localize.datasets.colmap import Colmap
from localize.datasets.kapture import Kapture
from localize.datasets.minitown import Minitown
from localize.datasets.transforms import Transforms
from localize.geometry.poses import composed, inverse, qvec_from_rotation
from localize.io.models.nvm import read_nvm_images
from localize.types import InputError, Pose
from tests.conftest import SHARED, random_pose

FLIP = np.diag([1.0, -1.0, -1.0])


@pytest.fixture(scope="module")
def town():
    """Twelve references of Minitown, of which the last two are written as queries."""
    scene = Minitown().load()
    return scene.image_root, scene.references.images[:12]


def matrix(pose: Pose) -> np.ndarray:
    """World from camera with OpenGL's axes, (4, 4)."""
    found = np.eye(4)
    found[:3, :3], found[:3, 3] = pose.rotation.T @ FLIP, pose.center
    return found


def same(images, truth, tolerance=1e-6) -> bool:
    found = {image.name: image for image in images}
    assert list(found) == [image.name for image in truth]
    for image in truth:
        a, b = found[image.name], image
        assert np.abs(a.pose.rotation - b.pose.rotation).max() < tolerance
        assert np.abs(a.pose.center - b.pose.center).max() < tolerance
        assert (a.camera.width, a.camera.height) == (b.camera.width, b.camera.height)
        assert a.camera.focal_px == pytest.approx(b.camera.focal_px)
        assert a.camera.principal_point.tolist() == b.camera.principal_point.tolist()
    return True


def transforms(images, shared=None, per_frame=None, move=None) -> dict:
    """The content of transforms.json; move: (4, 4) and scale, applied as nerfstudio does."""
    moved, scale = move or (np.eye(4), 1.0)
    frames = []
    for image in images:
        m = moved @ matrix(image.pose)
        m[:3, 3] *= scale
        frames.append({"file_path": f"./{image.name}", "transform_matrix": m.tolist()} | (per_frame or {}))
    applied = {"applied_transform": moved[:3].tolist(), "applied_scale": scale} if move else {}
    return (
        {"fl_x": 500.0, "cx": 320, "cy": 240, "w": 640.0, "h": 480, "k1": -0.05}
        | (shared or {})
        | applied
        | {"frames": frames}
    )


def written(path, content):
    path.write_text(json.dumps(content))
    return str(path)


def test_transforms(town, tmp_path):
    root, images = town
    file = written(tmp_path / "transforms.json", transforms(images))
    scene = Transforms(file, image_root=root).load()
    assert same(scene.references, images)
    assert scene.references.images[0].camera.model == "OPENCV"
    assert scene.references.images[0].camera.params.tolist() == [500, 500, 320, 240, -0.05, 0, 0, 0]
    os.symlink(root + "/db", tmp_path / "db")
    assert same(Transforms(str(tmp_path)).load().references, images)  # beside the file, which the folder stands for


def test_transforms_without_endings_sizes_and_focal_lengths(town, tmp_path):
    root, images = town
    content = transforms(images)
    for key in ("fl_x", "cx", "cy", "w", "h", "k1"):
        del content[key]
    content["camera_angle_x"] = 2 * np.arctan(320 / 500)
    for frame in content["frames"]:
        frame["file_path"] = "/home/somebody/town/" + frame["file_path"].removesuffix(".jpg")
    scene = Transforms(written(tmp_path / "t.json", content), image_root=root).load()
    assert same(scene.references, images)
    assert scene.references.images[0].camera.model == "PINHOLE"


def test_transforms_that_nerfstudio_moved(town, tmp_path, caplog):
    caplog.set_level("INFO")
    root, images = town
    turn = np.array([[1, 0, 0, 0.5], [0, 0, 1, -2], [0, -1, 0, 3], [0, 0, 0, 1.0]])
    file = written(tmp_path / "t.json", transforms(images, move=(turn, 0.25)))
    assert same(Transforms(file, image_root=root, original_frame=True).load().references, images)
    assert "original_frame=true" not in caplog.text
    moved = Transforms(file, image_root=root).load().references
    center = 0.25 * (turn[:3, :3] @ images[0].pose.center + turn[:3, 3])
    np.testing.assert_allclose(moved.images[0].pose.center, center, atol=1e-6)
    assert "original_frame=true" in caplog.text


def test_transforms_with_a_camera_per_frame_and_queries_in_another_file(town, tmp_path):
    root, images = town
    fish = {"camera_model": "OPENCV_FISHEYE", "fl_x": 500, "fl_y": 499, "k1": 0.01, "k2": 0.02, "k3": 0.03, "k4": 0.04}
    train = written(tmp_path / "transforms_train.json", transforms(images[:10], per_frame=fish))
    test = written(tmp_path / "transforms_test.json", transforms(images[9:], shared={"k3": 0.5}))
    scene = Transforms(train, test, image_root=root).load()
    camera = scene.references.images[0].camera
    assert camera.model == "OPENCV_FISHEYE"
    assert camera.params.tolist() == [500, 499, 320, 240, 0.01, 0.02, 0.03, 0.04]
    assert len(scene.references) == 9  # the tenth is a query too
    assert same(scene.ground_truth, images[9:])
    assert scene.queries.images[0].camera.model == "FULL_OPENCV"
    assert all(query.pose is None for query in scene.queries)


BROKEN = {
    "no JSON": (lambda c: "{", r"t.json:1: this is no JSON"),
    "no frames": (lambda c: c | {"frames": []}, "it has no list of frames"),
    "Record3D": (lambda c: {"poses": [], "K": [], "w": 1}, "Record3D's own file"),
    "Polycam": (lambda c: {"t_00": 1, "fx": 1}, "one camera of Polycam"),
    "no focal length": (lambda c: {k: v for k, v in c.items() if k != "fl_x"}, "neither fl_x nor camera_angle_x"),
    "an angle in degrees": (lambda c: {"camera_angle_x": 65, "frames": c["frames"]}, "must lie between 0 and 3.142"),
    "a panorama": (lambda c: c | {"camera_model": "EQUIRECTANGULAR"}, "only OPENCV and OPENCV_FISHEYE are"),
    "no fisheye": (lambda c: c | {"k4": 0.1}, "k4 is given of a camera that is no fisheye"),
    "a matrix too small": (lambda c: edited(c, lambda m: m[:2]), r"has the shape \(2, 4\)"),
    "transposed": (lambda c: edited(c, lambda m: np.transpose(m).tolist()), "is it transposed"),
    "scaled": (lambda c: edited(c, lambda m: (np.diag([2, 2, 2, 1]) @ m).tolist()), "scaled, mirrored or skew"),
    "NaN": (lambda c: edited(c, lambda m: [[float("nan")] * 4, *m[1:]]), "NaN or infinite"),
    "text for a number": (lambda c: c | {"fl_x": "wide"}, "could not convert"),
    "no photo": (lambda c: c | {"frames": [f | {"file_path": "x/y.jpg"} for f in c["frames"]]}, "name the folder"),
    "no path": (lambda c: c | {"frames": [{"transform_matrix": np.eye(4).tolist()}]}, "frame 0 has no file_path"),
    "twice": (lambda c: c | {"frames": c["frames"] * 2}, r"db/0001.jpg is listed 2 times"),
}


def edited(content: dict, change) -> dict:
    return content | {"frames": [f | {"transform_matrix": change(f["transform_matrix"])} for f in content["frames"]]}


@pytest.mark.parametrize("how", BROKEN)
def test_broken_transforms_get_a_sentence(town, tmp_path, how):
    root, images = town
    change, sentence = BROKEN[how]
    content = change(transforms(images[:3]))
    (tmp_path / "t.json").write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(InputError, match=sentence):
        Transforms(str(tmp_path / "t.json"), image_root=root).load()


def test_nvm_and_bundler(town, tmp_path):
    root, images = town
    lines = []
    for image in images:
        q, c = qvec_from_rotation(image.pose.rotation), image.pose.center
        lines.append(" ".join([image.name, *(repr(float(v)) for v in (500, *q, *c, 0.05)), "0"]))
    (tmp_path / "town.nvm").write_text(f"NVM_V3\n\n{len(lines)}\n" + "\n".join(lines) + "\n\n0\n")
    scene = Colmap(root, str(tmp_path / "town.nvm")).load()
    assert same(scene.references, images)
    assert scene.references.images[0].camera.params.tolist() == [500, 320, 240, -0.05]
    numbers = ["# Bundle file v0.3", f"{len(images) + 1} 0"]
    for image in images:
        rows = (FLIP @ image.pose.rotation).tolist(), (FLIP @ image.pose.translation).tolist()
        numbers += ["500 -0.05 0", *(" ".join(map(repr, row)) for row in (*rows[0], rows[1]))]
    (tmp_path / "bundle.out").write_text("\n".join(numbers + ["0 0 0"] * 5))
    (tmp_path / "list.txt").write_text("".join(f"./{i.name} 0 500.0\n" for i in images) + "not_found.jpg\n")
    scene = Colmap(root, str(tmp_path / "bundle.out")).load()
    assert same(scene.references, images)
    assert scene.supplied is None
    (tmp_path / "list.txt").write_text("db/0001.jpg\n")
    with pytest.raises(InputError, match=r"bundle.out has 13 cameras, but .*list.txt has 1 names"):
        Colmap(root, str(tmp_path / "bundle.out")).load()
    (tmp_path / "bundle.out").write_text("\n".join(numbers[:-3]))
    with pytest.raises(InputError, match=r"bundle.out:\d+: camera 12 of 13: expected three numbers"):
        Colmap(root, str(tmp_path / "bundle.out")).load()


@pytest.mark.real
def test_real_bundler_agrees_with_its_nvm(tmp_path):
    """Aachen's two files hold the same cameras; its Bundler file has the world's y and z turned as well."""
    folder = SHARED / "data/formats/aachen_sample"
    if not folder.is_dir():
        pytest.skip(f"the real files are not at {folder}")
    model, root = folder / "3D-models/aachen_cvpr2018_db", str(folder / "images_upright")
    names = {name: pose for name, _, _, pose in read_nvm_images(model.with_suffix(".nvm"), [])}
    scene = Colmap(root, str(model.with_suffix(".out"))).load()
    assert len(scene.references) == len(names) == 3
    for image in scene.references:
        np.testing.assert_allclose(image.pose.rotation @ FLIP, names[image.name].rotation, atol=1e-5)
        np.testing.assert_allclose(image.pose.translation, names[image.name].translation, atol=1e-4)
    assert Colmap(root, str(model.with_suffix(".nvm"))).load().references.names == scene.references.names


@pytest.mark.real
def test_real_transforms():
    file = SHARED / "data/fox/transforms.json"
    if not file.is_file():
        pytest.skip(f"the real photos are not at {file.parent}")
    scene = Transforms(str(file), holdout=8).load()
    camera = scene.references.images[0].camera
    assert (camera.model, camera.width, camera.height) == ("OPENCV", 1080, 1920)
    assert camera.params[:2].tolist() == [1375.52, 1374.49]
    assert all((file.parent / query.name).is_file() for query in scene.queries)


def test_a_folder_above_the_only_model(scene, synthetic_root, tmp_path):
    os.makedirs(tmp_path / "sparse")
    os.symlink(synthetic_root / "model", tmp_path / "sparse" / "0")
    photos = str(synthetic_root / "images")
    one = Colmap(photos, str(synthetic_root / "model")).load()
    assert Colmap(photos, str(tmp_path / "sparse")).load().references.names == one.references.names
    os.symlink(synthetic_root / "model", tmp_path / "sparse" / "1")
    with pytest.raises(InputError, match=r"holds 2 COLMAP models \(0, 1\): name one of them"):
        Colmap(photos, str(tmp_path / "sparse")).load()
    with pytest.raises(InputError, match=r"is a folder, but must be a list of lines .*pipeline=write_queries"):
        Colmap(photos, str(synthetic_root / "model"), photos).load()
    with pytest.raises(InputError, match=r"the list of queries .*gone.txt is missing: .*pipeline=write_queries"):
        Colmap(photos, str(synthetic_root / "model"), str(tmp_path / "gone.txt")).load()


def kapture(folder, root, images, *, rig_of=None, poses=True, header="# kapture format: 1.1\n"):
    """A kapture folder of these images; rig_of: rig_from_left by which every pose is written as that of a rig."""
    sensors = folder / "sensors"
    sensors.mkdir(parents=True)
    os.symlink(root, sensors / "records_data")
    (sensors / "sensors.txt").write_text(
        f"{header}left, , camera, SIMPLE_RADIAL, 640, 480, 500, 320, 240, -0.05\nwifi0, , wifi\n"
    )
    records = "".join(f"{t}, left, {image.name}\n" for t, image in enumerate(images))
    (sensors / "records_camera.txt").write_text(f"{header}# timestamp, device_id, image_path\n\n{records}")
    device = "left" if rig_of is None else "rig"
    lines = []
    for t, image in enumerate(images):
        pose = image.pose if rig_of is None else composed(rig_of, image.pose)
        lines.append(f"{t}, {device}, {row(pose)}\n")
    if poses:
        (sensors / "trajectories.txt").write_text(header + "".join(lines))
    if rig_of is not None:
        (sensors / "rigs.txt").write_text(f"{header}rig, left, {row(inverse(rig_of))}\n")
    return folder


def row(pose: Pose) -> str:
    return ", ".join(repr(float(v)) for v in (*qvec_from_rotation(pose.rotation), *pose.translation))


def test_kapture(town, tmp_path):
    root, images = town
    kapture(tmp_path / "mapping", root, images[:10], rig_of=random_pose(np.random.default_rng(0)))
    kapture(tmp_path / "query", root, images[10:])
    scene = Kapture(str(tmp_path)).load()
    assert same(scene.references, images[:10])
    assert same(scene.ground_truth, images[10:])
    assert scene.queries.names == tuple(image.name for image in images[10:])
    assert scene.references.images[0].camera.model == "SIMPLE_RADIAL"
    alone = Kapture(str(tmp_path / "mapping"), holdout=5).load()
    assert (len(alone.references), len(alone.queries)) == (8, 2)


def test_kapture_rigs_unknown_cameras_and_poses_that_are_missing(town, tmp_path):
    root, images = town
    mapping = kapture(tmp_path / "mapping", root, images[:10]) / "sensors"
    query = kapture(tmp_path / "query", root, images[10:], poses=False) / "sensors"
    (mapping / "trajectories.txt").write_text(
        (mapping / "trajectories.txt").read_text().replace("\n9, left, ", "\n9, left, , , , , 1, 2, 3\n99, left, ")
    )
    (query / "sensors.txt").write_text(
        "left, , camera, UNKNOWN_CAMERA, 640, 480\nright, , camera, UNKNOWN_CAMERA, 1, 1\n"
    )
    (query / "records_camera.txt").write_text(f"0, left, {images[10].name}\n0, right, {images[11].name}\n")
    mount = random_pose(np.random.default_rng(1))
    (query / "rigs.txt").write_text(f"car, left, 1, 0, 0, 0, 0, 0, 0\ncar, right, {row(mount)}\n")
    scene = Kapture(str(tmp_path)).load()
    assert same(scene.references, images[:9])
    assert scene.ground_truth is None
    left, right = scene.queries.images
    assert left.prior.focal == "unknown"
    assert left.mounted.group == right.mounted.group
    np.testing.assert_allclose(right.mounted.cam_from_rig.translation, mount.translation)
    assert all(q.mounted is None for q in Kapture(str(tmp_path), use_rigs=False).load().queries)


@pytest.mark.parametrize(
    ("file", "change", "sentence"),
    [
        ("sensors.txt", lambda s: "", "is no camera of sensors.txt"),
        ("sensors.txt", lambda s: s.replace("SIMPLE_RADIAL", "RADIAL"), "sensors.txt:2: sensor left: RADIAL takes 5"),
        ("sensors.txt", lambda s: s.replace("SIMPLE_RADIAL", "UNKNOWN_CAMERA"), "the intrinsics of left are not known"),
        ("records_camera.txt", lambda s: s + "3, left\n", r"records_camera.txt:\d+: 2 values with commas"),
        ("records_camera.txt", lambda s: s + "3, left, db/0001.jpg\n", "this photo was listed before"),
        (
            "trajectories.txt",
            lambda s: s.replace("0, left, ", "0, left, 7", 1),
            r"trajectories.txt:2: pose of left at 0",
        ),
        ("trajectories.txt", lambda s: "", "gives no photo a pose"),
        ("rigs.txt", lambda s: "a, left, 1, 0, 0, 0, 0, 0, 0\nleft, a, 1, 0, 0, 0, 0, 0, 0\n", "onto itself"),
    ],
)
def test_broken_kapture_gets_a_sentence(town, tmp_path, file, change, sentence):
    root, images = town
    sensors = kapture(tmp_path / "mapping", root, images[:3]) / "sensors"
    path = sensors / file
    path.write_text(change(path.read_text() if path.exists() else ""))
    if file == "rigs.txt":
        (sensors / "trajectories.txt").unlink()
    with pytest.raises(InputError, match=sentence):
        Kapture(str(tmp_path)).load()


def test_a_folder_that_is_no_kapture_folder(tmp_path):
    with pytest.raises(InputError, match=r"is no kapture folder: dataset.root must be"):
        Kapture(str(tmp_path)).load()


def test_held_out_photos_are_there(town, tmp_path):
    """Of a model some photos are gone: none of them becomes a query."""
    root, images = town
    (tmp_path / "db").mkdir()
    for image in images[1:]:
        PIL.Image.open(f"{root}/{image.name}").save(tmp_path / image.name)
    scene = Transforms(written(tmp_path / "transforms.json", transforms(images)), holdout=4).load()
    assert scene.queries.names == tuple(image.name for image in images[1::4])
