"""Revisited Oxford's protocol from photos to figures, on the miniature in its layout."""

import dataclasses
import pickle
import re
import shutil
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import PIL.Image
import pytest

from localize.datasets.minitown import Minitown
from localize.datasets.revisited import RevisitOP1M, ROxford5k
from localize.datasets.revisited_miniature import RevisitedMiniature
from localize.evaluate.revisited import score_rankings
from localize.io.benchmarks.revisited import GradedPhotos, read_graded_photos, write_graded_photos
from localize.pipelines.judging import evaluate_revisited
from localize.preflight import preflight
from localize.retrieval.base import NothingLearned
from localize.retrieval.exact import ExactRanking
from localize.retrieval.pairs import Pairs
from localize.retrieval.reranking.query_expansion import QueryExpansion
from localize.stages import descriptors
from localize.store import Store
from localize.types import InputError
from tests.conftest import results

DISTRACTORS = 5


@dataclass(frozen=True)
class Thumbnail:
    """The photo at 6 x 6 px."""

    VERSION: ClassVar[int] = 1
    needs: ClassVar[str] = "pixels"

    def fit(self, photos):
        return NothingLearned()

    def describe(self, photo, learned):
        small = np.asarray(PIL.Image.fromarray(photo).resize((6, 6)), np.float32).ravel()
        return (small - small.mean()) / np.linalg.norm(small - small.mean())


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of a miniature."""
    root = tmp_path_factory.mktemp("revisited") / "miniature"
    RevisitedMiniature(str(root), num_facades=3, num_distractors=DISTRACTORS).benchmark()
    return root


@pytest.fixture
def judge(tmp_path):
    """Run the evaluation of Thumbnail on a data set: (text, results.json)."""

    def run(dataset, **settings):
        settings = {"retrieval": Thumbnail(), "output": str(tmp_path / "out"), **settings}
        text = evaluate_revisited.run(dataset, Store(tmp_path / "store"), **settings)
        return text, results(tmp_path / "out")

    return run


def test_figures_are_those_of_a_stable_argsort_of_cropped_queries(made, judge):
    """Everything once more from the pickle and the pictures, as the authors' example does it."""
    gnd = pickle.loads((made / "gnd_roxford5k.pkl").read_bytes())

    def vector(name, box=None):
        photo = PIL.Image.open(made / "jpg" / f"{name}.jpg").convert("RGB")
        return Thumbnail().describe(np.array(photo if box is None else photo.crop(box)), None)

    database = np.array([vector(name) for name in gnd["imlist"]])
    asked = np.array([vector(name, g["bbx"]) for name, g in zip(gnd["qimlist"], gnd["gnd"], strict=True)])
    order = np.argsort(-(database @ asked.T), axis=0, kind="stable")
    expected = score_rankings(order.T, read_graded_photos(made / "gnd_roxford5k.pkl").queries, (1, 5, 10))
    text, found = judge(ROxford5k(str(made)))
    for setup, scores in expected.items():
        assert found["setups"][setup]["mAP"] == pytest.approx(scores.mean_average_precision, abs=1e-6)
        assert list(found["setups"][setup]["mP"].values()) == pytest.approx(scores.mean_precision, abs=1e-6)
    assert found["setups"]["easy"]["num_queries"] == 4  # of six: those of the first facade have no easy photos
    assert found["average_precision"]["facade0_query0"]["easy"] is None
    assert re.search(r"setup +mAP +mP@1 +mP@5 +mP@10 +queries", text)
    assert found["compared"]["medium mAP"] == f"{100 * expected['medium'].mean_average_precision:.1f}"
    uncropped = np.argsort(-(database @ np.array([vector(name) for name in gnd["qimlist"]]).T), axis=0, kind="stable")
    assert (uncropped != order).any()


def test_distractors_rerankers_and_half_precision(made, judge, monkeypatch):
    alone = judge(ROxford5k(str(made)))[1]
    with_more = judge(ROxford5k(str(made), str(made / "revisitop1m")))[1]
    assert with_more["num_photos"] == alone["num_photos"] + DISTRACTORS
    assert with_more["setups"]["medium"]["mAP"] < alone["setups"]["medium"]["mAP"]
    halved = judge(ROxford5k(str(made)), ranking=ExactRanking(vectors_dtype="float16"))[1]
    assert 2 * halved["vector_bytes"] == alone["vector_bytes"]
    assert halved["setups"]["medium"]["mAP"] == pytest.approx(alone["setups"]["medium"]["mAP"], abs=0.01)
    expanded = judge(ROxford5k(str(made)), ranking=ExactRanking(rerank=(QueryExpansion(),)))
    assert "Thumbnail + QueryExpansion" in expanded[0]
    assert expanded[1]["average_precision"] != alone["average_precision"]
    monkeypatch.setattr(descriptors, "IN_MEMORY_BYTES", 0)  # the vectors of a million photos lie in a file
    assert judge(ROxford5k(str(made)))[1]["average_precision"] == alone["average_precision"]
    few = judge(ROxford5k(str(made)), num_ranked=1)[1]["setups"]["medium"]
    assert few["mAP"] == pytest.approx(few["mP"]["1"] / 7)  # the first of seven positives, or none


def test_a_photo_that_cannot_be_read_is_never_found_and_such_a_query_finds_nothing(made, judge, tmp_path):
    copy = shutil.copytree(made, tmp_path / "copy")
    for name in ("facade1_query0", "facade2_000016"):
        path = copy / "jpg" / f"{name}.jpg"
        path.write_bytes(path.read_bytes()[:700])
    graded = read_graded_photos(copy / "gnd_roxford5k.pkl")
    others = dataclasses.replace(graded.queries[1], box=(0, 0, 9e5, 9e5))  # of a terabyte
    queries = (graded.queries[0], others, *graded.queries[2:])
    write_graded_photos(copy / "gnd_roxford5k.pkl", GradedPhotos(graded.names, queries))
    whole, harmed = judge(ROxford5k(str(made)))[1], judge(ROxford5k(str(copy)))[1]
    assert len(harmed["unreadable_photos"]) == 3
    assert "has 320 x 240 px, but its query is the box" in str(harmed["unreadable_photos"])
    assert harmed["average_precision"]["facade0_query1"]["hard"] == 0
    assert set(harmed["average_precision"]["facade1_query0"].values()) == {0.0}
    assert harmed["num_queries"] == 6
    of_whole, of_harmed = (r["average_precision"]["facade2_query0"]["easy"] for r in (whole, harmed))
    assert of_harmed < of_whole  # its positive is missed


def test_paris_in_folders_and_what_is_missing(made, tmp_path):
    copy = shutil.copytree(made, tmp_path / "copy")
    (copy / "jpg/paris/facade").mkdir(parents=True)
    for path in sorted(copy.glob("jpg/*.jpg")):
        path.rename(copy / "jpg/paris/facade" / path.name)
    assert ROxford5k(str(copy)).benchmark().paths[0] == "paris/facade/facade0_000000.jpg"
    for path in sorted(copy.glob("jpg/paris/facade/*.jpg"))[:8]:
        path.unlink()
    (copy / "revisitop1m/jpg/0/0003.jpg").unlink()
    with pytest.raises(InputError) as e:
        ROxford5k(str(copy), str(copy / "revisitop1m")).benchmark()
    assert [p.split()[0] for p in e.value.problems] == [*["photo"] * 5, "and", "photo"]
    assert "and 3 more photos" in e.value.problems[5]
    with pytest.raises(InputError, match=r"gnd_roxford5k\.pkl is missing"):
        ROxford5k(str(copy / "jpg")).benchmark()
    with pytest.raises(InputError, match=r"dataset\.distractors must be the folder revisitop1m"):
        ROxford5k(str(made), str(tmp_path / "none")).benchmark()
    with pytest.raises(InputError, match="none is missing: download it"):
        ROxford5k(str(tmp_path / "none")).benchmark()
    with pytest.raises(InputError, match="holds other files"):
        RevisitedMiniature(str(made / "jpg")).benchmark()


def test_what_does_not_go_together_is_said(made, tmp_path):
    store = Store(tmp_path / "store")
    with pytest.raises(InputError, match=r"ROxford5k is photos without poses.*evaluate_revisited"):
        preflight(ROxford5k(str(made)), {}, store, str(tmp_path))
    with pytest.raises(InputError, match=r"dataset=roxford5k dataset\.distractors="):
        preflight(RevisitOP1M(str(tmp_path)), {}, store, str(tmp_path))
    with pytest.raises(InputError) as e:
        evaluate_revisited.run(Minitown(), store, retrieval=Pairs("pairs.txt"), ks=(0,), num_ranked=0)
    assert [p.split()[0] for p in e.value.problems] == ["Minitown", "a", "pipeline.num_ranked", "pipeline.ks"]
