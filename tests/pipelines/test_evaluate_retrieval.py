"""Which references are right for a query, and the table of recall."""

import re
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import PIL.Image
import pytest

from localize.datasets.places import Places
from localize.evaluate.retrieval import Visibility, first_right, retrieval_recall, shared_points
from localize.geometry.poses import rotation_from_qvec
from localize.pipelines.judging import evaluate_retrieval
from localize.retrieval.base import NothingLearned
from localize.retrieval.exact import ExactRanking
from localize.retrieval.reranking.dsm import Dsm
from localize.retrieval.vlad import Vlad
from localize.store import Store
from localize.types import Camera, Image, ImageList, InputError, Map, Pose
from tests.conftest import FEATURE, results

CAMERA = Camera("SIMPLE_PINHOLE", 100, 100, [100.0, 50.0, 50.0])  # sees 45 deg to each side, as far as 0.5 per metre


def at(name: str, x: float, z: float = 0.0, turned: bool = False) -> Image:
    R = rotation_from_qvec([0, 0, 1, 0]) if turned else np.eye(3)  # half a turn about y
    return Image(name, CAMERA, Pose(R, -R @ [x, 0, z]))


def town(points, seen_by: list[list[int]], *images: Image) -> Map:
    image = np.concatenate(seen_by)
    return Map(ImageList(images), points, np.cumsum([0, *map(len, seen_by)]), image, np.zeros(len(image)))


def test_a_point_is_visible_if_it_projects_is_not_hidden_and_is_seen_from_its_side():
    points = [(0, 0, 10), (0, 0, 10.5), (0, 0, 12), (0, 0, -5), (6, 0, 10), (2.5, 0, 10), (2, 0, 5)]
    first, back = at("a", 0), at("b", 2, 20, turned=True)
    seen_by = [[0], [0], [0], [0], [0], [1], [0, 1]]  # (2.5, 0, 10) was only ever seen from the other side
    model = town(points, seen_by, first, back)
    expected = [True, True, False, False, False, False, True]  # 12 m is hidden by 10 m, 10.5 m within the margin
    assert Visibility().visible(model, first).tolist() == expected
    assert Visibility(depth_margin=0.3).visible(model, first).tolist()[2]
    assert Visibility(max_angle_deg=179).visible(model, first).tolist()[5]
    shares = shared_points(model, ImageList([first, at("up", 500)]), ImageList([first, back]), Visibility())
    assert shares[0].tolist() == [1, pytest.approx(1 / 3)]  # back sees (2, 0, 5) alone of the three
    assert not shares[1].any()  # a query that shows nothing shares nothing


def test_recall_counts_queries_that_can_be_right():
    index = np.array([[2, 0, 1], [0, 1, -1], [1, 2, 0], [-1, -1, -1]])
    right = np.array([[1, 0, 0], [0, 0, 1], [0, 0, 0], [1, 1, 1]], bool)
    ranks = first_right(index, right)
    assert ranks.tolist() == [1, np.inf, np.inf, np.inf]
    assert retrieval_recall(ranks, right, (1, 2)) == [0, pytest.approx(1 / 3)]
    assert retrieval_recall(ranks[2:3], right[2:3], (1,)) == [None]


def test_shared_points_of_a_scene_are_the_truth(scene, finished, tmp_path):
    """With as many asked for as there are, everything that can be right is found."""
    judged = {"feature": FEATURE, "retrieval": Vlad(), "output": str(tmp_path)}
    text = evaluate_retrieval.run(scene, finished[0], **judged, ks=(1, 7))
    found = results(tmp_path)
    assert found["conditions"]["all"]["recall"]["7"] == 1.0
    assert found["conditions"]["all"]["num_with_a_right_reference"] >= 2
    assert all((q["first_right"] or 0) <= 8 - q["right_references"] for q in found["queries"].values())
    assert re.search(r"condition +R@1 +R@7 +counted", text)
    assert found["compared"]["all R@7"] == "100.0 %"
    assert {"features", "global descriptor", "ranking"} == set(found["seconds_per_query"])
    evaluate_retrieval.run(scene, finished[0], **judged, min_share=0.8)
    strict, loose = (sum(q["right_references"] for q in r["queries"].values()) for r in (results(tmp_path), found))
    assert 0 < strict < loose  # fewer references show so much of what a query shows


@dataclass(frozen=True)
class Colour:
    """The mean colour."""

    VERSION: ClassVar[int] = 1
    needs: ClassVar[str] = "pixels"

    def fit(self, photos):
        return NothingLearned()

    def describe(self, photo, learned):
        mean = photo.reshape(-1, 3).mean(0)
        return (mean / np.linalg.norm(mean)).astype(np.float32)


@pytest.fixture
def walk(tmp_path):
    """Places 0, 10, 20, 30 by day and night, each with its colour; by night 30 looks like 10."""
    for when in ("day", "night"):
        (tmp_path / when).mkdir()
        for place, hue in ((0, 0), (10, 80), (20, 160), (30, 240 if when == "day" else 80)):
            PIL.Image.new("HSV", (16, 12), (hue, 200, 200)).convert("RGB").save(tmp_path / when / f"f1_{place:04}.png")
    return tmp_path


def test_places_within_a_radius(walk):
    places = Places(str(walk), queries="night", first=10)
    scene = places.load()
    assert scene.references.names == ("day/f1_0010.png", "day/f1_0020.png", "day/f1_0030.png")
    assert scene.queries.images[0].pose is None
    run = {"retrieval": Colour(), "output": str(walk / "out"), "ks": (1, 3)}
    evaluate_retrieval.run(scene, Store(walk / "store"), radius_m=5.0, **run)
    assert results(walk / "out")["conditions"]["all"]["recall"] == {"1": pytest.approx(2 / 3), "3": 1.0}
    evaluate_retrieval.run(scene, Store(walk / "store"), radius_m=20.0, **run)
    assert results(walk / "out")["conditions"]["all"]["recall"]["1"] == 1.0
    path = walk / "night" / "f1_0020.png"
    path.write_bytes(path.read_bytes()[:-30])
    evaluate_retrieval.run(scene, Store(walk / "store"), radius_m=5.0, **run)
    assert results(walk / "out")["num_queries"] == 2
    assert list(results(walk / "out")["unreadable_photos"]) == [str(path)]


def test_inliers_of_right_and_wrong_references_are_counted(walk):
    dsm = Dsm(backbone="small", max_edge_px=80, num_verified=2)
    run = {"retrieval": Colour(), "output": str(walk / "out"), "ks": (1,)}
    scene = Places(str(walk), queries="night", first=10).load()
    text = evaluate_retrieval.run(
        scene, Store(walk / "store"), radius_m=5.0, ranking=ExactRanking(rerank=(dsm,)), **run
    )
    found = results(walk / "out")
    inliers, of_query = found["inliers"], found["regions"]["query"]
    assert inliers["right"]["references"] == 2  # by night 30 looks like 10, so its right one is not among its first two
    assert inliers["wrong"]["references"] == 4
    assert sum(inliers["wrong"]["histogram"]) == 4
    assert of_query["bytes"] == 27 * of_query["regions"] + 3 * 2 * 2
    assert "with 2 right references" in text
    assert (walk / "out" / "inliers.png").is_file()


def test_what_cannot_be_evaluated_is_said(walk, scene, tmp_path):
    (walk / "day" / "sky.png").write_bytes(b"")
    with pytest.raises(InputError, match="has no number of a place in its name"):
        Places(str(walk), queries="night").load()
    (walk / "day" / "sky.png").unlink()
    with pytest.raises(InputError, match=r"folder .*dusk is missing: dataset.queries names it"):
        Places(str(walk), queries="dusk").load()
    with pytest.raises(InputError, match="has no photo of a place from 40 on"):
        Places(str(walk), queries="night", first=40).load()
    with pytest.raises(InputError) as raised:
        evaluate_retrieval.run(scene, Store(tmp_path), radius_m=-1.0, min_share=20, ks=())
    assert [p.split(" is ")[0] for p in raised.value.problems] == [
        "pipeline.radius_m",
        "pipeline.min_share",
        "pipeline.ks",
    ]
