"""Pixel retrieval from photos to figures, on the miniature in the benchmark's layout."""

import numpy as np
import pytest

from localize.datasets.minitown import Minitown
from localize.datasets.revisited_miniature import RevisitedMiniature
from localize.evaluate.pixel_retrieval import PROTOCOLS, score_found
from localize.io.benchmarks.pixel_retrieval import FOLDER, read_found, read_labels, write_found
from localize.pipelines.judging import evaluate_pixel_retrieval
from localize.retrieval.objects import ObjectFinder
from localize.store import Store
from localize.types import InputError
from tests.conftest import results
from tests.pipelines.test_evaluate_revisited import Thumbnail


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    made = RevisitedMiniature(str(tmp_path_factory.mktemp("pixels") / "miniature"), num_facades=3, num_distractors=3)
    made.benchmark()
    return made


@pytest.fixture
def judge(tmp_path):
    def run(dataset, **settings):
        settings = {"retrieval": Thumbnail(), "finder": ObjectFinder(), "output": str(tmp_path / "out"), **settings}
        return evaluate_pixel_retrieval.run(dataset, Store(tmp_path / "store"), **settings)

    return run


def test_the_labels_themselves_are_found_but_for_what_each_protocol_makes_of_them(dataset, judge, tmp_path, caplog):
    """Of 7 positives of each query; query 1 is skipped, and the polygons of two easy photos are left empty."""
    queries = dataset.benchmark().graded.queries
    pairs = [(q, i) for q, asked in enumerate(queries) for i in (*asked.easy.tolist(), *asked.hard.tolist())]
    labels = read_labels(dataset.folder / FOLDER, "oxford", pairs)
    found = {pair: labels[pair][0] for pair in pairs}
    missed = (2, int(queries[2].easy[0])), (3, int(queries[3].easy[1]))
    write_found(tmp_path / "best.npy", found | dict.fromkeys([*missed, (0, 999)], np.zeros((0, 2))))
    text = judge(dataset, results=str(tmp_path / "best.npy"))
    assert "has 1 of its pairs without a label" in caplog.text
    made = results(tmp_path / "out")["protocols"]
    assert made["official"]["mIoU medium box"] == 1
    assert made["fixed"]["mIoU medium box"] == pytest.approx((4 * 1 + 2 * 6 / 7) / 6)
    assert made["fixed"]["mIoU hard segmentation"] == 1
    image_level = made["official"]["mAP hard"] * 6 / 5  # nothing is missed in hard: the divisor alone differs
    assert made["fixed"]["mAP hard"] == pytest.approx(image_level)
    assert made["fixed"]["mAP medium"] < made["official"]["mAP medium"] * 6 / 5
    assert "42 labelled pairs, in 40 of which something was found" in text
    swapped = {pair: polygon[:, ::-1] for pair, polygon in found.items()}
    write_found(tmp_path / "swapped.npy", swapped)
    judge(dataset, results=str(tmp_path / "swapped.npy"), swapped=True)
    assert results(tmp_path / "out")["protocols"]["fixed"]["mIoU medium segmentation"] == 1


def test_our_finder_is_scored_by_what_it_writes_and_kept(dataset, judge, tmp_path):
    judge(dataset)
    made = results(tmp_path / "out")
    assert made["protocols"]["fixed"]["mIoU medium box"] > 0.5
    found = read_found(tmp_path / "out/found.npy")
    labels = read_labels(dataset.folder / FOLDER, "oxford", found)
    queries = dataset.benchmark().graded.queries
    order = [np.arange(24)] * 6
    for name, protocol in PROTOCOLS.items():
        scored = score_found(found, labels, queries, order, dataset.unjudged, protocol).mean_iou
        assert made["protocols"][name]["mIoU hard segmentation"] == pytest.approx(scored["hard", "segmentation"])
    assert made["protocols"]["official"]["mIoU medium box"] != made["protocols"]["fixed"]["mIoU medium box"]
    judge(dataset, results=str(tmp_path / "out/found.npy"))
    again = results(tmp_path / "out")
    assert again["protocols"] == made["protocols"]
    judge(dataset)
    assert {s["name"]: s["computed"] for s in results(tmp_path / "out")["stages"]}["objects"] == 0


def test_what_cannot_be_used_is_said_at_once(dataset, judge, tmp_path):
    with pytest.raises(InputError, match="Minitown has no graded photos"):
        judge(Minitown())
    with pytest.raises(InputError) as e:
        judge(dataset, results=str(tmp_path / "no.npy"), labels=str(tmp_path))
    assert len(e.value.problems) == 2
    write_found(tmp_path / "other.npy", {(60, 999): np.zeros((0, 2))})
    with pytest.raises(InputError, match="has none of the 42 labelled pairs"):
        judge(dataset, results=str(tmp_path / "other.npy"))
    broken = RevisitedMiniature(str(tmp_path / "broken"), num_facades=1, num_distractors=0)
    for path in broken.benchmark().paths:
        (tmp_path / "broken/jpg" / path).write_bytes(b"")
    with pytest.raises(InputError, match="none of the 8 photos"):
        judge(broken)
    with pytest.raises(InputError, match=r"/none\.safetensors"):
        judge(dataset, finder=ObjectFinder(weights="/none.safetensors"))
