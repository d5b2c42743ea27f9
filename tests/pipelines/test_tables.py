"""Tables of benchmarks, made: every row judged as published, rows that say why they have no figures."""

import csv
import dataclasses
import json

import numpy as np
import pytest

from localize.index.faiss_index import FaissFlat
from localize.io.benchmarks.submission import SubmissionFile
from localize.matching.ratio import RatioTest
from localize.pipelines import tables
from localize.pose.refinement.none import NoRefinement
from localize.search.prior import Leaves, Union
from localize.store import Store
from localize.types import ImageList, InputError, Pose, Scene, Submission
from tests.conftest import FEATURE, UNKEPT, computed, results


@dataclasses.dataclass
class Given:
    """A data set that is this scene, or is not there."""

    scene: Scene | None = None

    def load(self) -> Scene:
        if self.scene is None:
            raise InputError("folder /data/town is missing: give dataset.root")
        return self.scene


@pytest.fixture(scope="module")
def tagged(scene) -> Scene:
    """Two queries by day; a third by night, whose true pose is said to be 0.7 m away."""
    tags = dict(zip(scene.queries.names, [("day",), ("day",), ("night",)], strict=True))
    queries = ImageList(dataclasses.replace(q, tags=tags[q.name]) for q in scene.queries)
    *by_day, by_night = scene.ground_truth
    moved = Pose(by_night.pose.rotation, by_night.pose.translation + np.array([0.7, 0, 0]))
    truth = ImageList((*by_day, dataclasses.replace(by_night, pose=moved)))
    names = {n: n.rpartition("/")[2] for n in queries.names}
    return dataclasses.replace(
        scene, queries=queries, ground_truth=truth, submission=Submission("Town_eval_{method}.txt", names)
    )


@pytest.fixture
def make(finished, tmp_path):
    """Run a table on a scene: (text, rows of table.csv by method and figures)."""

    def run(scene: Scene | None, table: str = "aachen", **settings):
        settings = {"feature": FEATURE, "store": finished[0], "output": str(tmp_path), **settings}
        text = tables.run(Given(scene), table=table, **settings)
        with open(tmp_path / "table.csv", newline="") as f:
            rows = {(r["method"], r["figures"]): r for r in csv.DictReader(f)}
        assert text.startswith((tmp_path / "table.txt").read_text())
        assert {"table.md", "table.tex", "table.json"} <= {p.name for p in tmp_path.iterdir()}
        return text, rows

    return run


def numbers(row: dict, column: str) -> list[str]:
    return [v for k, v in row.items() if k.startswith(column + " ") and k.removeprefix(column + " ")[0].isdigit()]


METHODS = ["RT_AP", "RT", "IR", "parallel"]


def test_rows_are_judged_by_the_bounds_of_the_table(make, tagged, tmp_path):
    text, rows = make(tagged, search=Union(num_frames=3))
    for method in METHODS:
        assert numbers(rows[method, "ours"], "day") == ["100.0"] * 3
        assert numbers(rows[method, "ours"], "night") == ["0.0", "100.0", "100.0"]  # 0.7 m: within 1 m, not 0.5 m
    assert numbers(rows["IR+CRBNet", "published"], "night") == ["61.2", "81.6", "89.8"]
    searched = {m: results(tmp_path / m / "seed0")["candidates_per_keypoint"] for m in METHODS}
    assert len(set(searched.values())) == 4  # four different methods
    assert max(searched, key=searched.get) == "parallel"
    assert (tmp_path / "RT" / "seed0" / "Town_eval_localize_RT_seed0.txt").is_file()
    assert "3 queries (2 day, 1 night); feature Sift (max_keypoints=2500), retrieval Fusion" in text
    assert "3 frames." in text
    assert f"are in {tmp_path}." in text


def test_a_second_table_computes_nothing(make, tagged, tmp_path):
    make(tagged)
    make(tagged)
    for method in METHODS:
        assert not {n for n, count in computed(tmp_path / method / "seed0").items() if count} - UNKEPT


def test_several_seeds(make, tagged, tmp_path):
    """Another seed is another index, another pose; the queries' features stay."""
    text, rows = make(tagged, seeds=[0, 3], rows=["parallel"])
    assert numbers(rows["parallel", "ours, mean of 2 seeds"], "night") == ["0.0", "100.0", "100.0"]
    assert ("parallel", "ours, lowest") in rows
    assert ("parallel", "ours, highest") in rows
    assert "over the seeds 0, 3 of index, retrieval, pose" in text
    done = {n for n, count in computed(tmp_path / "parallel" / "seed3").items() if count}
    assert not done & {"reference_features", "query_features"}
    keys = [{s["name"]: s["key"] for s in results(tmp_path / f"parallel/seed{s}")["stages"]} for s in (0, 3)]
    assert all(keys[0][stage] != keys[1][stage] for stage in ("index", "poses"))


def test_without_ground_truth_the_files_to_submit_are_named(make, tagged, tmp_path):
    text, rows = make(dataclasses.replace(tagged, ground_truth=None), rows=["IR", "parallel"])
    for method in ("IR", "parallel"):
        path = tmp_path / method / "seed0" / f"Town_eval_localize_{method}_seed0.txt"
        assert len(path.read_text().splitlines()) == 3
        said = f"{method}: not scored: poses written, no public ground truth: submit {path} (3 of 3 queries localized; "
        assert f"{said}of 1 references held out 100.0 / 100.0 / 100.0 percent within 0.25 m / 2 deg, 0.5 m" in text
        assert numbers(rows[method, "ours"], "day") == ["", "", ""]
    assert "73.9 / 91.4 / 96.7" in text


def test_aachen_at_night_has_todays_bounds_too(make, tagged):
    _, rows = make(tagged, rows=["IR"])
    assert numbers(rows["IR", "ours"], "night since 2020") == ["0.0", "0.0", "100.0"]
    assert numbers(rows["IR+CRBNet", "published"], "night since 2020") == [""] * 3


def test_notes_name_what_differs_from_the_paper(make, tagged):
    """Computed from the components in use, so that what is changed alone is named."""
    text, _ = make(tagged, rows=["IR"], matching=RatioTest(ratio=0.75), refinement=NoRefinement())
    assert "Not as in the paper: matching: ratio 0.75; the paper: ratio 0.8.\n" in text
    assert "Not as in the paper: index: random trees of means, leaves of 256, 0.65 of the probability mass" in text
    assert "refinement:" not in text


def test_without_data_the_published_figures_are_printed(make):
    text, rows = make(None)
    assert "RT_AP, RT, IR, parallel: no data: folder /data/town is missing: give dataset.root\n" in text
    assert numbers(rows["ParallelSearch+CRBNet", "published"], "day") == ["77.3", "94.3", "99.3"]
    assert text.count("77.3 / 94.3 / 99.3") == text.count("NetVLAD, published") == 1
    assert rows["RT", "ours"]["remark"] == "folder /data/town is missing: give dataset.root"
    assert "computed" not in text


def test_a_row_that_fails_does_not_lose_the_others(make, tagged, caplog):
    text, rows = make(tagged, index=FaissFlat(), rows=["RT", "IR"])
    assert "RT: failed: seed 0: FaissFlat has no order of leaves: take index=random_trees" in text
    assert numbers(rows["IR", "ours"], "day") == ["100.0"] * 3
    assert [r.getMessage() for r in caplog.records if r.levelname == "ERROR"] == [
        "row RT, seed 0: FaissFlat has no order of leaves: take index=random_trees for this row"
    ]


def test_queries_without_tags_are_judged_together(make, scene):
    _, rows = make(scene, rows=["IR"])
    assert numbers(rows["IR", "ours"], "all") == ["100.0"] * 3
    assert numbers(rows["IR", "ours"], "day") == [""] * 3
    assert numbers(rows["IR+CRBNet", "published"], "all") == [""] * 3


def test_minitown_has_the_bounds_of_its_scene(make, tagged):
    _, rows = make(tagged, table="minitown", rows=["IR"])
    assert numbers(rows["IR", "ours"], "night") == ["0.0"] * 4
    assert numbers(rows["IR", "ours"], "all") == ["66.67"] * 4
    assert "published" not in {figures for _, figures in rows}


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"table": "atlantis"}, "there is no table 'atlantis'; valid: aachen, minitown, robotcar"),
        ({"seeds": [0, 0]}, "pipeline.seeds is [0, 0], but must be different whole numbers"),
        ({"seeds": 3}, "pipeline.seeds is 3, but must be different"),
        ({"seeds": [-1]}, "pipeline.seeds is [-1], but must be different"),
        ({"rows": ["RT", "XY"]}, "but must be a list of some of RT_AP, RT, IR, parallel, each once"),
        ({"search": Leaves()}, "leave it at search=union"),
    ],
)
def test_bad_settings(tmp_path, settings, sentence):
    with pytest.raises(InputError) as e:
        tables.run(Given(), Store(tmp_path / "store"), output=str(tmp_path), **{"table": "aachen", **settings})
    assert sentence in str(e.value)


def test_command_line_without_data(run_cli, tmp_path):
    code, text = run_cli("+table=aachen", "dataset.root=/nowhere/aachen")
    assert code == 0
    assert "RT_AP, RT, IR, parallel: no data: folder /nowhere/aachen is missing" in text
    assert "ParallelSearch+CRBNet, published  77.3 / 94.3 / 99.3  68.4 / 86.7 / 96.9" in text
    assert f"are in {tmp_path}/run." in text
    assert json.loads((tmp_path / "run" / "table.json").read_text())["seeds"] == [0]


def test_fallback_is_for_the_rows_with_frames(make, tagged, tmp_path):
    make(tagged, submission=SubmissionFile(fallback="top_frame"))
    ours = json.loads((tmp_path / "table.json").read_text())["table"]["rows"]
    assert len(ours) >= len(METHODS)
    assert not [row for row in ours if row["missing"]]


def test_command_line_runs_the_rows(run_cli, synthetic_root):
    own = ["dataset=synthetic", f"dataset.root={synthetic_root}", "dataset.num_photos=10", "dataset.num_points=250"]
    arguments = [*own, "feature=sift", "feature.max_keypoints=2500", "workers=1", "pipeline.rows=[IR]"]
    code, text = run_cli("+table=minitown", *arguments)
    assert code == 0
    assert "IR, ours    -          -      -     -  100.0 / 100.0 / 100.0 / 100.0" in text
    assert "row 1 of 1: IR, seed 0" in text
    code, text = run_cli("+table=minitown", *arguments, "index=faiss_flat", "pipeline.rows=[RT,IR]")
    assert code == 2  # one row failed
    assert "RT: failed: seed 0: FaissFlat has no order" in text


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["+table=aachen", "pose.max_error_px=-1"], "PoseLib.max_error_px is -1"),
        (["+table=aachen", "refinement._target_=localize.search.prior.Leaves"], "Leaves cannot be a refinement: it"),
        (["+table=aachen", "store.root=/proc/nothing"], "cannot write to the store /proc/nothing"),
        (
            ["table=aachen"],
            "write +table=..., with a plus: there is no default to replace; valid: aachen, crbnet",
        ),
        (["+table=aachen", "~pose"], "~pose takes away what settings= looks at: choose another with pose=..."),
        (["+table=aachen", "+pipeline=serial"], "give either +pipeline=... or +table=..."),
        (["+table=aachen", "pipeline.sed=[1]"], "no setting pipeline.sed (did you mean seeds?); valid: rows, seeds"),
    ],
)
def test_command_line_bad_settings(run_cli, arguments, sentence):
    code, text = run_cli(*arguments)
    assert code == 2
    assert sentence in text
    assert "Traceback" not in text
