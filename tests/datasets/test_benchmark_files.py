"""What the adapters of Aachen and RobotCar read, and what they say of files that are not as they should be."""

import dataclasses
import gzip
import shutil

import numpy as np
import pytest

from localize.datasets.aachen import Aachen
from localize.datasets.base import held_out
from localize.datasets.robotcar import RobotCar
from localize.geometry.poses import pose_error
from localize.io.text import read_query_list
from localize.types import ImageList, InputError
from tests.conftest import SHARED, adapter, break_file


def test_robotcar_without_the_merged_model_reads_the_locations(layouts, copied):
    folder = copied("robotcar")
    shutil.rmtree(folder / "3D-models/all-merged")
    merged, separate = adapter(layouts, "robotcar").load(), RobotCar(str(folder)).load()
    assert merged.references.names == separate.references.names
    for a, b in zip(merged.references, separate.references, strict=True):
        assert a.camera.params.tolist() == b.camera.params.tolist()
        assert max(pose_error(a.pose, b.pose)) < 1e-9


def test_night_before_june_2020_has_thresholds_of_its_own(layouts):
    old = adapter(layouts, "aachen", night_thresholds="before_2020").load()
    assert old.tag_thresholds == {"night": ((0.5, 2.0), (1.0, 5.0), (5.0, 10.0))}
    assert old.thresholds == ((0.25, 2.0), (0.5, 5.0), (5.0, 10.0))


BROKEN = {
    "model cut among the images": ("3D-models/aachen_cvpr2018_db.nvm", lambda b: b[:700], r"\.nvm:\d+: "),
    "wrong number of images": (
        "3D-models/aachen_cvpr2018_db.nvm",
        lambda b: b.replace(b"\n7\n", b"\n8\n", 1),
        r"\.nvm:\d+: .*camera",
    ),
    "list cut in the middle": (
        "queries/day_time_queries_with_intrinsics.txt",
        lambda b: b[:-7],
        r"queries_with_intrinsics.txt:2: .*parameters",
    ),
    "blank in a name": (
        "queries/day_time_queries_with_intrinsics.txt",
        lambda b: b.replace(b"nexus4/", b"nexus 4/"),
        r"queries_with_intrinsics.txt:1: ",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_copy_gives_a_sentence(what, copied):
    folder = copied("aachen")
    name, change, sentence = BROKEN[what]
    before = (folder / name).read_bytes()
    break_file(folder / name, change)
    assert (folder / name).read_bytes() != before
    with pytest.raises(InputError, match=sentence):
        Aachen(str(folder)).load()


def test_windows_line_ends_are_read(layouts, copied):
    folder = copied("aachen")
    for path in [*folder.glob("queries/*.txt"), *folder.glob("3D-models/*")]:
        break_file(path, lambda b: b.replace(b"\n", b"\r\n"))
    assert Aachen(str(folder)).load().queries.names == adapter(layouts, "aachen").load().queries.names


def test_a_missing_photo_is_named(copied):
    folder = copied("aachen")
    (folder / "images_upright/db/0002.jpg").unlink()
    with pytest.raises(InputError, match=r"db/0002.jpg is missing"):
        Aachen(str(folder)).load()


def test_many_missing_photos_are_a_few_sentences(copied):
    folder = copied("aachen")
    for path in (folder / "images_upright/db").iterdir():
        path.unlink()
    with pytest.raises(InputError) as refused:
        Aachen(str(folder)).load()
    assert len(refused.value.problems) == 6
    assert "and 2 more photos are missing" in refused.value.problems[-1]
    lists = folder / "queries"
    both = (lists / "day_time_queries_with_intrinsics.txt").read_text()
    (lists / "day_time_queries_with_intrinsics.txt").write_text(8 * both)
    with pytest.raises(InputError, match=r"query/day/nexus4/.* is listed 8 times"):
        Aachen(str(folder)).load()


def test_a_held_out_name_must_not_hold_a_blank(day_night, tmp_path):
    first, *rest = day_night.references
    named = ImageList((dataclasses.replace(first, name="a b.png"), *rest))
    for image in named:
        (tmp_path / image.name).touch()
    blank = dataclasses.replace(day_night, references=named, image_root=str(tmp_path))
    with pytest.raises(InputError, match=r"'a b.png' has a blank in its name"):
        held_out(blank, 2)
    with pytest.raises(InputError, match=r"dataset.holdout is 1, but must be at least 2"):
        held_out(day_night, 1)


def formats():
    folder = SHARED / "data" / "formats"
    if not folder.is_dir():
        pytest.skip(f"the real files are not at {folder}")
    return folder


def test_real_miniature_of_aachen(caplog):
    scene = Aachen(str(formats() / "aachen_sample")).load()
    assert scene.references.names == ("db/1045.jpg", "db/1135.jpg", "db/4446.jpg")
    camera = scene.references.by_name["db/1045.jpg"].camera
    assert camera.params.tolist() == [1084.59, 800, 533.5, -0.0810989]  # the sign of the model's r is turned
    np.testing.assert_allclose(
        scene.references.by_name["db/1045.jpg"].pose.center, [738.038, -6.17486, -41.8371], atol=1e-5
    )
    assert {q.tags for q in scene.queries} == {("day",)}
    assert scene.submission.names["query/day/nexus4/IMG_20140520_182846.jpg"] == "IMG_20140520_182846.jpg"
    assert "night" in caplog.text


def test_all_real_robotcar_lines(tmp_path):
    path, problems = tmp_path / "queries.txt", []
    path.write_bytes(gzip.decompress((formats() / "robotcar_queries_with_intrinsics.txt.gz").read_bytes()))
    queries = read_query_list(path, problems)
    assert (len(queries), problems) == (11934, [])
    assert {tuple(q.camera.params) for q in queries} == {
        (400, 500.107605, 511.461426, 0),
        (400, 508.222931, 498.187378, 0),
        (400, 502.503754, 490.259033, 0),
    }


def test_references_take_the_intrinsics_of_the_list(copied):
    folder = copied("aachen")
    path = folder / "3D-models/database_intrinsics.txt"
    path.write_text(path.read_text().replace(" 1200.0 ", " 1234.5 ", 1))
    assert Aachen(str(folder)).load().references.images[0].camera.params[0] == 1234.5
    path.write_text("\n".join(path.read_text().splitlines()[1:]))
    with pytest.raises(InputError, match=r"1 images of .*nvm, such as db/0001.jpg, have no intrinsics"):
        Aachen(str(folder)).load()


def test_queries_that_v1_1_added_are_left_out_of_v1(layouts, copied):
    folder = copied("aachen")
    path = folder / "queries/night_time_queries_with_intrinsics.txt"
    line = path.read_text().splitlines()[0]
    name = line.split()[0]
    added = "query/night/nexus5x_additional_night/IMG_1.jpg"
    path.write_text(f"{line}\n{line.replace(name, added)}\n")
    (folder / "images_upright" / added).parent.mkdir()
    shutil.copyfile(folder / "images_upright" / name, folder / "images_upright" / added)
    assert Aachen(str(folder)).load().queries.names == adapter(layouts, "aachen").load().queries.names


def test_only_the_rear_camera_is_submitted(layouts, copied):
    folder = copied("robotcar")
    path = folder / "queries/night_queries_with_intrinsics.txt"
    line = path.read_text().splitlines()[0]
    name = line.split()[0]
    path.write_text(f"{line}\n{line.replace('/rear/', '/left/')}\n")
    left = folder / "images" / name.replace("/rear/", "/left/")
    left.parent.mkdir()
    shutil.copyfile(folder / "images" / name, left)
    both = RobotCar(str(folder), cameras=("left", "rear")).load()
    assert name.replace("/rear/", "/left/") in both.queries.by_name
    assert all(server.startswith("rear/") for server in both.submission.names.values())
    assert len(both.submission.names) == len(both.queries) - 1
    assert RobotCar(str(folder)).load().queries.names == adapter(layouts, "robotcar").load().queries.names


def test_robotcar_queries_of_the_folders_where_there_is_no_list(layouts, copied):
    folder = copied("robotcar")
    shutil.rmtree(folder / "queries")
    listed, found = adapter(layouts, "robotcar").load(), RobotCar(str(folder)).load()
    assert sorted(found.queries.names) == sorted(listed.queries.names)
    f, cx, cy, _ = listed.queries.images[0].camera.params
    assert found.queries.images[0].camera.params.tolist() == [f, f, cx, cy]  # of the intrinsics files: no distortion
    stray = folder / "images/night/1.jpg"
    shutil.copyfile(next((folder / "images/night/rear").iterdir()), stray)
    with pytest.raises(InputError, match=r"night/1.jpg is no photo of RobotCar Seasons: expected condition/left"):
        RobotCar(str(folder)).load()


def test_robotcar_retrieves_within_camera_and_location(layouts):
    free = adapter(layouts, "robotcar").load()
    bound = adapter(layouts, "robotcar", retrieval_within=("camera", "location")).load()
    assert {image.groups for image in free.references} == {()}
    assert {image.groups for image in bound.references} == {("rear 001", "rear"), ("rear 002", "rear")}
    assert all(q.groups in (("rear 001",), ("rear 002",)) for q in bound.queries)
    cameras = adapter(layouts, "robotcar", retrieval_within=("camera",)).load()
    assert {image.groups for image in [*cameras.references, *cameras.queries]} == {("rear",)}


def test_a_query_without_a_location_stays_with_its_camera(caplog, copied):
    folder = copied("robotcar")
    for path in (folder / "3D-models/individual/queries_per_location").iterdir():
        path.write_text("")
    scene = RobotCar(str(folder), retrieval_within=("camera", "location")).load()
    assert {q.groups for q in scene.queries} == {("rear",)}
    assert "3 of 3 photos are in no location" in caplog.text
