"""Which pairs of references are matched, and maps of features whose keypoints are coarse."""

import dataclasses
import logging
from typing import ClassVar

import numpy as np
import pytest

from localize.components import Thresholds
from localize.features.sift import Sift
from localize.mapping import pairs
from localize.mapping.pairs import all_pairs, neighbour_pairs, rank_by_covisibility
from localize.mapping.triangulation import Triangulation
from localize.pipelines import parallel_search
from localize.preflight import preflight
from localize.retrieval.ranking import rank_by_pose
from localize.search.prior import Leaves
from localize.stages import Photos, Workbench, choose_pairs
from localize.store import Store
from localize.types import Image, ImageList, InputError, ModelFiles, Pose, SourceModel
from tests.conftest import PINHOLE, results

POSE = Pose(np.eye(3), np.zeros(3))
IMAGES = ImageList(Image(f"{n}.jpg", PINHOLE, POSE) for n in "abcd")
NAMES = {f"{n}.jpg": f"./{n}.png" for n in "abc"}  # the model does not have d


def model_seen_by(*seen: str) -> SourceModel:
    """A model of images ./x.png to ./a.png, each point of which is seen in the images named by the letters."""
    names = tuple(f"./{n}.png" for n in "xcba")
    image = [names.index(f"./{n}.png") for point in seen for n in point]
    m = len(image)
    return SourceModel(
        names=names, focal_px=np.ones(4), radial=np.zeros(4), rotations=np.tile(np.eye(3), (4, 1, 1)),
        translations=np.zeros((4, 3)), points=np.zeros((len(seen), 3)), indptr=np.cumsum([0, *map(len, seen)]),
        image=image, keypoint=np.zeros(m), xy=np.zeros((m, 2)),
    )  # fmt: skip


def test_covisibility_counts_the_points_that_both_see(caplog):
    model = model_seen_by("ab", "aabb", "bc", "ac", "bc", "abx", "x", "bc", "bc")
    ranking = rank_by_covisibility(model, IMAGES, NAMES, 2)
    assert ranking.ranked.tolist() == [[1, 2], [2, 0], [1, 0], [-1, -1]]  # a: 3 with b, 1 with c; b and c share 4
    assert ranking.scores[:3].tolist() == [[3, 1], [4, 3], [4, 1]]
    assert "1 references, such as d.jpg, share no point" in caplog.text
    assert rank_by_covisibility(model, IMAGES, NAMES, 1).ranked.tolist() == [[1], [2], [1], [-1]]
    tied = model_seen_by("abc")
    assert rank_by_covisibility(tied, IMAGES, NAMES, 1).ranked[:3].tolist() == [[1], [0], [0]]
    with pytest.raises(InputError, match="no two references share a point of the supplied model"):
        rank_by_covisibility(model_seen_by("ax", "b"), IMAGES, NAMES, 2)


def test_all_pairs_of_not_too_many(caplog, monkeypatch):
    assert all_pairs(["b", "a", "c"]) == [("a", "b"), ("a", "c"), ("b", "c")]
    monkeypatch.setattr(pairs, "MANY", 4)
    with caplog.at_level(logging.WARNING):
        assert len(all_pairs(range(5))) == 10
    assert "5 references make 10 pairs" in caplog.text
    with pytest.raises(InputError, match="would match 4501500 pairs of 3001 references, but takes at most 3000"):
        all_pairs([str(i) for i in range(3001)])


def test_what_the_choice_lacks_is_said_before_the_work(scene, tmp_path):
    class Given:
        def load(self):
            return self.scene

    given = Given()
    for change, how, sentence in (
        ({}, "covisibility", "3D model that comes with the scene, but this one comes without"),
        ({"supplied": ModelFiles(f"{tmp_path}/gone", {})}, "covisibility", "is missing: get it, or take mapping.pairs"),
        ({"references": ImageList(Image(str(i), PINHOLE, POSE) for i in range(4000))}, "exhaustive", "7998000 pairs"),
    ):
        given.scene = dataclasses.replace(scene, **change)
        with pytest.raises(InputError, match=sentence):
            preflight(given, {"mapping": Triangulation(pairs=how)}, Store(tmp_path / "store"), str(tmp_path))
    with pytest.raises(InputError, match="must be one of: retrieval, exhaustive, poses, covisibility, frusta"):
        Triangulation(pairs="all")
    photos = Photos("reference", IMAGES, {}, {})
    with pytest.raises(InputError, match="this one comes without"):
        choose_pairs(Workbench(Store(tmp_path / "store")), Triangulation(pairs="covisibility"), photos)


@dataclasses.dataclass(frozen=True)
class Coarse(Sift):
    """SIFT whose keypoints lie on a grid, as those of a detector on a coarse map."""

    step_px: float = 4.0
    thresholds: ClassVar[Thresholds] = Thresholds(keypoint_px=2.0)

    def extract(self, photo):
        found = super().extract(photo)
        xy = np.float32(self.step_px) * np.floor(found.keypoints / self.step_px) + np.float32(self.step_px / 2)
        return dataclasses.replace(found, keypoints=np.minimum(xy, photo.shape[::-1]))


def test_coarse_keypoints_make_a_map_of_any_pairs(synthetic_root, scene, tmp_path):
    supplied = ModelFiles(str(synthetic_root / "model"), {n: n for n in scene.references.names})
    town = dataclasses.replace(scene, supplied=supplied)
    num_pairs = {}
    for how in ("exhaustive", "poses", "covisibility"):
        mapping = Triangulation(pairs=how, num_neighbours=2, max_epipolar_error_px=8.0, max_reprojection_error_px=8.0)
        use = {"feature": Coarse(max_keypoints=1000), "mapping": mapping, "search": Leaves()}
        parallel_search.run(town, Store(tmp_path / "store"), output=str(tmp_path / how), **use)
        found = results(tmp_path / how)
        assert found["num_localized"] == 3
        assert found["map"]["points"] > 100
        stages = {stage["name"]: stage["computed"] + stage["reused"] for stage in found["stages"]}
        assert "reference_global" not in stages  # nothing asked for global descriptors
        num_pairs[how] = stages["pair_matches"]
    assert num_pairs["exhaustive"] == 7 * 6 // 2
    assert num_pairs["poses"] == len(neighbour_pairs(rank_by_pose(scene.references, 2)))
    assert 7 <= num_pairs["covisibility"] <= 14
