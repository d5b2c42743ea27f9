"""Aachen and RobotCar in and out: a scene with known poses, written in their layouts, is the same scene there."""

import contextlib
import dataclasses
import shutil
import sqlite3

import numpy as np
import pytest

from localize.datasets.aachen import Aachen
from localize.datasets.robotcar import RobotCar
from localize.io.text import read_poses
from localize.mapping.imported import Imported
from localize.pipelines import build_map, parallel_search, serial
from localize.pipelines.exchange import export_layout
from localize.pipelines.judging import check_submission
from localize.search.prior import Leaves
from localize.types import InputError, ModelFiles
from tests.conftest import FEATURE, adapter, break_file, results


@pytest.mark.parametrize("name", ["aachen", "robotcar"])
def test_same_poses_through_either_layout(name, layouts, day_night, finished, tmp_path):
    truth = str(layouts / name / "ground_truth.txt")
    scene = adapter(layouts, name, ground_truth=truth).load()
    report = parallel_search.run(scene, finished[0], feature=FEATURE, output=str(tmp_path))
    assert report.conditions == {"aachen": ("all", "day", "night"), "robotcar": ("all", *ROBOTCAR_TAGS)}[name]
    original = read_poses(finished[1] / "poses.txt", [])
    again = list(read_poses(tmp_path / "poses.txt", []).items())
    day_first = (
        sorted(day_night.queries, key=lambda q: q.tags)
        if name == "aachen"
        else sorted(day_night.queries, key=lambda q: (q.tags, q.name))
    )
    for (_, pose), query in zip(again, day_first, strict=True):
        assert np.abs(pose.rotation - original[query.name].rotation).max() < 1e-6
        assert np.abs(pose.translation - original[query.name].translation).max() < 1e-6
    lines = (tmp_path / results(tmp_path)["submission"]).read_text().splitlines()
    expected = "night_" if name == "aachen" else "rear/"
    assert len(lines) == len(day_night.queries)
    said = check_submission.run(
        adapter(layouts, name, ground_truth=truth), file=str(tmp_path / results(tmp_path)["submission"])
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


def test_a_database_of_other_keypoints_is_refused(finished, copied):
    folder = copied("aachen")
    with contextlib.closing(sqlite3.connect(folder / "aachen.db")) as database:
        for image_id, blob in database.execute("SELECT image_id, data FROM keypoints").fetchall():
            rows = np.frombuffer(blob, np.float32).reshape(-1, 4) + np.float32([4, 0, 0, 0])
            database.execute("UPDATE keypoints SET data = ? WHERE image_id = ?", (rows.tobytes(), image_id))
        database.commit()
    with pytest.raises(InputError, match=r"observations are not where the keypoints are \(typically -4.00, \+0.00 px"):
        serial.run(Aachen(str(folder)).load(), finished[0], feature=FEATURE, mapping=Imported())


def test_a_reference_without_keypoints_adds_nothing_to_the_imported_map(finished, copied):
    folder = copied("aachen")
    with contextlib.closing(sqlite3.connect(folder / "aachen.db")) as database:
        first = "SELECT image_id FROM images WHERE name = 'db/0001.jpg'"
        database.execute(f"DELETE FROM keypoints WHERE image_id = ({first})")
        database.commit()
    with pytest.raises(InputError, match=r"counts keypoint \d+ of db/0001.jpg, which has 0"):
        serial.run(Aachen(str(folder)).load(), finished[0], feature=FEATURE, mapping=Imported())


def test_imported_maps_answer_new_photos(layouts, finished, tmp_path):
    scene = adapter(layouts, "aachen").load()
    localizer = build_map.build_map(
        scene, tmp_path / "map", store=finished[0], feature=FEATURE, mapping=Imported(), search=Leaves()
    )
    query = scene.queries.images[0]
    assert localizer.localize(f"{scene.image_root}/{query.name}", query.camera).pose is not None


def test_a_model_that_is_not_there_is_named_before_the_work(layouts, finished, tmp_path, copied):
    folder = copied("robotcar")
    shutil.rmtree(folder / "3D-models/all-merged")
    with pytest.raises(InputError, match="comes without a 3D model to import"):
        serial.run(RobotCar(str(folder)).load(), finished[0], feature=FEATURE, mapping=Imported())
    files = ModelFiles(str(tmp_path), {})
    scene = dataclasses.replace(adapter(layouts, "aachen").load(), supplied=files)
    with pytest.raises(InputError, match=r"has no points3D.bin or points3D.txt"):
        serial.run(scene, finished[0], feature=FEATURE, mapping=Imported())


def test_a_photo_that_cannot_be_read_is_left_out_of_the_layout(day_night, finished, tmp_path):
    shutil.copytree(day_night.image_root, tmp_path / "images")
    for name in (day_night.references.names[0], day_night.queries.names[0]):
        photo = tmp_path / "images" / name
        photo.write_bytes(photo.read_bytes()[:9000])
    scene = dataclasses.replace(day_night, image_root=str(tmp_path / "images"))
    export_layout.run(scene, finished[0], feature=FEATURE, output=str(tmp_path), layout="aachen")
    again = Aachen(str(tmp_path / "aachen"), ground_truth=str(tmp_path / "aachen/ground_truth.txt")).load()
    assert len(again.references) == len(day_night.references) - 1
    assert len(again.ground_truth) == len(again.queries) == len(day_night.queries) - 1


def test_robotcar_v2_scores_its_training_poses(layouts, day_night, finished):
    train = adapter(layouts, "robotcar", version="v2", queries="train").load()
    test = adapter(layouts, "robotcar", version="v2").load()
    assert len(train.queries) + len(test.queries) == len(day_night.queries)
    assert test.ground_truth is None
    report = parallel_search.run(train, finished[0], feature=FEATURE)
    assert report.recall[0].tolist() == [1, 1, 1]
    assert set(test.submission.names.values()) == {f"rear/{q.name.split('/')[-1]}" for q in test.queries}


def test_holdout_scores_references_by_their_own_poses(layouts, finished):
    whole = adapter(layouts, "aachen").load()
    held = adapter(layouts, "aachen", holdout=3).load()
    assert held.queries.names == whole.references.names[::3]
    assert not set(held.queries.names) & set(held.references.names)
    assert all(q.pose is None for q in held.queries)
    assert held.submission is None
    assert parallel_search.run(held, finished[0], feature=FEATURE).recall[0, 2] == 1


def test_a_model_cut_among_its_points_is_not_imported(finished, copied):
    folder = copied("aachen")
    break_file(folder / "3D-models/aachen_cvpr2018_db.nvm", lambda b: b[: len(b) // 2])
    with pytest.raises(InputError, match=r"\.nvm:\d+: the file ends"):
        serial.run(Aachen(str(folder)).load(), finished[0], feature=FEATURE, mapping=Imported())
