"""Which photos belong together: COLMAP's rigs and frames as pycolmap writes them, and lists; what is wrong is said."""

import numpy as np
import pytest

from localize.datasets.shared.mounts import mounted
from localize.geometry.colmap import pycolmap, to_pycolmap_pose
from localize.geometry.poses import pose_error
from localize.io.names import Names
from localize.io.rigs import read_rigs
from localize.types import Image, InputError
from tests.pose.rig_data import MOUNTS, PINHOLE

NAMES = [f"{moment}/{camera}.jpg" for moment in "ab" for camera in "012"]
LINE = "1 0 0 0 0 0 0"


def sensor(i: int) -> pycolmap.sensor_t:
    return pycolmap.sensor_t(type=pycolmap.SensorType.CAMERA, id=i)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A rig of three cameras, two moments, and a photo of a fourth camera; as text and binary."""
    model, rig, alone = pycolmap.Reconstruction(), pycolmap.Rig(rig_id=1), pycolmap.Rig(rig_id=2)
    for i in (1, 2, 3, 4):
        model.add_camera(
            pycolmap.Camera(model="PINHOLE", width=640, height=480, params=PINHOLE.params, camera_id=i)
        )  # fmt: skip
    rig.add_ref_sensor(sensor(1))
    alone.add_ref_sensor(sensor(4))
    for i in (2, 3):
        rig.add_sensor(sensor(i), to_pycolmap_pose(MOUNTS[i - 1]))
    model.add_rig(rig)
    model.add_rig(alone)
    names = iter([*NAMES, "alone.jpg"])
    for frame_id, cameras in ((1, (1, 2, 3)), (2, (1, 2, 3)), (3, (4,))):
        rig_id = 2 if frame_id == 3 else 1
        frame = pycolmap.Frame(frame_id=frame_id, rig_id=rig_id, rig_from_world=to_pycolmap_pose(MOUNTS[1]))
        ids = {i: 10 * frame_id + i for i in cameras}
        for i, image in ids.items():
            frame.add_data_id(pycolmap.data_t(sensor_id=sensor(i), id=image))
        model.add_frame(frame)
        for i, image in ids.items():
            model.add_image(pycolmap.Image(image_id=image, camera_id=i, name=next(names), frame_id=frame_id))
    root = tmp_path_factory.mktemp("rigs")
    for kind, write in (("text", model.write_text), ("binary", model.write_binary)):
        (root / kind).mkdir()
        write(str(root / kind))
    return root


@pytest.mark.parametrize("kind", ["text", "binary"])
def test_rigs_that_pycolmap_wrote(models, kind):
    problems = []
    found = read_rigs(models / kind, problems, Names([*NAMES, "alone.jpg"]))
    assert problems == []
    assert sorted(found) == NAMES
    assert [found[n].group for n in NAMES] == ["frame 1"] * 3 + ["frame 2"] * 3
    for name, mount in zip(NAMES, MOUNTS * 2, strict=True):
        assert pose_error(found[name].cam_from_rig, mount) == pytest.approx((0, 0), abs=1e-9)
    assert sorted(read_rigs(models / kind, [], Names([*NAMES[:2], NAMES[3]]))) == NAMES[:2]  # one of frame 2 is alone


def test_a_damaged_model_is_named_by_file_and_line(models, tmp_path):
    for name in ("images.txt", "rigs.txt", "frames.txt"):
        (tmp_path / name).write_bytes((models / "text" / name).read_bytes())
    lines = (tmp_path / "rigs.txt").read_text().splitlines()
    (tmp_path / "rigs.txt").write_text("\n".join([*lines[:3], lines[3].rsplit(maxsplit=2)[0], lines[4]]))
    problems = []
    read_rigs(tmp_path, problems, Names(NAMES))
    assert f"{tmp_path}/rigs.txt:4: the line is too short: the file may be cut off" in problems
    assert any("a/0.jpg is of camera 1, whose pose in rig 1 is not known" in p for p in problems)
    (tmp_path / "rigs.txt").unlink()
    with pytest.raises(InputError, match=r"holds no rigs: expected rigs.bin and frames.bin, or rigs.txt"):
        read_rigs(tmp_path, [], Names(NAMES))
    for name in ("images.bin", "rigs.bin", "frames.bin", "cameras.bin", "points3D.bin"):
        (tmp_path / name).write_bytes((models / "binary" / name).read_bytes()[: 20 if name == "rigs.bin" else None])
    with pytest.raises(InputError, match=r"cannot be read .*copy it again"):
        read_rigs(tmp_path, [], Names(NAMES))


def test_lists_and_what_is_wrong_with_them(tmp_path):
    queries = [Image(n, PINHOLE) for n in NAMES]
    good = tmp_path / "rigs.txt"
    good.write_text("".join(f"{n[0]} {n} {LINE}\n" for n in [*NAMES[:3], f"./{NAMES[3]}", "no_query.jpg"]))
    found = mounted(queries, str(good), None, 5, problems := [])
    assert problems == []
    assert [q.mounted and q.mounted.group for q in found] == ["a"] * 3 + [None] * 3  # the fourth is alone in its group
    bad = tmp_path / "bad.txt"
    bad.write_text(f"a a/0.jpg {LINE}\na a/0.jpg {LINE}\na a/1.jpg 1 0\na a/2.jpg 0 0 0 0 0 0 0\n")
    mounted(queries, str(bad), None, 5, problems)
    assert problems == [
        f"{bad}:2: a/0.jpg was listed before: a photo is in one group only",
        f"{bad}:3: 4 fields, but expected 9: group name qw qx qy qz tx ty tz",
        f"{bad}:4: quaternion [0.0, 0.0, 0.0, 0.0] cannot be normalised",
    ]


def test_odometry(tmp_path):
    queries, way = [Image(n, PINHOLE) for n in NAMES], tmp_path / "way.txt"
    way.write_text(f"b/1.jpg 1 0 0 0 1 2 3\na/0.jpg {LINE}\n")
    problems = []
    found = {q.name: q.mounted for q in mounted(queries, None, str(way), 3, problems)}
    assert problems == []
    assert [(found[n].at, found[n].window) for n in ("b/1.jpg", "a/0.jpg")] == [(0, 3), (1, 3)]
    np.testing.assert_array_equal(found["b/1.jpg"].cam_from_rig.translation, [1, 2, 3])
    assert found["a/1.jpg"] is None
    way.write_text(f"x.jpg {LINE}\n")
    mounted(queries, None, str(way), 1, problems)
    assert problems[0].startswith("dataset.window is 1, but must be at least 2")
    assert problems[1] == f"{way} names no query: x.jpg, for one, is not in the query list"
    mounted(queries, str(way), str(way), 5, problems := [])
    assert "are both given: take one" in problems[0]
