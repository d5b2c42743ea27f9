"""How the most similar references are searched: exactly, by faiss's indexes, within restrictions, and re-ranked."""

import dataclasses
import pathlib
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from localize import Localizer, build_map
from localize.io.records import load_record, save_record
from localize.keys import describe, key_of
from localize.retrieval import exact
from localize.retrieval.base import PhotoSource
from localize.retrieval.exact import Exact, exact_search
from localize.retrieval.faiss_file import FaissFile
from localize.retrieval.faiss_vectors import FaissHnsw, FaissIvf, FaissPq
from localize.retrieval.fusion import Fusion
from localize.retrieval.ranking import rank
from localize.retrieval.vlad import Codebook, Vlad
from localize.search.prior import Frames
from localize.stages import retrieval as stages
from localize.store import Store
from localize.types import Image, ImageList, InputError, Pose, Retrieval, Scene, StoreError

from .conftest import FEATURE, PINHOLE, random_features


def unit(x) -> np.ndarray:
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def images(names, tags=None, positions=None) -> ImageList:
    tags = tags or [()] * len(names)
    poses = [Pose(np.eye(3), -np.array(p, float)) for p in positions] if positions else [None] * len(names)
    return ImageList(Image(n, PINHOLE, p, tags=t) for n, p, t in zip(names, poses, tags, strict=True))


def brute_force(vectors, asked, num_found):
    """One product after the other, ties to the earlier row."""
    rows = []
    for q in asked:
        score = [float(sum(a * b for a, b in zip(q.astype(float), v.astype(float), strict=True))) for v in vectors]
        rows.append(sorted(range(len(vectors)), key=lambda i: (-score[i], i))[:num_found])
    return np.array(rows)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_exact_search_in_blocks_is_brute_force(monkeypatch, tmp_path, dtype):
    monkeypatch.setattr(exact, "STEP", 4)
    monkeypatch.setattr(exact, "BLOCK_BYTES", 7 * 4 * 3)
    rng = np.random.default_rng(0)
    vectors = rng.integers(-2, 3, (53, 3)).astype(dtype)  # whole numbers: many ties, and sums without rounding
    np.save(tmp_path / "v.npy", vectors)
    mapped = np.load(tmp_path / "v.npy", mmap_mode="r")
    asked = rng.integers(-2, 3, (6, 3)).astype(np.float32)
    scores, found = exact_search(mapped, asked, 9)
    np.testing.assert_array_equal(found, brute_force(vectors, asked, 9))
    np.testing.assert_array_equal(scores, np.take_along_axis(asked @ vectors.astype(np.float32).T, found, 1))
    rows = np.array([1, 4, 5, 8, 20, 21, 40, 52])
    np.testing.assert_array_equal(exact_search(mapped, asked, 99, rows)[1], rows[brute_force(vectors[rows], asked, 8)])


def test_queries_are_asked_some_at_a_time(monkeypatch):
    """As when all references of a large map ask for their neighbours."""
    vectors, asked, largest = (
        unit(np.random.default_rng(0).normal(size=(30, 3))),
        images([str(i) for i in range(30)]),
        [],
    )

    class Counting(Exact):
        def search(self, built, vectors, asked, *rest):
            largest.append(len(asked))
            return super().search(built, vectors, asked, *rest)

    monkeypatch.setattr("localize.retrieval.ranking.QUERY_BYTES", 7 * 4 * 3)
    some = rank(asked, vectors, asked, vectors, 5, Counting(), restricted=False)
    assert largest == [7, 7, 7, 7, 2]
    product = vectors @ vectors.T - 9 * np.eye(30)
    np.testing.assert_array_equal(some.index, np.argsort(-product, 1)[:, :5])


def test_blocks_do_not_change_a_bit(monkeypatch):
    rng = np.random.default_rng(1)
    vectors, asked = unit(rng.normal(size=(5000, 40))), unit(rng.normal(size=(30, 40)))
    whole = exact_search(vectors, asked, 21)
    monkeypatch.setattr(exact, "BLOCK_BYTES", 2048 * 4 * 40)
    for a, b in zip(whole, exact_search(vectors, asked, 21), strict=True):
        np.testing.assert_array_equal(a, b)


def test_vectors_of_another_descriptor_are_refused():
    with pytest.raises(InputError, match="vectors have 3 values and the references' 2: describe both alike"):
        rank(images("q"), np.ones((1, 3), np.float32), images("ab"), np.ones((2, 2), np.float32), 1)


def found(ranking, queries, references, num_frames=4):
    vectors = np.ones((len(references), 2), np.float32)
    return rank(queries, vectors[: len(queries)], references, vectors, num_frames, ranking).index.tolist()


def test_restrictions_by_tag():
    references = images("abcd", tags=[("day", "north"), ("night", "north"), ("day",), ()])
    queries = images("pqr", tags=[("night", "north"), ("rain",), ()])
    assert found(Exact(only_tags=["day"]), queries, references) == [[0, 2, -1, -1]] * 3
    assert found(Exact(same_tags=["north", "south"]), queries, references) == [[0, 1, -1, -1], *[[0, 1, 2, 3]] * 2]
    assert found(Exact(only_tags=["day"], same_tags=["north"]), queries, references)[0] == [0, -1, -1, -1]
    assert found(Exact(same_tags=["rain"]), queries, references)[1] == [-1] * 4  # no such reference: none


def test_restriction_to_a_radius_around_a_prior_position(tmp_path):
    path = tmp_path / "prior.txt"
    path.write_text("# from GPS\np 1 0 0\n")
    references = images("abc", positions=[(0, 0, 0), (3, 0, 0), (1, 0, 2.5)])
    ranking = Exact(prior=str(path), radius_m=2)
    assert found(ranking, images("pq"), references, 3) == [[0, 1, -1], [0, 1, 2]]  # nobody knows where q is
    scene = Scene("s", ".", references, images("xy"))
    assert ranking.check_scene(scene) == [f"{path} has a position of none of the 2 queries, such as x"]
    path.write_text("p 1 0\n")
    assert Exact(prior=str(path), radius_m=3).check_scene(scene) == [
        f"{path}:1: expected name x y z, the position of a query in metres"
    ]
    assert Exact(prior="gone.txt", radius_m=3).preflight() == ["file gone.txt is missing: ranking.prior names it"]


@dataclass(frozen=True)
class Reversed:
    """The other way round."""

    times: int = 1

    VERSION: ClassVar[int] = 1

    def rerank(self, ranking, sources):
        assert sources.query_features == {"q": 7}
        return Retrieval(ranking.query_names, ranking.reference_names, ranking.index[:, ::-1], ranking.score[:, ::-1])


def test_rerankers_see_the_best_and_are_applied_in_order():
    vectors = np.array([[1, 0], [0.9, 0], [0.8, 0], [0.7, 0], [0.6, 0]], np.float32)
    asked = images("q"), vectors[:1], images("abcde"), vectors, 2
    for rerank, expected in (((Reversed(),), [3, 2]), ((Reversed(), Reversed()), [0, 1]), ((), [0, 1])):
        ranking = Exact(rerank=rerank, num_reranked=4)
        assert rank(*asked, ranking, query_features={"q": 7}).index.tolist() == [expected]
    plain = rank(*asked, Exact(rerank=(Reversed(),)), restricted=False)
    assert plain.index.tolist() == [[0, 1]]


def test_wrong_settings_of_a_ranking_get_one_sentence():
    for settings, sentence in (
        ({"vectors_dtype": "int8"}, "vectors_dtype is 'int8', but must be one of: float32, float16"),
        ({"radius_m": 5.0}, "Exact.prior and Exact.radius_m belong together"),
        ({"radius_m": -5.0, "prior": "x"}, "radius_m is -5.0, but must be greater than 0"),
        ({"rerank": [3]}, "rerank holds int, which has no method rerank"),
        ({"num_reranked": 0}, "num_reranked is 0, but must be greater than 0"),
        ({"only_tags": "day"}, "only_tags is 'day', but must be a value of type list"),
    ):
        with pytest.raises(InputError, match=sentence) as raised:
            Exact(**settings)
        assert len(raised.value.problems) == 1
    scene = Scene("s", ".", images("ab", tags=[("dusk",), ()]))
    told = "no reference has a tag of ranking.only_tags=['day']; their tags: dusk"
    assert Exact(only_tags=["day"]).check_scene(scene) == [told]
    assert key_of(Exact(rerank=(Reversed(),))) != key_of(Exact(rerank=(Reversed(times=2),)))
    assert dataclasses.replace(Exact(), only_tags=["day"]).only_tags == ("day",)


def clustered(rng, number, dim=32, centers=40):
    base = rng.normal(size=(centers, dim))
    return unit(base[rng.integers(centers, size=number)] + 0.6 * rng.normal(size=(number, dim)))


SMALL = {"exact_below": 50}
FAISS = [
    FaissIvf(num_probes=8, **SMALL),
    FaissIvf(code="sq8", num_probes=8, num_lists=16, num_rescored=60, **SMALL),
    FaissPq(num_codes=8, num_probes=8, num_rescored=100, iterations=4, **SMALL),
    FaissHnsw(**SMALL),
]


@pytest.fixture(scope="module")
def many():
    """(references (3000, 32) float16, queries (40, 32) float32)"""
    rng = np.random.default_rng(0)
    vectors = clustered(rng, 3040)
    return vectors[:3000].astype(np.float16), vectors[3000:]


@pytest.mark.parametrize("ranking", FAISS, ids=lambda r: f"{type(r).__name__}-{getattr(r, 'code', 'pq')}")
def test_faiss_finds_most_of_the_nearest_from_the_disk(ranking, many, tmp_path):
    vectors, asked = many
    built, _, _ = Store(tmp_path).artifact("ranking_index", {}, lambda: ranking.build(vectors))
    assert pathlib.Path(built.data.filename).is_relative_to(tmp_path)
    scores, rows = ranking.search(built, vectors, asked, 10)
    true_scores, true_rows = exact_search(vectors, asked, 10)
    assert np.mean([len(set(a) & set(b)) for a, b in zip(rows, true_rows, strict=True)]) >= 8
    assert (np.diff(scores, axis=1) <= 0).all()
    if ranking.num_rescored:
        same = rows[:, 0] == true_rows[:, 0]
        np.testing.assert_allclose(scores[same, 0], true_scores[same, 0], rtol=1e-5)
    half = np.arange(0, 3000, 2)
    restricted = ranking.search(built, vectors, asked, 10, half)[1]
    assert not (restricted % 2).any()
    among = exact_search(vectors, asked, 10, half)[1]
    assert np.mean([len(set(a) & set(b)) for a, b in zip(restricted, among, strict=True)]) >= 8
    few = np.arange(100, 140)  # so few are compared exactly, whatever lists they are in
    np.testing.assert_array_equal(
        ranking.search(built, vectors, asked, 5, few)[1], exact_search(vectors, asked, 5, few)[1]
    )
    again = ranking.build(vectors)
    np.testing.assert_array_equal(ranking.search(again, vectors, asked, 10)[1], rows)  # same seed, same index; no file


def test_few_references_are_compared_exactly(many, tmp_path):
    vectors, asked = many
    for ranking in (FaissIvf(), FaissPq(num_codes=8), FaissHnsw()):
        built = ranking.build(vectors[:60])
        assert not len(built.data)
        np.testing.assert_array_equal(
            ranking.search(built, vectors[:60], asked, 7)[1], exact_search(vectors[:60], asked, 7)[1]
        )
    with pytest.raises(
        InputError, match="num_codes is 64, but must be a divisor of the global descriptor's length, 32"
    ):
        FaissPq().build(vectors)
    with pytest.raises(InputError, match="code is 'pq', but must be one of: fp16, sq8"):
        FaissIvf(code="pq")
    damaged = FaissFile(np.frombuffer(b"nothing of faiss", np.uint8))
    with pytest.raises(StoreError, match="is damaged: remove it and run again"):
        FaissIvf(exact_below=0).search(damaged, vectors, asked, 3)


def test_only_what_builds_the_index_is_in_its_key():
    key = key_of(describe(FaissPq(), building=True))
    assert key == key_of(describe(FaissPq(num_probes=3, only_tags=("day",), rerank=(Reversed(),)), building=True))
    assert key != key_of(describe(FaissPq(num_codes=32), building=True))


@dataclass(frozen=True)
class MeanColour:
    """The mean colour without that of the references."""

    VERSION: ClassVar[int] = 1
    needs: ClassVar[str] = "pixels"

    def fit(self, photos):
        return Codebook(np.mean([p.reshape(-1, 3).mean(0) for p in photos], axis=0, keepdims=True))

    def describe(self, photo, learned):
        return unit(photo.reshape(-1, 3).mean(0)[None] - learned.centers + 1e-3)[0]


def test_fusion_is_the_weighted_mean_of_the_similarities(tmp_path):
    rng = np.random.default_rng(0)
    photos = (
        [random_features(rng, 60, 64) for _ in range(5)],
        [rng.integers(0, 256, (4, 5, 3), np.uint8) for _ in range(5)],
    )
    both = [PhotoSource(lambda f=f: f, lambda p=p: p) for f, p in zip(*photos, strict=True)]
    parts = Vlad(num_words=32), MeanColour()
    fusion = Fusion(parts, weights=(3, 1))
    assert (fusion.needs, Fusion(parts[:1]).needs, Fusion([Fusion(parts)]).needs) == ("both", "features", "both")
    save_record(tmp_path / "learned", fusion.fit(both))
    learned = load_record(tmp_path / "learned")
    assert (tmp_path / "learned" / "parts.0.centers.npy").is_file()  # no thousands of numbers in JSON
    vectors = np.stack([fusion.describe(b, learned) for b in both])
    alone = [
        np.stack([part.describe(s, part.fit(sources)) for s in sources])
        for part, sources in zip(parts, photos, strict=True)
    ]
    expected = 0.75 * alone[0] @ alone[0].T + 0.25 * alone[1] @ alone[1].T
    np.testing.assert_allclose(vectors @ vectors.T, expected, atol=1e-5)
    nested = Fusion([fusion])
    np.testing.assert_allclose(nested.describe(both[0], nested.fit(both)), vectors[0], atol=1e-6)
    assert Fusion().preflight() == [
        "retrieval=fusion has no parts: name global descriptors, as docs/global_descriptors.md shows"
    ]
    for settings, sentence in (
        ({"parts": parts, "weights": (1,)}, "weights has 1 numbers for 2 parts: give as many"),
        ({"parts": parts, "weights": (1, 0)}, "but all must be greater than 0"),
        ({"parts": [Exact()]}, "holds Exact, but must hold global descriptors"),
    ):
        with pytest.raises(InputError, match=sentence):
            Fusion(**settings)


def test_fusion_of_features_and_pixels_in_a_map(scene, finished, tmp_path, monkeypatch):
    retrieval = Fusion((Vlad(num_words=8), MeanColour()))
    run = {"feature": FEATURE, "retrieval": retrieval, "search": Frames(num_frames=2), "store": finished[0]}
    query = scene.queries.images[0]
    found = build_map(scene, tmp_path / "map", ranking=Exact(vectors_dtype="float16"), **run)
    assert found.vectors.shape == (7, 8 * 128 + 3)
    monkeypatch.setattr(stages, "IN_MEMORY_BYTES", 1000)  # the vectors of a large map lie in a file
    on_disk = build_map(scene, tmp_path / "disk", ranking=Exact(vectors_dtype="float16"), **run)
    assert isinstance(on_disk.vectors, np.memmap)
    np.testing.assert_array_equal(on_disk.vectors, found.vectors)
    opened = Localizer.load(tmp_path / "map")
    assert opened.vectors.dtype == np.float16
    assert opened.localize(f"{scene.image_root}/{query.name}", query.camera).pose is not None
