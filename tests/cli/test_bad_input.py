"""Bad input at the command line: one clear sentence each, exit code 2, nothing lost."""

import json
import shutil

import numpy as np
import PIL.Image
import pytest

from tests.conftest import RUN


@pytest.fixture
def folder(synthetic_root, scene, tmp_path):
    """The synthetic scene in the Strecha layout."""
    root = tmp_path / "strecha"
    shutil.copytree(synthetic_root / "images", root / "images")
    (root / "gt_dense_cameras").mkdir()
    for image in (*scene.references, *scene.ground_truth):
        f, cx, cy, _ = image.camera.params
        R, centre = image.pose.rotation, image.pose.center
        rows = [[f, 0, cx], [0, f, cy], [0, 0, 1], [0, 0, 0], *R.T.tolist(), centre.tolist(), [640, 480]]
        text = "\n".join(" ".join(map(repr, map(float, row[:3]))) for row in rows[:8]) + "\n640 480\n"
        (root / "gt_dense_cameras" / f"{image.name}.camera").write_text(text)
    return root


@pytest.fixture
def strecha(run_cli, folder, warm_store):
    """Run the serial pipeline on the Strecha-like folder."""

    def run(*more: str, store: str = warm_store) -> tuple[int, str]:
        return run_cli(*RUN, "dataset=strecha", f"dataset.root={folder}", f"store.root={store}", *more)

    return run


def names(folder):
    return sorted(p.name for p in (folder / "images").iterdir())


def test_a_good_folder_runs(strecha, tmp_path):
    code, text = strecha()
    assert code == 0, text
    assert "3 of 3 queries localized" in text
    assert (tmp_path / "run" / "poses.txt").is_file()
    assert str(tmp_path / "run" / "poses.txt") in text
    code, text = strecha()
    assert " 2 results were computed, " in text  # the two rankings, which are not kept


def test_empty_folder(strecha, folder):
    shutil.rmtree(folder / "images")
    (folder / "images").mkdir()
    code, text = strecha()
    assert code == 2
    assert "holds no photos" in text


def test_all_problems_are_listed_at_once(strecha, folder):
    cameras, photos = folder / "gt_dense_cameras", names(folder)
    (cameras / f"{photos[0]}.camera").unlink()
    (cameras / f"{photos[1]}.camera").write_text("1 2 3\n4 5 6\n")
    file = cameras / f"{photos[2]}.camera"
    lines = file.read_text().splitlines()
    lines[7] = "nan 0 0"
    file.write_text("\n".join(lines))
    PIL.Image.new("L", (5, 5)).save(folder / "images" / photos[3])
    (folder / "images" / photos[4]).write_text("no picture")
    code, text = strecha(store="/proc/nothing")
    assert code == 2
    for name, words in zip(
        photos,
        ["is missing", "expected 3 rows of K", "NaN", "is 5 x 5 px, but its camera", "cannot be opened"],
        strict=False,
    ):
        assert any(name in line and words in line for line in text.splitlines()), (name, words)
    assert "cannot write to the store" in text
    assert "6 problems" in text


def test_truncated_photos_are_named_and_the_rest_goes_on(strecha, folder, tmp_path):
    reference, query = (folder / "images" / names(folder)[k] for k in (0, 1))
    for path in (reference, query):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    code, text = strecha()
    assert code == 2
    assert f"{reference} is damaged" in text
    assert f"{query} is damaged" in text
    assert "2 of 3 queries localized" in text
    assert f"  {query.name}: the photo cannot be read" in text
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["num_references"] == 6
    assert results["conditions"]["all"]["num_queries"] == 3


def test_unusual_photos_are_used_and_said(strecha, folder):
    grey, deep, turned = (folder / "images" / names(folder)[k] for k in (0, 1, 2))
    photo = PIL.Image.open(grey).convert("L")
    photo.save(grey)
    PIL.Image.fromarray(np.asarray(PIL.Image.open(deep).convert("L"), np.uint16) * 257).save(deep)
    exif = PIL.Image.Exif()
    exif[0x0112] = 3
    PIL.Image.open(turned).save(turned, exif=exif)
    code, text = strecha()
    assert code == 0
    assert f"{grey} is grey" in text
    assert f"{deep} has 16 bits per pixel; it is reduced to 8" in text
    assert f"{turned} carries EXIF orientation 3; its pixels are used as stored" in text
    assert "3 of 3 queries localized" in text


def test_a_grey_data_set_is_said_once(strecha, folder, tmp_path):
    for name in names(folder):
        PIL.Image.open(folder / "images" / name).convert("L").save(folder / "images" / name)
    code, text = strecha(store=f"{tmp_path}/store")
    assert code == 0
    assert text.count("is grey") == 5 + 3  # of the references, and the three queries
    assert "and 2 more photos in" in text


def test_tiny_query_fails_honestly(strecha, folder, tmp_path):
    query = names(folder)[1]
    PIL.Image.new("L", (5, 5)).save(folder / "images" / query)
    camera = folder / "gt_dense_cameras" / f"{query}.camera"
    lines = ["5 0 2.5", "0 5 2.5", *camera.read_text().splitlines()[2:-1], "5 5"]
    camera.write_text("\n".join(lines))
    code, text = strecha()
    assert code == 0
    assert f"  {query}: no matches with the map" in text
    assert query not in (tmp_path / "run" / "poses.txt").read_text()


def test_own_data_needs_photos_a_model_and_a_list(run_cli, own_data, scene, tmp_path):
    code, text = run_cli(*RUN, *own_data[0])
    assert code == 0, text
    assert "3 of 3 queries localized" in text
    assert "100.0 %" in text  # scored by the model's own poses of the queries
    truth = tmp_path / "truth.txt"
    name = scene.queries.names[0]
    truth.write_text(f"{name} 1 0 0 0 0 0 0\n")
    code, text = run_cli(*RUN, *own_data[0], f"dataset.ground_truth={truth}")
    assert code == 0
    assert " 0.0 %" in text  # by the file given, which is wrong on purpose


def test_bad_query_lists(run_cli, own_data):
    arguments, queries = own_data
    good = queries.read_text().splitlines()
    queries.write_text(
        "\n".join([good[0], good[0], good[1].split()[0] + " SIMPLE_RADIAL", "gone.png " + good[2].split(maxsplit=1)[1]])
    )
    code, text = run_cli(*RUN, *arguments)
    assert code == 2
    assert "is listed 2 times; names must be unique" in text
    assert "no intrinsics: expected `name MODEL width height params...`" in text
    assert "gone.png is missing" in text
    assert "3 problems" in text


@pytest.mark.parametrize("thresholds", ["[[0.25]]", "abc", "5", "[[0.25,2,3],[1,2,3]]", "[[0.25,-2]]"])
def test_bad_thresholds(run_cli, own_data, thresholds):
    code, text = run_cli(*RUN, *own_data[0], f"dataset.thresholds={thresholds}")
    assert code == 2
    assert "must be pairs of metres and degrees" in text


def test_blank_in_a_query_name(run_cli, strecha, folder):
    name = names(folder)[1]
    for path in (folder / "images" / name, folder / "gt_dense_cameras" / f"{name}.camera"):
        path.rename(path.with_name(path.name.replace(".png", " x.png")))
    code, text = strecha()
    assert code == 2
    assert "has a blank in its name" in text


def test_queries_without_ground_truth_are_said(run_cli, own_data, scene, tmp_path):
    truth = tmp_path / "truth.txt"
    truth.write_text(f"{scene.queries.names[0]} 1 0 0 0 0 0 0\n")
    code, text = run_cli(*RUN, *own_data[0], f"dataset.ground_truth={truth}")
    assert code == 0
    assert "2 of the 3 queries have no ground truth and are not in the table" in text


def test_wrong_folder_is_one_problem(run_cli, own_data, tmp_path):
    arguments = [a for a in own_data[0] if "image_root" not in a]
    code, text = run_cli(*RUN, *arguments, f"dataset.image_root={tmp_path}")
    assert code == 2
    assert f"none of 7 photos, such as camera000001_frame000000.png, is in {tmp_path}" in text
    assert "2 problems" in text


def test_what_the_pose_solver_makes_no_use_of_is_refused_before_the_work(run_cli, own_data):
    arguments, queries = own_data
    first, *rest = queries.read_text().splitlines()
    queries.write_text("\n".join([first + " gravity=0,1,0", *rest]))
    code, said = run_cli(*RUN, *arguments, "pose=colmap")
    assert code == 2
    assert (
        f"Colmap makes no use of gravity, which query {first.split()[0]} brings: take a pose solver that does" in said
    )
    queries.write_text("\n".join([first + " gravty=0,1,0", *rest]))
    code, said = run_cli(*RUN, *arguments)
    assert code == 2
    assert f"{queries}:1: query {first.split()[0]}: unknown field gravty; did you mean gravity?" in said
    code, said = run_cli(*RUN, *arguments, "dataset.gravity_in_world=[0,0]")
    assert "dataset.gravity_in_world is [0, 0], but must be three numbers" in said
