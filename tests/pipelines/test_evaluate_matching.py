"""MMA on generated sequences: against a slow twin, by the command line, and what is refused."""

import json

import numpy as np
import PIL.Image
import pytest

from localize.evaluate.mma import LEFT_OUT, PairAccuracy, by_kind, shares_within
from localize.features.sift import Sift
from localize.io.benchmarks.sequences import HALF_PIXEL, read_sequences
from localize.io.images import read_photo
from localize.pipelines.judging import evaluate_matching
from localize.store import Store
from localize.train.photos.homographies import random_homography, warp
from localize.types import InputError
from tests.generated_photos import SIZE, textured

FEATURE = Sift(max_keypoints=80)


@pytest.fixture(scope="module")
def sequences(tmp_path_factory):
    """A scene under two viewpoints by turns, one whose light changes, and one that the protocol omits."""
    root, rng = tmp_path_factory.mktemp("sequences"), np.random.default_rng(0)
    for name, turned in (("v_wall", True), ("i_wall", False), ("i_dc", False)):
        folder, photo = root / name, textured(len(name))
        folder.mkdir()
        for k in range(1, 7):
            homography = np.eye(3)
            if turned and k > 1:
                homography = random_homography(rng, SIZE, rotation_deg=20, scale=(0.8, 1.2), shear=0.1, perspective=0.1)
            if k > 1:
                from_centres = np.linalg.inv(HALF_PIXEL) @ homography @ HALF_PIXEL
                np.savetxt(folder / f"H_1_{k}", from_centres / from_centres[2, 2])
            light = 1 if turned else 1 - k / 12
            PIL.Image.fromarray((light * warp(photo, homography)).astype(np.uint8)).save(folder / f"{k}.ppm")
    return root


def slow_accuracy(folder, k) -> tuple[int, list[float]]:
    """(number of matches, shares within 1 to 10 px) in the files' own coordinates, one match after the other."""
    first, second = (FEATURE.extract(read_photo(folder / f"{i}.ppm", grey=True)) for i in (1, k))
    a, b = first.descriptors.astype(float), second.descriptors.astype(float)
    homography, errors = np.loadtxt(folder / f"H_1_{k}"), []
    for i in range(len(a)):
        j = int(np.argmax([a[i] @ d for d in b]))
        if int(np.argmax([d @ b[j] for d in a])) != i:
            continue
        x, y, w = homography @ [*(first.keypoints[i].astype(float) - 0.5), 1]
        errors.append(np.hypot(x / w - (second.keypoints[j, 0] - 0.5), y / w - (second.keypoints[j, 1] - 0.5)))
    return len(errors), [sum(e <= t for e in errors) / len(errors) for t in range(1, 11)]


def test_the_accuracy_is_that_of_the_slow_twin(sequences, tmp_path):
    said = evaluate_matching.run(
        Store(tmp_path / "store"), output=str(tmp_path), sequences=str(sequences), feature=FEATURE
    )
    found = json.loads((tmp_path / "results.json").read_text())
    slow = {(name, k): slow_accuracy(sequences / name, k) for name in ("i_wall", "v_wall") for k in range(2, 7)}
    assert [(p["sequence"], p["photo"]) for p in found["pairs"]] == list(slow)
    for pair in found["pairs"]:
        matches, shares = slow[pair["sequence"], pair["photo"]]
        assert pair["matches"] == matches
        np.testing.assert_allclose(pair["shares"], shares)
    kinds = found["sequences"]
    assert {k: m["pairs"] for k, m in kinds.items()} == {"illumination": 5, "viewpoint": 5, "all": 10}
    np.testing.assert_allclose(kinds["all"]["mma"], np.mean([shares for _, shares in slow.values()], axis=0))
    assert 0.3 < kinds["viewpoint"]["mma"][2] < kinds["illumination"]["mma"][2] <= 1
    assert f"{100 * kinds['viewpoint']['mma'][2]:.2f}" in said


def test_pairs_count_alike_and_those_without_matches_as_zero():
    none = shares_within(np.zeros((0, 2)), np.zeros((0, 2)), np.eye(3))
    some = shares_within(np.zeros((2, 2)), np.array([[0, 1.0], [0, 2.5]]), np.eye(3))
    assert some[:3] == (0.5, 0.5, 1.0)
    pairs = [PairAccuracy("v_a", "viewpoint", 2, (7, 9), 0, none), PairAccuracy("v_a", "viewpoint", 3, (7, 5), 2, some)]
    assert by_kind(pairs)["all"] == {"pairs": 2, "mma": [0.25, 0.25] + [0.5] * 8, "features": 7.0, "matches": 1.0}


def test_a_multirun_over_features_ends_with_their_table(sequences, run_cli):
    given = ("+pipeline=evaluate_matching", f"pipeline.sequences={sequences}", "feature=sift", "workers=1")
    code, text = run_cli(*given, "feature.max_keypoints=20,40", "-m")
    assert code == 0, text
    header, _, *rows = text.split("settings")[-1].splitlines()
    assert header.split() == ["MMA@1", "MMA@3", "MMA@5", "MMA@10", "features", "matches", "s", "per", "photo"]
    assert [row.split()[0] for row in rows[:2]] == ["feature.max_keypoints=20", "feature.max_keypoints=40"]
    assert [row.split()[9] for row in rows[:2]] == ["20", "40"]


def test_what_the_protocol_omits_and_what_lacks(sequences, tmp_path):
    assert len(LEFT_OUT) == 8
    store, settings = Store(tmp_path / "store"), {"output": str(tmp_path), "feature": FEATURE}
    only = tmp_path / "only"
    (only / "i_dc").mkdir(parents=True)
    for path in (sequences / "i_dc").iterdir():
        (only / "i_dc" / path.name).symlink_to(path)
    with pytest.raises(InputError, match=r"add pipeline\.all_sequences=true"):
        evaluate_matching.run(store, sequences=str(only), **settings)
    evaluate_matching.run(store, sequences=str(only), all_sequences=True, **settings)
    (only / "i_dc" / "H_1_3").unlink()
    (only / "v_empty").mkdir()
    with pytest.raises(InputError) as refused:
        read_sequences(only)
    assert "H_1_3" in refused.value.problems[0]
    assert "has no photo 1" in refused.value.problems[1]
    with pytest.raises(InputError, match="has no folders"):
        read_sequences(tmp_path / "none")
