"""Aachen and RobotCar in and out: a scene with known poses, written in their layouts, is the same scene there."""

import contextlib
import dataclasses
import gzip
import shutil
import sqlite3

import numpy as np
import pytest

from localize.datasets.aachen import Aachen
from localize.datasets.checks import held_out
from localize.datasets.robotcar import RobotCar
from localize.geometry.poses import pose_error
from localize.io.text import read_poses, read_query_list
from localize.mapping.imported import Imported
from localize.pipelines import build_map, check_submission, export_layout, parallel_search, serial
from localize.search.prior import Leaves
from localize.types import Image, ImageList, InputError, ModelFiles, Scene

from .conftest import FEATURE, SHARED, results


@pytest.fixture(scope="session")
def tagged(scene) -> Scene:
    """The small scene with a day and a night query."""
    tags = {name: ("night",) if i == 0 else ("day",) for i, name in enumerate(scene.queries.names)}
    return dataclasses.replace(
        scene,
        queries=ImageList(Image(q.name, q.camera, tags=tags[q.name]) for q in scene.queries),
        ground_truth=ImageList(Image(i.name, i.camera, i.pose, tags[i.name]) for i in scene.ground_truth),
    )


@pytest.fixture(scope="session")
def layouts(tagged, finished, tmp_path_factory):
    """The folder that holds aachen/ and robotcar/."""
    folder = tmp_path_factory.mktemp("layouts")
    for layout in ("aachen", "robotcar"):
        said = export_layout.run(tagged, finished[0], feature=FEATURE, output=str(folder), layout=layout)
        assert f"dataset={layout}" in said
    return folder


def adapter(layouts, name: str, **fields):
    cls = {"aachen": Aachen, "robotcar": RobotCar}[name]
    return cls(root=str(layouts / name), **fields)


@pytest.mark.parametrize("name", ["aachen", "robotcar"])
def test_same_poses_through_either_layout(name, layouts, tagged, finished, tmp_path):
    truth = str(layouts / name / "ground_truth.txt")
    scene = adapter(layouts, name, ground_truth=truth).load()
    report = parallel_search.run(scene, finished[0], feature=FEATURE, output=str(tmp_path))
    assert report.conditions == {"aachen": ("all", "day", "night"), "robotcar": ("all", *ROBOTCAR_TAGS)}[name]
    original = read_poses(finished[1] / "poses.txt", [])
    again = list(read_poses(tmp_path / "poses.txt", []).items())
    day_first = (
        sorted(tagged.queries, key=lambda q: q.tags)
        if name == "aachen"
        else sorted(tagged.queries, key=lambda q: (q.tags, q.name))
    )
    for (_, pose), query in zip(again, day_first, strict=True):
        assert np.abs(pose.rotation - original[query.name].rotation).max() < 1e-6
        assert np.abs(pose.translation - original[query.name].translation).max() < 1e-6
    lines = (tmp_path / results(tmp_path)["submission"]).read_text().splitlines()
    expected = "night_" if name == "aachen" else "rear/"
    assert len(lines) == len(tagged.queries)
    said = check_submission.run(
        adapter(layouts, name, ground_truth=truth), output="", file=str(tmp_path / results(tmp_path)["submission"])
    )
    assert f"{len(lines)} of {len(lines)} queries have a pose" in said
    assert "100.0 %" in said
    assert all(line.split()[0].count("/") == expected.count("/") for line in lines)


ROBOTCAR_TAGS = ("day", "day all", "night", "night all")


@pytest.mark.parametrize("name", ["aachen", "robotcar"])
def test_supplied_model_with_its_database_is_the_map(name, layouts, finished, tmp_path):
    scene = adapter(layouts, name, ground_truth=str(layouts / name / "ground_truth.txt")).load()
    report = serial.run(scene, finished[0], feature=FEATURE, mapping=Imported(), output=str(tmp_path))
    assert results(tmp_path)["map"]["points"] == results(finished[1])["map"]["points"]
    assert results(tmp_path)["map"]["observations"] == results(finished[1])["map"]["observations"]
    assert report.recall[0].tolist() == [1, 1, 1]
    database = layouts / name / {"aachen": "aachen.db", "robotcar": "3D-models/overcast-reference.db"}[name]
    assert not [p for p in database.parent.iterdir() if p.name.startswith(database.name + "-")]


def test_a_database_of_other_keypoints_is_refused(layouts, finished, tmp_path):
    folder = tmp_path / "aachen"
    shutil.copytree(layouts / "aachen", folder)
    with contextlib.closing(sqlite3.connect(folder / "aachen.db")) as database:
        for image_id, blob in database.execute("SELECT image_id, data FROM keypoints").fetchall():
            rows = np.frombuffer(blob, np.float32).reshape(-1, 4) + np.float32([4, 0, 0, 0])
            database.execute("UPDATE keypoints SET data = ? WHERE image_id = ?", (rows.tobytes(), image_id))
        database.commit()
    with pytest.raises(InputError, match=r"observations are not where the keypoints are \(typically -4.00, \+0.00 px"):
        serial.run(Aachen(str(folder)).load(), finished[0], feature=FEATURE, mapping=Imported())


def test_a_reference_without_keypoints_adds_nothing_to_the_imported_map(layouts, finished, tmp_path):
    folder = tmp_path / "aachen"
    shutil.copytree(layouts / "aachen", folder)
    with contextlib.closing(sqlite3.connect(folder / "aachen.db")) as database:
        first = "SELECT image_id FROM images WHERE name = 'db/0001.jpg'"
        database.execute(f"DELETE FROM keypoints WHERE image_id = ({first})")
        database.commit()
    with pytest.raises(InputError, match=r"counts keypoint \d+ of db/0001.jpg, which has 0"):
        serial.run(Aachen(str(folder)).load(), finished[0], feature=FEATURE, mapping=Imported())


def test_imported_maps_answer_new_photos(layouts, finished):
    scene = adapter(layouts, "aachen").load()
    localizer = build_map.run(scene, finished[0], feature=FEATURE, mapping=Imported(), search=Leaves())
    query = scene.queries.images[0]
    assert localizer.localize(f"{scene.image_root}/{query.name}", query.camera).pose is not None


def test_a_model_that_is_not_there_is_named_before_the_work(layouts, finished, tmp_path):
    folder = tmp_path / "robotcar"
    shutil.copytree(layouts / "robotcar", folder)
    shutil.rmtree(folder / "3D-models/all-merged")
    with pytest.raises(InputError, match="comes without a 3D model to import"):
        serial.run(RobotCar(str(folder)).load(), finished[0], feature=FEATURE, mapping=Imported())
    files = ModelFiles(str(tmp_path), {})
    scene = dataclasses.replace(adapter(layouts, "aachen").load(), supplied=files)
    with pytest.raises(InputError, match=r"has no points3D.bin or points3D.txt"):
        serial.run(scene, finished[0], feature=FEATURE, mapping=Imported())


def test_a_photo_that_cannot_be_read_is_left_out_of_the_layout(tagged, finished, tmp_path):
    shutil.copytree(tagged.image_root, tmp_path / "images")
    for name in (tagged.references.names[0], tagged.queries.names[0]):
        photo = tmp_path / "images" / name
        photo.write_bytes(photo.read_bytes()[:9000])
    scene = dataclasses.replace(tagged, image_root=str(tmp_path / "images"))
    export_layout.run(scene, finished[0], feature=FEATURE, output=str(tmp_path), layout="aachen")
    again = Aachen(str(tmp_path / "aachen"), ground_truth=str(tmp_path / "aachen/ground_truth.txt")).load()
    assert len(again.references) == len(tagged.references) - 1
    assert len(again.ground_truth) == len(again.queries) == len(tagged.queries) - 1


def test_robotcar_v2_scores_its_training_poses(layouts, tagged, finished):
    train = adapter(layouts, "robotcar", version="v2", queries="train").load()
    test = adapter(layouts, "robotcar", version="v2").load()
    assert len(train.queries) + len(test.queries) == len(tagged.queries)
    assert test.ground_truth is None
    report = parallel_search.run(train, finished[0], feature=FEATURE)
    assert report.recall[0].tolist() == [1, 1, 1]
    assert set(test.submission.names.values()) == {f"rear/{q.name.split('/')[-1]}" for q in test.queries}


def test_robotcar_retrieves_within_camera_and_location(layouts):
    free = adapter(layouts, "robotcar").load()
    bound = adapter(layouts, "robotcar", retrieval_within=("camera", "location")).load()
    assert {image.groups for image in free.references} == {()}
    assert {image.groups for image in bound.references} == {("rear 001", "rear"), ("rear 002", "rear")}
    assert all(q.groups in (("rear 001",), ("rear 002",)) for q in bound.queries)
    cameras = adapter(layouts, "robotcar", retrieval_within=("camera",)).load()
    assert {image.groups for image in [*cameras.references, *cameras.queries]} == {("rear",)}


def test_a_query_without_a_location_stays_with_its_camera(layouts, tmp_path, caplog):
    folder = tmp_path / "robotcar"
    shutil.copytree(layouts / "robotcar", folder)
    for path in (folder / "3D-models/individual/queries_per_location").iterdir():
        path.write_text("")
    scene = RobotCar(str(folder), retrieval_within=("camera", "location")).load()
    assert {q.groups for q in scene.queries} == {("rear",)}
    assert "3 of 3 photos are in no location" in caplog.text


def test_robotcar_without_the_merged_model_reads_the_locations(layouts, tmp_path):
    folder = tmp_path / "robotcar"
    shutil.copytree(layouts / "robotcar", folder)
    shutil.rmtree(folder / "3D-models/all-merged")
    merged, separate = adapter(layouts, "robotcar").load(), RobotCar(str(folder)).load()
    assert merged.references.names == separate.references.names
    for a, b in zip(merged.references, separate.references, strict=True):
        assert a.camera.params.tolist() == b.camera.params.tolist()
        assert max(pose_error(a.pose, b.pose)) < 1e-9


def test_holdout_scores_references_by_their_own_poses(layouts, finished):
    whole = adapter(layouts, "aachen").load()
    held = adapter(layouts, "aachen", holdout=3).load()
    assert held.queries.names == whole.references.names[::3]
    assert not set(held.queries.names) & set(held.references.names)
    assert all(q.pose is None for q in held.queries)
    assert held.submission is None
    assert parallel_search.run(held, finished[0], feature=FEATURE).recall[0, 2] == 1


def test_night_before_june_2020_has_thresholds_of_its_own(layouts):
    old = adapter(layouts, "aachen", night_thresholds="before_2020").load()
    assert old.tag_thresholds == {"night": ((0.5, 2.0), (1.0, 5.0), (5.0, 10.0))}
    assert old.thresholds == ((0.25, 2.0), (0.5, 5.0), (5.0, 10.0))


def break_file(path, change):
    path.write_bytes(change(path.read_bytes()))


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
def test_a_broken_copy_gives_a_sentence(what, layouts, tmp_path):
    folder = tmp_path / "aachen"
    shutil.copytree(layouts / "aachen", folder)
    name, change, sentence = BROKEN[what]
    before = (folder / name).read_bytes()
    break_file(folder / name, change)
    assert (folder / name).read_bytes() != before
    with pytest.raises(InputError, match=sentence):
        Aachen(str(folder)).load()


def test_a_model_cut_among_its_points_is_not_imported(layouts, finished, tmp_path):
    folder = tmp_path / "aachen"
    shutil.copytree(layouts / "aachen", folder)
    break_file(folder / "3D-models/aachen_cvpr2018_db.nvm", lambda b: b[: len(b) // 2])
    with pytest.raises(InputError, match=r"\.nvm:\d+: the file ends"):
        serial.run(Aachen(str(folder)).load(), finished[0], feature=FEATURE, mapping=Imported())


def test_windows_line_ends_are_read(layouts, tmp_path):
    folder = tmp_path / "aachen"
    shutil.copytree(layouts / "aachen", folder)
    for path in [*folder.glob("queries/*.txt"), *folder.glob("3D-models/*")]:
        break_file(path, lambda b: b.replace(b"\n", b"\r\n"))
    assert Aachen(str(folder)).load().queries.names == adapter(layouts, "aachen").load().queries.names


def test_a_missing_photo_is_named(layouts, tmp_path):
    folder = tmp_path / "aachen"
    shutil.copytree(layouts / "aachen", folder)
    (folder / "images_upright/db/0002.jpg").unlink()
    with pytest.raises(InputError, match=r"db/0002.jpg is missing"):
        Aachen(str(folder)).load()


def test_many_missing_photos_are_a_few_sentences(layouts, tmp_path):
    folder = tmp_path / "aachen"
    shutil.copytree(layouts / "aachen", folder)
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


def test_a_held_out_name_must_not_hold_a_blank(tagged):
    first, *rest = tagged.references
    blank = dataclasses.replace(tagged, references=ImageList((dataclasses.replace(first, name="a b.png"), *rest)))
    with pytest.raises(InputError, match=r"'a b.png' has a blank in its name"):
        held_out(blank, 2)
    with pytest.raises(InputError, match=r"dataset.holdout is 1, but must be at least 2"):
        held_out(tagged, 1)


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


def test_references_take_the_intrinsics_of_the_list(layouts, tmp_path):
    folder = tmp_path / "aachen"
    shutil.copytree(layouts / "aachen", folder)
    path = folder / "3D-models/database_intrinsics.txt"
    path.write_text(path.read_text().replace(" 1200.0 ", " 1234.5 ", 1))
    assert Aachen(str(folder)).load().references.images[0].camera.params[0] == 1234.5
    path.write_text("\n".join(path.read_text().splitlines()[1:]))
    with pytest.raises(InputError, match=r"1 images of .*nvm, such as db/0001.jpg, have no intrinsics"):
        Aachen(str(folder)).load()


def test_queries_that_v1_1_added_are_left_out_of_v1(layouts, tmp_path):
    folder = tmp_path / "aachen"
    shutil.copytree(layouts / "aachen", folder)
    path = folder / "queries/night_time_queries_with_intrinsics.txt"
    line = path.read_text().splitlines()[0]
    name = line.split()[0]
    added = "query/night/nexus5x_additional_night/IMG_1.jpg"
    path.write_text(f"{line}\n{line.replace(name, added)}\n")
    (folder / "images_upright" / added).parent.mkdir()
    shutil.copyfile(folder / "images_upright" / name, folder / "images_upright" / added)
    assert Aachen(str(folder)).load().queries.names == adapter(layouts, "aachen").load().queries.names


def test_only_the_rear_camera_is_submitted(layouts, tmp_path):
    folder = tmp_path / "robotcar"
    shutil.copytree(layouts / "robotcar", folder)
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


def test_robotcar_queries_of_the_folders_where_there_is_no_list(layouts, tmp_path):
    folder = tmp_path / "robotcar"
    shutil.copytree(layouts / "robotcar", folder)
    shutil.rmtree(folder / "queries")
    listed, found = adapter(layouts, "robotcar").load(), RobotCar(str(folder)).load()
    assert sorted(found.queries.names) == sorted(listed.queries.names)
    f, cx, cy, _ = listed.queries.images[0].camera.params
    assert found.queries.images[0].camera.params.tolist() == [f, f, cx, cy]  # of the intrinsics files: no distortion
    stray = folder / "images/night/1.jpg"
    shutil.copyfile(next((folder / "images/night/rear").iterdir()), stray)
    with pytest.raises(InputError, match=r"night/1.jpg is no photo of RobotCar Seasons: expected condition/left"):
        RobotCar(str(folder)).load()
