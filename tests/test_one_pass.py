"""Local features and a global descriptor on one trunk: one pass per photo, and nothing else than two would give."""

import numpy as np

from localize.features.d2net import D2Net
from localize.networks.small import SmallTrunk
from localize.pipelines import steps
from localize.retrieval.compact import Compact
from localize.stages import Workbench, describe_photos, extract_features, learn_retrieval
from localize.store import Store

FEATURE, RETRIEVAL = D2Net(backbone="small", max_keypoints=200), Compact(one_pass=True, max_edge_px=10_000)


def described(scene, root, together: bool):
    """(feature set, vectors, what each stage computed) of the scene's queries."""
    bench = Workbench(Store(root))
    both = steps._one_pass(bench, steps.Components(feature=FEATURE, retrieval=RETRIEVAL)) if together else None
    features = extract_features(bench, FEATURE, scene.image_root, scene.queries, "features", one_pass=both)
    descriptors = learn_retrieval(bench, RETRIEVAL, scene.queries, features)
    vectors = describe_photos(bench, descriptors, scene.queries, features, "global")
    return features, vectors, {r.name: r.computed for r in bench.records}


def test_one_pass_serves_both_and_changes_nothing(scene, tmp_path, monkeypatch):
    passes, forward = [], SmallTrunk.forward
    monkeypatch.setattr(SmallTrunk, "forward", lambda self, images: passes.append(1) or forward(self, images))
    once, vectors, computed = described(scene, tmp_path / "once", True)
    assert len(passes) == len(scene.queries)
    assert computed["features"] == len(scene.queries)
    assert computed["global"] == 0
    twice, same, computed = described(scene, tmp_path / "twice", False)
    assert len(passes) == 3 * len(scene.queries)
    assert computed["global"] == len(scene.queries)
    np.testing.assert_array_equal(vectors, same)
    for name in scene.queries.names:
        np.testing.assert_array_equal(once[name].keypoints, twice[name].keypoints)
        np.testing.assert_array_equal(once[name].descriptors, twice[name].descriptors)


def test_without_a_trunk_in_common_each_works_for_itself(tmp_path):
    for change in ({"feature": D2Net(backbone="resnet50v2")}, {"retrieval": Compact()}):
        use = steps.Components(**{"feature": FEATURE, "retrieval": RETRIEVAL} | change)
        assert steps._one_pass(Workbench(Store(tmp_path)), use) is None
