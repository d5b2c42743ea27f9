"""Re-ranking by regions: the order, what is computed and kept, what is told."""

import dataclasses
import pathlib
import time

import numpy as np
import PIL.Image
import pytest

from localize.evaluate.inliers import count_inliers
from localize.evaluate.match_picture import draw_match
from localize.io.records import load_record, save_record
from localize.pipelines.judging import draw_dsm
from localize.retrieval.base import NothingLearned, RankingSources
from localize.retrieval.compact import Compact
from localize.retrieval.exact import ExactRanking
from localize.retrieval.kept_regions import kept
from localize.retrieval.pairs import Pairs
from localize.retrieval.regions import RegionSettings
from localize.retrieval.reranking.dsm import Dsm, Gain
from localize.retrieval.spatial import SpatialSettings
from localize.roles import Components
from localize.stages import (
    PhotoList,
    Workbench,
    describe_references,
    find_photos,
    rank_photos,
)
from localize.store import Store
from localize.types import Image, ImageList, InputError, Regions, Retrieval
from tests.conftest import PINHOLE, results
from tests.generated_photos import textured

SMALL = Dsm(backbone="small", max_edge_px=128, precision="float32")


def images(prefix: str, count: int) -> ImageList:
    return ImageList(Image(f"{prefix}{i}.png", PINHOLE) for i in range(count))


def scattered(seed: int, count: int = 40, shift=(0, 0)) -> Regions:
    """Round regions on a map of 30 x 40, one to a channel."""
    rng = np.random.default_rng(seed)
    centers, covariances = rng.uniform(5, 25, (count, 2)) + shift, np.tile([2.0, 0, 2.0], (count, 1))
    return Regions(centers, covariances, np.arange(count), np.zeros(count), np.ones(count), [[30, 40]])


def mixed(seed: int, common: int) -> Regions:
    """Another's regions, but for so many that lie as those of scattered(0), moved."""
    own, shared = scattered(seed), scattered(0, shift=(3, -2))
    centers = np.concatenate([shared.centers[:common], own.centers[common:]])
    return dataclasses.replace(own, centers=centers)


def test_references_come_by_their_inliers_ties_and_others_as_they_were(caplog):
    references, common = images("r", 7), (8, 30, 0, 16, 0, 40, 22)
    regions = {name: mixed(i + 1, n) for i, (name, n) in enumerate(zip(references.names, common, strict=True))}
    ranked = np.array([[0, 1, 4, 3, 2, 6, 5], [5, -1, -1, -1, -1, -1, -1]], np.int32)
    scores = np.where(ranked >= 0, np.linspace(1, 0, 7), -np.inf).astype(np.float32)
    given, queries = Retrieval(("q0", "q1"), references.names, ranked, scores), images("q", 2)
    asked = {"q0": scattered(0), "q1": scattered(0)}
    sources = RankingSources(
        queries, np.zeros((2, 1)), references, np.zeros((7, 1)), query_regions=asked, reference_regions=regions
    )
    found = [Dsm(num_verified=5).rerank(given, dataclasses.replace(sources, threads=n)) for n in (1, 2)]
    np.testing.assert_array_equal(found[0].ranked, found[1].ranked)
    np.testing.assert_array_equal(found[0].scores, found[1].scores)
    assert found[0].ranked[0, :3].tolist() == [1, 3, 0]  # 30, 16 and 8 in common; 6 and 5 are not looked at
    assert found[0].ranked[0, 5:].tolist() == [6, 5]
    assert np.floor(found[0].scores[0, :2]).tolist() == [30, 16]
    assert found[0].ranked[1].tolist() == ranked[1].tolist()
    assert np.floor(found[0].scores[1, 0]) == 40
    tied = dataclasses.replace(sources, reference_regions=dict.fromkeys(references.names, mixed(1, 20)))
    assert Dsm().rerank(given, tied).ranked.tolist() == ranked.tolist()
    blank = dataclasses.replace(sources, query_regions=dict.fromkeys(("q0", "q1"), scattered(0, 0)))
    assert Dsm().rerank(given, blank).scores.max() == 0
    assert "no query has a region" in caplog.text
    with pytest.raises(ValueError, match="no regions to verify"):
        Dsm().rerank(given, dataclasses.replace(sources, query_regions=None))


@pytest.fixture
def photos(tmp_path):
    """Four references and two queries, parts of the first and of the second of them."""
    for i in range(4):
        photo = textured(i)
        PIL.Image.fromarray(photo).save(tmp_path / f"r{i}.png")
        if i < 2:
            PIL.Image.fromarray(photo[10:, 16:]).save(tmp_path / f"q{i}.png")
    return PhotoList("query", str(tmp_path), images("q", 2)), PhotoList("reference", str(tmp_path), images("r", 4))


def ranked(store: Store, photos, dsm: Dsm, workers: int = 1, number: int = 3):
    """(the ranking, how much each stage computed)."""
    bench = Workbench(store, workers)
    queries, references = (find_photos(bench, of) for of in photos)
    use = Components(retrieval=Compact(), ranking=ExactRanking(rerank=(dsm,), num_reranked=number))
    described = describe_references(bench, use, references)
    found = rank_photos(bench, described.by.describe(bench, queries), described, number)
    return found, {record.name: record.computed for record in bench.records}


def test_only_what_is_compared_is_computed_once_and_kept_by_content(photos, tmp_path):
    store = Store(tmp_path / "store")
    found, made = ranked(store, photos, SMALL)
    needed = len(np.unique(found.ranked))
    assert found.ranked[:, 0].tolist() == [0, 1]
    by_two, _ = ranked(Store(tmp_path / "other"), photos, SMALL, workers=2)
    np.testing.assert_array_equal(found.ranked, by_two.ranked)
    np.testing.assert_array_equal(found.scores, by_two.scores)
    assert (made["region_model"], made["query_regions"], made["reference_regions"]) == (1, 2, needed)
    strict = dataclasses.replace(SMALL, verification=SpatialSettings(shape="official"), num_verified=2)
    _, made = ranked(store, photos, strict)
    assert (made["region_model"], made["query_regions"], made["reference_regions"]) == (0, 0, 0)
    PIL.Image.fromarray(textured(9)).save(tmp_path / "q1.png")
    assert ranked(store, photos, dataclasses.replace(SMALL, num_verified=2))[1]["query_regions"] == 1
    assert ranked(store, photos, dataclasses.replace(SMALL, scales=(0.5,)))[1]["query_regions"] == 2


def test_a_stage_within_another_is_timed_for_itself(tmp_path):
    bench = Workbench(Store(tmp_path))
    with bench.stage("ranking"), bench.stage("regions"):
        time.sleep(0.2)
    inner, outer = bench.records
    assert inner.seconds >= 0.2 > outer.seconds


def test_regions_of_queries_and_references_and_what_is_learned():
    photo = textured(1)
    gain = SMALL.learn([photo])
    values = SMALL.maps(photo, (1.0,))[0]
    assert gain.gain == pytest.approx(12 / np.percentile(values[values > 0], 60), rel=0.01)
    as_query, as_reference = (SMALL.find_regions(photo, gain, of_query=q) for q in (True, False))
    assert len(as_query) > len(as_reference) > 10
    assert as_query.sizes.tolist() == [list(maps.shape[1:]) for maps in SMALL.maps(photo, SMALL.scales)]
    assert len(SMALL.find_regions(photo, Gain(gain.gain / 50), of_query=True)) < len(as_query)
    assert SMALL.learn([np.zeros((80, 80, 3), np.uint8)] * 3).gain > 0
    raw = dataclasses.replace(SMALL, regions=RegionSettings(quant="raw"))
    assert isinstance(raw.learn([photo]), NothingLearned)
    few = dataclasses.replace(SMALL, num_photos=2)
    assert few.learn([photo, None, textured(2)]).gain > 0  # the one in the middle is not looked at


def test_a_map_keeps_the_regions_of_all_references(tmp_path):
    regions = [scattered(i, count) for i, count in enumerate((3, 0, 7))]
    save_record(tmp_path / "kept", kept(Gain(2.5), ("a", "b", "c"), regions))
    found = load_record(tmp_path / "kept")
    assert found.learned.gain == 2.5
    for name, of in zip("abc", regions, strict=True):
        for field in dataclasses.fields(Regions):
            np.testing.assert_array_equal(getattr(found[name], field.name), getattr(of, field.name))
    with pytest.raises(ValueError, match="must rise"):
        dataclasses.replace(found, indptr=[0, 5, 3, 10])
    with pytest.raises(ValueError, match="different numbers of rows"):
        dataclasses.replace(found, levels=found.levels[:-1])


def test_resnet_has_as_many_regions_as_the_authors_gave_it():
    of = {name: Dsm(backbone=name).regions.max_regions for name in ("compact", "vgg16", "resnet50v2")}
    assert of == {"compact": 512, "vgg16": 512, "resnet50v2": 2048}
    assert Dsm(backbone="resnet50v2", regions=RegionSettings(max_regions=7)).regions.max_regions == 7


def test_what_is_missing_or_impossible_is_told(tmp_path, monkeypatch):
    assert Dsm().preflight() == Dsm(backbone="small").preflight() == []
    monkeypatch.setenv("LOCALIZE_WEIGHTS", str(tmp_path))
    assert "weights resnet50v2 are missing" in ExactRanking(rerank=(Dsm(backbone="resnet50v2"),)).preflight()[0]
    said = Dsm(weights="gone.safetensors").preflight()
    assert "as ranking.rerank.0.weights, or take ranking.rerank.0.backbone=compact" in said[0]
    with pytest.raises(InputError, match=r"Dsm\.upsampled is of backbone resnet50v2"):
        Dsm(upsampled=True)
    with pytest.raises(InputError, match=r"Dsm\.scales is \(2\.0,\)"):
        Dsm(scales=(2.0,))


def test_a_list_of_pairs_is_not_reranked():
    with pytest.raises(InputError, match="nothing is re-ranked"):
        Components(retrieval=Pairs("pairs.txt"), ranking=ExactRanking(rerank=(SMALL,)))


def test_inliers_are_counted_for_right_and_wrong():
    scores = np.array([5.4, 3.2, 0, 9.1, 3.2])
    found = count_inliers(scores, np.array([1, 1, 0, 0, 0], bool))
    assert found["right"] == {"references": 2, "mean": 4.0, "median": 4.0, "histogram": [0, 0, 0, 1, 0, 1]}
    assert found["wrong"]["histogram"] == [1, 0, 0, 1, 0, 0, 0, 0, 0, 1]
    assert found["separation"] == pytest.approx((2 + 1.5) / 6)
    assert count_inliers(scores[:2], np.ones(2, bool))["separation"] is None


def test_a_match_is_drawn_where_it_is(tmp_path):
    """A region a quarter of the way down and across: its ellipse of two deviations is a circle on the photo."""
    of = Regions([[2.5, 2.5]], [[1.0, 0, 1.0]], [3], [0], [1.0], [[10, 10]])
    grey = np.full((50, 50, 3), 128, np.uint8)
    draw_match(tmp_path / "a.png", [grey, grey], [of, of], np.array([[0, 0]]), (0, 0), "")
    picture = np.asarray(PIL.Image.open(tmp_path / "a.png").convert("HSV")).astype(int)
    coloured = picture[..., 1] > 150
    side = round(len(picture) / 1.08)
    top = len(picture) - side
    y, x = np.nonzero(coloured[:, : int(0.95 * side)])
    radius = np.hypot(x / side - 0.25, (y - top) / side - 0.25)
    assert (abs(radius[abs(y - top - side / 4) > 0.02 * side] - 0.2) < 0.015).all()
    assert abs(radius - 0.2).min() < 0.002
    line = picture[top + side // 4 - 2 : top + side // 4 + 3, side // 4 + 3 : side, 1].max(0)
    assert (line > 60).all()  # to the other photo


def test_two_photos_are_drawn_by_a_command(photos, tmp_path):
    names = {"query": str(tmp_path / "q0.png"), "reference": str(tmp_path / "r0.png")}
    ranking = ExactRanking(rerank=(SMALL,))
    said = draw_dsm.run(output=str(tmp_path / "out"), **names, ranking=ranking)
    found = results(tmp_path / "out")
    assert f"{found['inliers']} inliers on" in said
    assert found["inliers"] >= 10
    assert found["affine"][0][0] == pytest.approx(1, abs=0.15)
    assert pathlib.Path(tmp_path / "out" / "match.png").stat().st_size > 10_000
    with pytest.raises(InputError) as raised:
        draw_dsm.run(output=str(tmp_path), query="x.jpg", reference="y.jpg", ranking=ranking)
    assert len(raised.value.problems) == 2
