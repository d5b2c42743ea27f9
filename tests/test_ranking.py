"""How the most similar references are searched: exactly, by faiss's indexes, within restrictions, and re-ranked."""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from localize.keys import key_of
from localize.retrieval import exact
from localize.retrieval.exact import Exact, exact_search
from localize.retrieval.ranking import rank
from localize.types import Image, ImageList, InputError, Pose, Retrieval, Scene

from .conftest import PINHOLE


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
