"""Bad input at the command line: one clear sentence each, exit code 2, nothing lost."""

import json
import shutil

import numpy as np
import PIL.Image
import pytest

from localize.geometry.poses import rotation_from_qvec

RUN = ("+pipeline=serial", "feature.max_keypoints=2500", "workers=1")


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
def strecha(run_cli, folder):
    """Run the serial pipeline on the Strecha-like folder."""
    return lambda *more: run_cli(*RUN, "dataset=strecha", f"dataset.root={folder}", *more)


def names(folder):
    return sorted(p.name for p in (folder / "images").iterdir())


def test_a_good_folder_runs(strecha, tmp_path):
    code, text = strecha()
    assert code == 0, text
    assert "3 of 3 queries localized" in text
    assert (tmp_path / "run" / "poses.txt").is_file()
    assert f"are in {tmp_path / 'run'}" in text
    code, text = strecha()
    assert " 2 results were computed and " in text  # the two rankings, which are not kept


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["dataset=strecha"], "dataset.root must be given: add dataset.root=..."),
        (["dataset=colmap"], "2 problems"),
        (["dataset=strecha", "dataset.root=/nowhere"], "folder /nowhere is missing: dataset.root must be"),
        (["dataset=strecha", "dataset.rot=x"], "no setting dataset.rot (did you mean root?); valid: query_every"),
        (["pose.max_eror_px=3"], "no setting pose.max_eror_px (did you mean max_error_px?); valid: confidence,"),
        (["serch=union"], "no setting serch (did you mean search?); valid: dataset, feature,"),
        (["search=uniom"], "no choice search=uniom (did you mean union?); valid: frames, leaves, union"),
        (
            ["+pose.max_eror_px=3"],
            "no setting max_eror_px in localize.pose.poselib.PoseLib (did you mean max_error_px?)",
        ),
        (["index.order=gausian"], "RandomTrees.order is 'gausian', but must be one of: gaussian, abs_value"),
        (["pose.max_error_px=abc"], "PoseLib.max_error_px is 'abc', but must be a value of type float"),
        (["index.num_trees=0"], "RandomTrees.num_trees is 0, but must be greater than 0"),
        (["workers=0"], "workers is 0, but must be a whole number of at least 1"),
        (["index.seed=-1"], "RandomTrees.seed is -1, but must not be negative"),
        (["pose.confidence=2"], "PoseLib.confidence is 2, but must lie between 0 and 1"),
        (["pose.min_iterations=9999999"], "min_iterations is 9999999, over max_iterations 100000"),
        (["pipeline=serial"], "write +pipeline=..., with a plus"),
        (["pose=null"], "give every group one of its choices"),
        (["search=union"], "take search=frames, or +pipeline=parallel_search"),
        (["store.root=/proc/nothing"], "cannot write to the store /proc/nothing"),
        (["dataset=colmap", "dataset.model=x"], "dataset.image_root must be given"),
        (["dataset=colmap", "dataset.model=x", "dataset.image_root=y", "dataset.queries=z"], "3 problems"),
    ],
)
def test_bad_settings(run_cli, synthetic_root, arguments, sentence):
    run = RUN[1:] if arguments[0].startswith("pipeline") else RUN
    own = (
        []
        if any("dataset" in a for a in arguments)
        else [f"dataset.root={synthetic_root}", "dataset.num_photos=10", "dataset.num_points=250"]
    )
    code, text = run_cli(*run, *own, *arguments)
    assert code == 2
    assert sentence in text
    assert "Traceback" not in text


def test_no_pipeline_names_them(run_cli):
    code, text = run_cli()
    assert code == 2
    assert "say what to run: +pipeline=build_map|direct|parallel_search|serial" in text


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
    code, text = strecha("store.root=/proc/nothing")
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
    assert f"Failed: {query.name}: the photo cannot be read" in text
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


def test_a_grey_data_set_is_said_once(strecha, folder):
    for name in names(folder):
        PIL.Image.open(folder / "images" / name).convert("L").save(folder / "images" / name)
    code, text = strecha()
    assert code == 0
    assert text.count("is grey") == 5 + 3  # of the references, and the three queries
    assert "and 2 more photos in" in text


def test_tiny_query_fails_honestly(strecha, folder, tmp_path):
    query = names(folder)[1]
    PIL.Image.new("L", (5, 5)).save(folder / "images" / query)
    camera = folder / "gt_dense_cameras" / f"{query}.camera"
    camera.write_text(camera.read_text().replace("640 480", "5 5"))
    code, text = strecha()
    assert code == 0
    assert f"Failed: {query}: matches with the map: 0" in text
    assert query not in (tmp_path / "run" / "poses.txt").read_text()


@pytest.fixture
def own_data(synthetic_root, scene, tmp_path):
    """Arguments of dataset=colmap on the synthetic scene, and its query list."""
    queries = tmp_path / "queries.txt"
    camera = scene.queries.images[0].camera
    line = f"{camera.model} {camera.width} {camera.height} " + " ".join(map(repr, camera.params.tolist()))
    queries.write_text("".join(f"{n} {line}\n" for n in scene.queries.names))
    folders = [f"dataset.image_root={synthetic_root}/images", f"dataset.model={synthetic_root}/model"]
    return ["dataset=colmap", *folders, f"dataset.queries={queries}"], queries


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
    assert np.allclose(rotation_from_qvec([1, 0, 0, 0]), np.eye(3))


def test_bad_query_lists(run_cli, own_data):
    arguments, queries = own_data
    good = queries.read_text().splitlines()
    queries.write_text("\n".join([good[0], good[0], good[1].split()[0], "gone.png " + good[2].split(maxsplit=1)[1]]))
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


def test_multirun_goes_on_after_a_bad_job(run_cli, own_data, tmp_path):
    code, text = run_cli(
        "+pipeline=parallel_search",
        "workers=1",
        "feature.max_keypoints=2500",
        "search=frames",
        *own_data[0],
        "pose.max_error_px=-1,12",
        "-m",
    )
    assert code == 2
    assert "PoseLib.max_error_px is -1" in text
    assert "3 of 3 queries localized" in text
    assert len(list((tmp_path / "sweep").glob("*/poses.txt"))) == 1


def test_multirun_ends_with_a_comparison(run_cli, own_data):
    code, text = run_cli("-m", *RUN, *own_data[0], "pose.max_error_px=6,12")
    assert code == 0
    row = next(line for line in text.splitlines() if line.startswith("pose.max_error_px=6"))
    assert row.split()[1:10] == ["100.0", "%"] * 3 + ["3", "of", "3"]


def test_wrong_folder_is_one_problem(run_cli, own_data, tmp_path):
    arguments = [a for a in own_data[0] if "image_root" not in a]
    code, text = run_cli(*RUN, *arguments, f"dataset.image_root={tmp_path}")
    assert code == 2
    assert f"none of 7 photos, such as camera000001_frame000000.png, is in {tmp_path}" in text
    assert "2 problems" in text


def test_own_code_that_cannot_be_loaded(run_cli, synthetic_root, tmp_path, monkeypatch):
    (tmp_path / "broken_part.py").write_text("import no_such_library\nclass Mine: ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    code, text = run_cli("+pipeline=serial", f"dataset.root={synthetic_root}", "feature._target_=broken_part.Mine")
    assert code == 2
    assert "cannot load broken_part.Mine: No module named 'no_such_library'; put the folder" in text


def test_version(run_cli):
    assert run_cli("--version") == (0, "localize 0.1.0\n")


def test_a_component_that_cannot_be_kept_or_misses_a_file(run_cli, synthetic_root, tmp_path, monkeypatch):
    """A user's own classes are checked before the work starts."""
    (tmp_path / "own_parts.py").write_text(
        "from dataclasses import dataclass\n"
        "class Bare:\n    grey = True\n"
        "@dataclass(frozen=True)\nclass Weighted:\n    VERSION = 1\n    weights: str = 'net.pth'\n"
        "    def estimate(self, matches, camera): ...\n"
        "    def preflight(self):\n        return [f'weights {self.weights} are missing: download them']\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    parts = ["feature._target_=own_parts.Bare", "~pose", "+pose._target_=own_parts.Weighted"]
    keep = [
        f"~feature.{k}"
        for k in (
            "max_keypoints",
            "max_size_px",
            "first_octave",
            "peak_threshold",
            "edge_threshold",
            "max_orientations",
            "upright",
        )
    ]
    own = [f"dataset.root={synthetic_root}", "dataset.num_photos=10", "dataset.num_points=250"]
    code, text = run_cli("+pipeline=serial", *own, *parts, *keep)
    assert code == 2
    assert "Bare cannot be a feature: it has no extract; see localize/feature/base.py" in text
    assert "weights net.pth are missing: download them" in text
