"""The calibration of confidences: what it fits, and what it refuses."""

import dataclasses
import json

import numpy as np
import pytest

from localize.pipelines.training import calibrate_confidence
from localize.pose.refinement.confidence import read_calibration
from localize.train.calibration import Judged, fit, read_judged
from localize.types import Evidence, InputError


def query(found: int, error_m: float | None, **fields) -> dict:
    evidence = Evidence(1000, 200, 10, in_view=400, found=found, by_chance=2.0, spread=0.2, depth_m=10.0)
    row = {"evidence": dataclasses.asdict(evidence), "position_sd_m": 0.02, "error_m": error_m, "error_deg": 1.0}
    return row | fields


def results(path, queries: list[dict]) -> str:
    path.write_text(json.dumps({"queries": {str(i): q for i, q in enumerate(queries)}}))
    return str(path)


def test_probabilities_are_those_that_were_drawn():
    """Poses right with a known probability of one measure: the fit finds it, whatever the other measures are."""
    rng = np.random.default_rng(0)
    seen = rng.normal(size=(20_000, 6))
    true = 1 / (1 + np.exp(-(1.5 * seen[:, 0] - 0.5)))
    found = fit([Judged(seen, rng.random(20_000) < true)]).probability(seen)
    assert np.abs(found - true).max() < 0.1
    assert np.abs(found - true).mean() < 0.02


def test_files_in_and_out(tmp_path):
    known = results(tmp_path / "known.json", [query(100, 0.1) for _ in range(9)] + [query(5, 3.0, error_deg=20.0)])
    strangers = results(tmp_path / "strangers.json", [query(n, None) for n in range(4, 12)])
    said = calibrate_confidence.run(output=str(tmp_path), results=[known], negatives=[strangers])
    assert "18 poses, 9 of them right" in said
    made = read_calibration(str(tmp_path / "confidence.json"))
    sure, unsure = (read_judged(path, belongs=False).seen[0] for path in (known, strangers))
    assert made.probability(sure) > 0.9 > 0.1 > made.probability(unsure)


def test_right_is_a_share_of_the_distance(tmp_path):
    path = results(tmp_path / "r.json", [query(50, 0.4), query(50, 0.6), query(50, 0.4, error_deg=6.0), query(9, None)])
    assert read_judged(path, belongs=True).right.tolist() == [True, False, False]  # the fourth has no ground truth


def test_what_cannot_be_used_is_said(tmp_path):
    path = results(tmp_path / "old.json", [{"inliers": 12}])
    with pytest.raises(InputError, match=r"no results\.json with evidence"):
        read_judged(path, belongs=True)
    right = results(tmp_path / "right.json", [query(100, 0.1)])
    with pytest.raises(InputError, match="right and wrong poses"):
        calibrate_confidence.run(output=str(tmp_path), results=[right])
    with pytest.raises(InputError, match=r"pipeline\.results must name"):
        calibrate_confidence.run(output=str(tmp_path), results=[])
