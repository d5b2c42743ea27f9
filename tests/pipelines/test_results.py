"""What a run leaves behind for each query, and what it says of those that failed."""

import json

import numpy as np

from localize.geometry.poses import rotation_from_qvec
from localize.roles import Components
from localize.stages.per_query import coverage
from localize.stages.results import results_text
from localize.stages.summary import summary
from localize.types import Report
from tests.conftest import PINHOLE, results


def test_each_query_keeps_its_pose_its_frames_and_how_well_its_inliers_fit(finished, scene):
    _, output = finished
    lines = {name: numbers for name, *numbers in map(str.split, (output / "poses.txt").read_text().splitlines())}
    for name, row in results(output)["queries"].items():
        pose, numbers = row["pose"], np.array(lines[name], float)
        np.testing.assert_allclose([*pose["qvec_wxyz"], *pose["tvec"]], numbers, rtol=1e-8, atol=1e-12)
        R = rotation_from_qvec(pose["qvec_wxyz"])
        np.testing.assert_allclose(R @ pose["center"] + pose["tvec"], 0, atol=1e-6)
        camera = scene.queries.by_name[name].camera
        assert row["camera"] == {
            **{"model": camera.model, "size": [camera.width, camera.height]},
            **{"params": camera.params.tolist(), "estimated": False},
        }
        assert len(row["retrieved"]) == len(set(row["retrieved"])) == len(scene.references)  # fewer than asked for
        assert 0 < row["inlier_error_px"] < 2
        assert 0 < row["inlier_coverage"] <= 1


def test_coverage_counts_cells():
    width, height = PINHOLE.width, PINHOLE.height
    assert coverage(np.zeros((5, 2)), PINHOLE) == 1 / 64
    assert coverage(np.array([[0.5, 0.5], [width, height], [width - 0.5, height - 0.5]]), PINHOLE) == 2 / 64


def test_a_query_has_one_line_of_the_file(finished):
    text = (finished[1] / "results.json").read_text()
    found = results(finished[1])
    assert sum(line.startswith('  "') and '"inliers":' in line for line in text.splitlines()) == len(found["queries"])
    assert json.loads(results_text(found)) == found


def test_the_summary_says_which_failed_and_what_may_help(finished):
    found = results(finished[1])
    name, row = next(iter(found["queries"].items()))
    found["failed"] = {name: "not sure enough"}
    found["queries"][name] = row | {"confidence": 0.3}
    nothing = np.zeros(0)
    report = Report((), nothing, nothing, (), (), nothing, nothing, nothing, nothing, nothing)
    text = summary(report, found, Components())
    assert f"1 query failed:\n  {name}: not sure enough\nWhat may help:\n" in text
    assert "pose.min_confidence=0.25, which accepts 1 more" in text
    assert "search.num_frames=40" in text
    found["failed"] = {}
    assert "failed" not in summary(report, found, Components())
