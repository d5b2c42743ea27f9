"""The command line: bad settings get one sentence and exit code 2, a multirun goes on and is compared."""

import dataclasses
import errno
import os

import pytest

from localize import Localizer, cli
from localize.features.sift import Sift
from localize.io.files import refused_by_system
from tests.conftest import RUN


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["dataset=strecha"], "dataset.root must be given: add dataset.root=..."),
        (["dataset=colmap"], "2 problems"),
        (["dataset=strecha", "dataset.root=/nowhere"], "folder /nowhere is missing: dataset.root must be"),
        (
            ["dataset=strecha", "dataset.rot=x"],
            "no setting dataset.rot (did you mean root?); valid: holdout,",
        ),
        (["pose.max_eror_px=3"], "no setting pose.max_eror_px (did you mean max_error_px?); valid: confidence,"),
        (["serch=union"], "no setting serch (did you mean search?); valid: costs, dataset, feature,"),
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
        (["pose.min_iterations=9999999"], "min_iterations is 9999999, over max_iterations 30000"),
        (["pipeline=serial"], "write +pipeline=..., with a plus"),
        (["pose=null"], "give every group one of its choices"),
        (["search=union"], "take search=frames, or +pipeline=parallel_search"),
        (["store=there"], "say store.root=there"),
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
        else ["dataset=synthetic", f"dataset.root={synthetic_root}", "dataset.num_photos=10", "dataset.num_points=250"]
    )
    code, text = run_cli(*run, *own, *arguments)
    assert code == 2
    assert sentence in text
    assert "Traceback" not in text


def test_no_pipeline_names_them(run_cli):
    code, text = run_cli()
    assert code == 2
    assert "say what to run: +pipeline=benchmark_index|build_map|" in text
    assert ", or +table=aachen|crbnet|dsm|minitown|patch_size|robotcar" in text


def test_a_value_in_the_place_of_a_part_is_refused(run_cli):
    code, text = run_cli("+pipeline=train_dense", "pipeline.loop=3")
    assert code == 2
    assert "say pipeline.loop.SETTING=... with one of steps, learning_rate," in text


def test_multirun_goes_on_after_a_bad_job(run_cli, own_data, tmp_path):
    code, text = run_cli(
        "+pipeline=parallel_search",
        "workers=1",
        "feature=sift",
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
    assert row.split()[1:7] == ["100.0", "%"] * 3
    assert all(0 < float(median) < 0.1 for median in row.split()[7:9])
    assert row.split()[9:12] == ["3", "of", "3"]
    assert "median units  median deg  localized" in text


def test_own_code_that_cannot_be_loaded(run_cli, synthetic_root, tmp_path, monkeypatch):
    (tmp_path / "broken_part.py").write_text("import no_such_library\nclass Mine: ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    code, text = run_cli(
        "+pipeline=serial", "dataset=synthetic", f"dataset.root={synthetic_root}", "feature._target_=broken_part.Mine"
    )
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
        "    def estimate(self, view, seen, pose): ...\n"
        "    def preflight(self):\n        return [f'weights {self.weights} are missing: download them']\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    parts = ["feature=sift", "feature._target_=own_parts.Bare", "refinement=none"]
    parts += ["refinement._target_=own_parts.Weighted"]
    own = ["dataset=synthetic", f"dataset.root={synthetic_root}", "dataset.num_photos=10", "dataset.num_points=250"]
    without = [f"~feature.{field.name}" for field in dataclasses.fields(Sift)]
    code, text = run_cli("+pipeline=serial", *own, *parts, *without)
    assert code == 2
    assert "Bare cannot be a feature: it has no extract; see localize/features/base.py" in text
    assert "weights net.pth are missing: download them" in text


def test_build_map_needs_no_queries(run_cli, own_data, scene, tmp_path):
    references = [a for a in own_data[0] if not a.startswith("dataset.queries")]
    code, text = run_cli(*RUN, *references)
    assert code == 2
    assert "scene colmap has no queries: name some, or build the map only with +pipeline=build_map" in text
    code, text = run_cli("+pipeline=build_map", *RUN[1:], *references)
    assert code == 0
    assert f"The map is in {tmp_path}/run/map" in text
    query = scene.queries.images[0]
    assert Localizer.load(tmp_path / "run" / "map").localize(f"{scene.image_root}/{query.name}", query.camera).pose


def test_a_list_of_pairs_is_checked_before_the_work(run_cli, own_data, tmp_path):
    arguments, queries = own_data
    name = queries.read_text().split()[0]
    path = tmp_path / "pairs.txt"
    path.write_text(f"{name} nowhere.png\n" * 9)
    code, text = run_cli(*RUN, *arguments, "retrieval=pairs", f"retrieval.path={path}")
    assert code == 2
    assert f"{path}:5 pairs {name} with nowhere.png, which is no photo of the scene" in text
    assert "and 4 more such lines" in text
    assert "reference features" not in text  # nothing was started


def test_what_the_system_refuses_is_told_by_what_it_was(tmp_path):
    """A file that cannot be read is no fault of the results folder; what the system did not refuse is a defect."""

    def told(number, path):
        own = [str(tmp_path / "run"), str(tmp_path / "store")]
        return refused_by_system(OSError(number, os.strerror(number), path), own)

    for number in (errno.EACCES, errno.ELOOP, errno.EIO, errno.ENOENT):
        assert told(number, "/data/queries.txt").startswith("cannot read /data/queries.txt: ")
    assert told(errno.EMFILE, None).startswith("cannot read a file: Too many open files")
    assert told(errno.EACCES, str(tmp_path / "store" / "x")).startswith(f"cannot write {tmp_path}/store/x: Permission")
    assert told(errno.ENOSPC, None).startswith("cannot write the results: No space left")
    assert told(errno.ENOENT, str(tmp_path / "run" / "x")) is told(errno.EPIPE, None) is None


def test_a_full_memory_is_one_sentence(run_cli, monkeypatch):
    def full(cfg):
        raise MemoryError("Unable to allocate 3 TiB")

    monkeypatch.setattr(cli, "_run", full)
    code, text = run_cli()
    assert code == 2
    assert "the memory is full (Unable to allocate 3 TiB): take workers=1" in text
