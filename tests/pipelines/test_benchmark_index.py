"""The benchmark of indexes: descriptors drawn from a model and those of a map, curves, and the pipeline over both."""

import dataclasses
import json

import numpy as np
import pytest

from localize.datasets.synthetic import Synthetic
from localize.evaluate.search import descriptor_model
from localize.evaluate.search.curves import Contender, Curve, Measured
from localize.evaluate.search.descriptor_model import DescriptorModel
from localize.evaluate.search.descriptor_sets import joined, read_set, thinned, write_model
from localize.index.items import point_means
from localize.io.records import save_record
from localize.pipelines.judging import benchmark_index
from localize.pipelines.judging.index_contenders import read_contenders
from localize.pipelines.judging.map_descriptors import descriptors_of_scene
from localize.store import Store
from localize.types import InputError
from tests.conftest import CHECKOUT, FEATURE

MODEL = DescriptorModel(num_points=3000, num_clusters=200)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return write_model(MODEL, tmp_path_factory.mktemp("model"), 300)


def _nearest(found, queries):
    items = point_means(found.rows)
    return items.point[(queries @ items.descriptors.astype("f").T).argmax(1)]


def test_model_is_as_it_says(drawn):
    points = np.bincount(drawn.point)
    assert len(points) == MODEL.num_points
    assert points.min() == 2
    assert abs(points.mean() - 4.5) < 0.15
    order = np.argsort(drawn.point, kind="stable")
    first = order[np.cumsum(points) - points]
    second = order[np.cumsum(points) - points + 1]
    cosine = (drawn.descriptors[first].astype("f") * drawn.descriptors[second].astype("f")).sum(1)
    assert 0.8 < np.quantile(cosine, 0.1) < 0.84
    assert 0.91 < np.quantile(cosine, 0.9) < 0.95
    noise = (drawn.descriptors[first].astype("f") - drawn.descriptors[second]).std(0)
    assert 2.3 < np.quantile(noise, 0.98) / np.quantile(noise, 0.02) < 3.3  # reliability of the dimensions
    means = point_means(drawn.rows).descriptors.astype("f")
    similar = np.sort(means @ means.T, axis=1)[:, -2]
    assert 0.05 < np.mean(similar > 0.8) < 0.12  # near-duplicates and their originals


def test_noise_of_hard_queries_is_five_to_ten_times_the_power(drawn):
    sizes = []
    for condition in ("easy", "hard"):
        queries, truth = drawn.asked(condition)
        assert len(set(truth)) == len(truth) == 300
        assert np.mean(_nearest(drawn, queries) == truth) > 0.98
        means = point_means(drawn.rows).descriptors[truth].astype("f")
        sizes.append(np.median(1 / (queries * means).sum(1) ** 2 - 1))
    assert 4.5 < sizes[1] / sizes[0] < 7  # the mean of a point has noise of its own


def test_model_does_not_depend_on_what_was_asked_before(monkeypatch):
    monkeypatch.setattr(descriptor_model, "CHUNK", 1000)
    capped = dataclasses.replace(MODEL, max_observations=3)
    parts = list(capped.chunks())
    assert [p.first for p in parts] == [0, 1000, 2000]
    assert np.bincount(np.concatenate([p.point for p in parts])).max() == 3
    assert sum(len(p.point) for p in parts) == capped.num_observations
    assert np.array_equal(capped.queries(50, True)[0], capped.queries(50, True)[0])
    queries, truth = capped.queries(50, False)
    means = np.concatenate([p.means for p in parts])
    assert np.mean((queries @ means.T).argmax(1) == truth) == 1
    with pytest.raises(InputError, match="max_observations is 1, but must be at least 2"):
        DescriptorModel(max_observations=1)


def test_sets_are_joined_and_kept(drawn, tmp_path):
    both = joined([drawn, drawn], "twice")
    save_record(tmp_path / "set", both)
    again = read_set(tmp_path / "set")
    assert again.num_points == 6000
    assert again.conditions == ("easy", "hard")
    assert again.image_indptr[-1] == len(again.point) == 2 * len(drawn.point)
    queries, truth = again.asked("hard")
    assert np.array_equal(truth[300:] - 3000, truth[:300])
    assert np.mean(_nearest(again, queries[:300]) == truth[:300]) > 0.95  # of equals the first
    few = thinned(again, 40)
    assert [len(few.asked(c)[1]) for c in few.conditions] == [40, 40]
    assert set(few.asked("hard")[1]) <= set(truth)
    with pytest.raises(InputError, match="no set of descriptors can be read from"):
        read_set(tmp_path)


def test_time_at_a_recall_lies_between_settings_none_beats():
    found = [(0.5, 10.0), (0.9, 30.0), (0.8, 40.0), (0.98, 300.0)]
    measured = [Measured("hard", i, r, r, us, 2 * us, 1) for i, (r, us) in enumerate(found)]
    curve = Curve(Contender("x", None, "k", (0,)), measured=measured)
    assert curve.us_at("hard", 0.94) == pytest.approx(np.sqrt(30 * 300))
    assert curve.us_at("hard", 0.94, "cpu_us_per_query") == pytest.approx(2 * np.sqrt(30 * 300))
    assert curve.us_at("hard", 0.85) < 30
    assert curve.us_at("hard", 0.3) == pytest.approx(10)
    assert curve.us_at("hard", 0.99) is None
    assert curve.us_at("easy", 0.5) is None


def test_contenders_are_read_with_their_settings():
    swept, few = "faiss_ivf_pq num_lists=64 refine=fp16 num_probes=4,8", "faiss_hnsw ef_search=32"
    asked = [swept, "literal_trees of=mean", few, "faiss_binary structure=multihash", "faiss_flat"]
    chosen, means_only = read_contenders(asked)
    assert [c.name for c in chosen] == ["faiss_flat", *asked[:-1]]
    assert (chosen[1].component.num_lists, chosen[1].component.refine) == (64, "fp16")
    assert (chosen[1].swept, chosen[1].values) == ("num_probes", (4, 8))
    assert (chosen[3].component.ef_search, chosen[3].values, chosen[0].values) == (32, ("",), ("",))  # measured once
    assert (chosen[4].component.structure, chosen[4].swept) == ("multihash", "num_flips")
    assert means_only == {"literal_trees of=mean"}
    wrong = ["hnws", "faiss_hnsw links=3", "faiss_ivf num_probes=0", "faiss_ivf num_lists=4,8"]
    with pytest.raises(InputError) as e:
        read_contenders(wrong)
    assert len(e.value.problems) == 4
    assert "there is no contender 'hnws' in pipeline.contenders; valid: exact, faiss_binary" in e.value.problems[0]
    assert "contender 'faiss_hnsw links=3': FaissHnsw has no field 'links'; it has items" in e.value.problems[1]
    assert "num_probes is 0, but must be greater than 0" in e.value.problems[2]
    assert "num_lists has several values, but one setting can be swept" in e.value.problems[3]
    with pytest.raises(InputError, match="must be a list of names"):
        read_contenders("faiss_hnsw")


@pytest.mark.parametrize("name", sorted(p.stem for p in (CHECKOUT / "conf" / "index").glob("*.yaml")))
def test_every_index_can_be_a_contender(name):
    contender = read_contenders([f"{name} of=mean"])[0][1]
    assert all(type(contender.at(value)) is type(contender.component) for value in contender.values)
    assert (len(contender.values) > 1) == (name not in ("exact", "faiss_flat"))


def test_pipeline_prints_writes_and_draws(tmp_path):
    text = benchmark_index.run(
        None,
        Store(tmp_path / "store"),
        output=str(tmp_path / "out"),
        workers=2,
        num_points=1000,
        num_queries=100,
        repeats=1,
        contenders=["faiss_hnsw num_links=8 ef_search=8,64", "literal_trees of=mean num_leaves=100"],
    )
    assert "hard: microseconds per query at these shares of the exact search's recall" in text
    found = json.loads((tmp_path / "out" / "table.json").read_text())
    flat, hnsw, literal = found["contenders"]
    assert [m["value"] for m in hnsw["measured"]] == [8, 8, 64, 64]
    assert hnsw["measured"][-1]["recall"] > 0.95
    assert literal["measured"][0]["recall"] > 0.9  # easy queries
    assert all(m["exact"] == 1 for m in flat["measured"])
    assert flat["memory_mb"] == pytest.approx(1000 * (256 * 4 + 4) / 1e6, rel=0.01)
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        f"table.{s}" for s in ("txt", "md", "csv", "tex", "json")
    } | {"curves.png"}


def test_real_descriptors_of_a_map(scene, finished, tmp_path, monkeypatch):
    dataset = Synthetic()
    monkeypatch.setattr(Synthetic, "load", lambda self: scene)
    out = tmp_path / "out"
    text = benchmark_index.run(
        dataset,
        finished[0],
        output=str(out),
        descriptors="scene",
        repeats=1,
        contenders=["faiss_hnsw"],
        feature=FEATURE,
    )
    flat = json.loads((out / "table.json").read_text())["contenders"][0]
    recall = {m["condition"]: m["recall"] for m in flat["measured"]}
    assert 0.9 < recall["held out"] < 1
    assert recall["query"] > 0.4  # by geometry alone; by chance 0.0001
    assert "build s" in text
    found = descriptors_of_scene(scene, finished[0], {"feature": FEATURE}, 1, False, 50, 0)
    queries, truth = found.asked("held out")
    assert len(set(truth)) == len(truth) == 50
    similarity = queries @ found.descriptors.astype("f").T
    assert np.mean(similarity.max(1) > 0.9999) < 0.5  # what is asked for is not in the map
    assert np.bincount(found.point)[truth].min() >= 2
