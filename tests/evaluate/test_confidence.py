"""Reliability, risk and normalised errors on generated poses whose calibration is known."""

import json

import numpy as np
import pytest

from localize.evaluate.confidence import (
    Judged,
    area_under_risk,
    brier_score,
    calibration_error_by_chance,
    expected_median,
    expected_share,
    least_area,
    normalised_errors,
    reliability,
    risk_coverage,
)
from localize.pipelines.judging import evaluate_confidence
from localize.types import InputError

RNG_SEED, MANY = 0, 40_000


def drawn(power=1.0, number=MANY):
    """Confidences, and poses that are right with probability confidence ** power: 1 is calibrated."""
    rng = np.random.default_rng(RNG_SEED)
    confidence = rng.random(number)
    return confidence, rng.random(number) < confidence**power


def test_calibrated_confidences_have_no_error_and_the_known_brier_score():
    confidence, right = drawn()
    bins = reliability(confidence, right, 10)
    assert bins.number.sum() == MANY
    assert np.ptp(bins.number) <= 1
    assert bins.calibration_error < 0.01
    assert brier_score(confidence, right) == pytest.approx(1 / 6, abs=0.003)  # mean of c (1 - c)
    assert calibration_error_by_chance(confidence, 10) == pytest.approx(bins.calibration_error, abs=0.004)


def test_overconfidence_has_its_known_error():
    confidence, right = drawn(power=2.0)
    assert reliability(confidence, right, 20).calibration_error == pytest.approx(1 / 6, abs=0.01)  # mean of c - c^2
    always = np.full(1000, 0.9)
    half = np.arange(1000) % 2 == 0
    bins = reliability(always, half, 10)  # equal confidences share a bin, whatever their order
    assert bins.number.tolist() == [1000]
    assert bins.calibration_error == pytest.approx(0.4)


def test_few_calibrated_poses_scatter_as_much_as_chance_says():
    confidence, _ = drawn(number=88)
    rng = np.random.default_rng(1)
    errors = [reliability(confidence, rng.random(88) < confidence, 10).calibration_error for _ in range(300)]
    assert calibration_error_by_chance(confidence, 10) == pytest.approx(np.mean(errors), rel=0.1)
    assert np.mean(errors) > 0.05


def test_risk_against_coverage_by_hand():
    right = np.array([True, False, True, True])
    coverage, risk = risk_coverage(np.array([0.9, 0.8, 0.7, 0.1]), right, total=5)
    assert coverage == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert risk == pytest.approx([0, 1 / 2, 1 / 3, 1 / 4])
    _, mean = risk_coverage(np.full(4, 0.5), right, total=4)  # nothing tells them apart
    assert mean == pytest.approx([0.25] * 4)
    _, best = risk_coverage(np.array([0.9, 0.1, 0.7, 0.8]), right, total=4)
    assert area_under_risk(best) == pytest.approx(least_area(1, 4))
    assert least_area(1, 4) == pytest.approx(1 / 16)


@pytest.mark.parametrize(("axes", "sd"), [(3, np.ones(3)), (1, np.array([1, 1e-4, 1e-4]))])
def test_errors_over_deviations_follow_chi_square(axes, sd):
    """Three equal axes, and one that outweighs the others; the wrong poses among them do not count."""
    noise = np.random.default_rng(2).normal(size=(MANY, 3)) * sd
    right = np.arange(MANY) % 10 != 0
    metres = np.where(right, np.linalg.norm(noise, axis=1), 99)
    deviation = np.full(MANY, np.sqrt((sd**2).sum()))
    confidence, inliers = np.ones(MANY), np.zeros(MANY, np.int64)
    found = normalised_errors(Judged(confidence, right, inliers, metres, metres, deviation, np.full(MANY, np.nan)))
    assert len(found["position"]) == right.sum()
    assert len(found["orientation"]) == 0
    assert np.median(found["position"]) == pytest.approx(expected_median(axes), rel=0.02)
    for ratio in (0.5, 1, 2):
        assert np.mean(found["position"] < ratio) == pytest.approx(expected_share(ratio, axes), abs=0.01)


def written(path, names, tag, errors_m, confidence, failed=(), **others):
    """A results.json with these queries."""
    queries = {
        name: {"tags": [tag] if tag else [], "matches": 50, "inliers": 20, "error_m": e, "error_deg": e and 1.0}
        | {"confidence": c, "position_sd_m": 0.1, "orientation_sd_deg": 1.0}
        | others
        for name, e, c in zip(names, errors_m, confidence, strict=True)
    }
    path.write_text(json.dumps({"failed": dict.fromkeys(failed, "no matches"), "queries": queries}))
    return str(path)


def test_the_command_line_judges_conditions_and_photos_that_do_not_belong(tmp_path, run_cli):
    day = written(tmp_path / "day.json", "abcd", "day", [0.1, 0.2, 3.0, None], [0.99, 0.9, 0.3, None], failed="d")
    night = written(tmp_path / "night.json", "ef", "night", [0.05, None], [0.6, 0.2])  # f has no ground truth
    other = written(tmp_path / "other.json", "xyz", "", [None] * 3, [0.05, 0.6, None], failed="z")
    out = tmp_path / "out"
    code, text = run_cli(
        "+pipeline=evaluate_confidence",
        f"pipeline.results=[{day},{night}]",
        f"pipeline.negatives=[{other}]",
        "pipeline.thresholds=[0.5,0.95]",
        f"hydra.run.dir={out}",
    )
    assert code == 0, text
    assert "1 poses in" in text  # without ground truth
    found = json.loads((out / "confidence.json").read_text())["conditions"]
    assert list(found) == ["all", "day", "night", "not of the scene", "all and these"]
    assert [(f["queries"], f["poses"], f["right"]) for f in found.values()] == [
        (5, 4, 3), (4, 3, 2), (1, 1, 1), (3, 2, 0), (8, 6, 3)
    ]  # fmt: skip
    assert found["all"]["accepted"] == {
        "confidence 0.5": {"right": 3, "wrong": 0},
        "confidence 0.95": {"right": 1, "wrong": 0},
        "12 inliers": {"right": 3, "wrong": 1},
    }
    assert found["not of the scene"]["accepted"]["confidence 0.5"] == {"right": 0, "wrong": 1}
    assert found["night"]["calibration_error"] == pytest.approx(0.4)
    assert found["all"]["brier"] == pytest.approx((0.01**2 + 0.1**2 + 0.3**2 + 0.4**2) / 4)
    assert found["all"]["error_over_sd"]["position"]["median"] == pytest.approx(1.0)
    for name in ("reliability", "risk_coverage", "errors"):
        assert (out / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_results_that_cannot_be_judged_are_refused(tmp_path):
    unjudged = written(tmp_path / "unjudged.json", "a", "", [0.1], [None])
    refused = written(tmp_path / "refused.json", "a", "", [None], [0.3], failed="a")
    strangers = written(tmp_path / "strangers.json", "a", "", [None], [0.3])
    other = tmp_path / "other.json"
    other.write_text("{}")
    with pytest.raises(InputError) as e:
        evaluate_confidence.run(results=(unjudged, refused, strangers, str(other), str(tmp_path / "missing.json")))
    for sentence, words in zip(
        e.value.problems,
        ("refinement=guided", "pose.min_confidence=0", "pipeline.negatives", "is not the results.json", "is missing"),
        strict=True,
    ):
        assert words in sentence
    with pytest.raises(InputError) as e:
        evaluate_confidence.run(results=(), right=(0, 1), bins=0, thresholds=(2,), min_inliers=0)
    assert len(e.value.problems) == 5
