"""Figure 6: the keypoints are found once, and described as the feature itself describes them."""

import json

import numpy as np
import pytest

from localize.features.sift import Sift
from localize.features.sift_crbnet import SiftCrbnet
from localize.pipelines.judging import patch_size
from localize.stages import Workbench, extract_features, query_photos
from localize.store import Store
from localize.types import InputError

FEATURE = SiftCrbnet(max_keypoints=150, max_size_px=320, boundary="drop")


def test_keypoints_are_found_once_and_described_as_by_the_feature(scene, tmp_path, monkeypatch):
    detect, detected = Sift.detect, []
    monkeypatch.setattr(Sift, "detect", lambda self, photo: detected.append(self) or detect(self, photo))
    store = Store(tmp_path / "store")
    said = patch_size.run(scene, store, feature=FEATURE, output=str(tmp_path / "run"), coefficients=(7, 13))
    assert len(detected) == len(scene.references) + len(scene.queries)
    table = json.loads((tmp_path / "run/table.json").read_text())
    seven, thirteen = (dict(zip(table["header"], row, strict=True)) for row in table["rows"])
    assert (seven["coefficient"], thirteen["coefficient"]) == ("7", "13")
    assert seven["keypoints per photo"] > thirteen["keypoints per photo"]  # the border takes more of large patches
    results = json.loads((tmp_path / "run/coefficient_13/results.json").read_text())
    assert next(s for s in results["stages"] if s["name"] == "query_features")["computed"] == 0
    assert {"fig6.png", "fig6.svg", "table.md", "table.csv"} <= {p.name for p in (tmp_path / "run").iterdir()}
    assert "trained with patches of 13" in said
    shelf = extract_features(Workbench(store), FEATURE, query_photos(scene))
    plain = extract_features(Workbench(Store(tmp_path / "other")), FEATURE, query_photos(scene))
    for name in scene.queries.names:
        for field in ("keypoints", "descriptors", "scores", "scales", "orientations"):
            np.testing.assert_array_equal(getattr(shelf.features[name], field), getattr(plain.features[name], field))


def test_two_workers_describe_what_was_found(scene, tmp_path):
    bench, photos = Workbench(Store(tmp_path), workers=2), query_photos(scene)
    found = patch_size.find_keypoints(bench, FEATURE, photos)
    made = extract_features(bench, FEATURE, photos, found_before=found)
    assert sum(len(made.features[name]) for name in scene.queries.names) > 0


def test_what_cannot_be_compared_is_refused(scene, tmp_path):
    with pytest.raises(InputError) as e:
        patch_size.run(scene, Store(tmp_path), feature=Sift(), output=str(tmp_path), coefficients=(7, 7))
    assert "Sift describes no patches" in e.value.problems[0]
    assert "different numbers above 0" in e.value.problems[1]
