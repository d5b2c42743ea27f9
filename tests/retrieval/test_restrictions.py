"""Which references a query may find, and what re-rankers do with the best."""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from localize.keys import describe, key_of
from localize.retrieval import restrictions
from localize.retrieval.exact import ExactRanking
from localize.retrieval.faiss_vectors import FaissPqRanking
from localize.retrieval.ranking import rank
from localize.types import Image, ImageList, InputError, Pose, Prior, Retrieval, Scene
from tests.conftest import PINHOLE


def images(names, tags=None, positions=None) -> ImageList:
    tags = tags or [()] * len(names)
    poses = [Pose(np.eye(3), -np.array(p, float)) for p in positions] if positions else [None] * len(names)
    return ImageList(Image(n, PINHOLE, p, tags=t) for n, p, t in zip(names, poses, tags, strict=True))


def found(ranking, queries, references, num_frames=4):
    vectors = np.ones((len(references), 2), np.float32)
    return rank(queries, vectors[: len(queries)], references, vectors, num_frames, ranking).ranked.tolist()


def test_restrictions_by_tag():
    references = images("abcd", tags=[("day", "north"), ("night", "north"), ("day",), ()])
    queries = images("pqr", tags=[("night", "north"), ("rain",), ()])
    assert found(ExactRanking(only_tags=["day"]), queries, references) == [[0, 2, -1, -1]] * 3
    assert found(ExactRanking(same_tags=["north", "south"]), queries, references) == [
        [0, 1, -1, -1],
        *[[0, 1, 2, 3]] * 2,
    ]
    assert found(ExactRanking(only_tags=["day"], same_tags=["north"]), queries, references)[0] == [0, -1, -1, -1]
    assert found(ExactRanking(same_tags=["rain"]), queries, references)[1] == [-1] * 4  # no such reference: none


def test_restriction_to_a_radius_around_a_prior_position(tmp_path):
    path = tmp_path / "prior.txt"
    path.write_text("# from GPS\np 1 0 0\n")
    references = images("abc", positions=[(0, 0, 0), (3, 0, 0), (1, 0, 2.5)])
    ranking = ExactRanking(prior=str(path), radius_m=2)
    assert found(ranking, images("pq"), references, 3) == [[0, 1, -1], [0, 1, 2]]  # nobody knows where q is
    scene = Scene("s", ".", references, images("xy"))
    assert ranking.check_scene(scene) == [f"{path} has a position of none of the 2 queries, such as x"]
    path.write_text("p 1 0\n")
    assert ExactRanking(prior=str(path), radius_m=3).check_scene(scene) == [
        f"{path}:1: expected name x y z, the position of a query in metres"
    ]
    missing = "file gone.txt is missing: ranking.prior names it"
    assert ExactRanking(prior="gone.txt", radius_m=3).preflight() == [missing]


def test_a_query_looks_near_its_own_position_and_never_at_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(restrictions, "NEAREST", 1)
    references = images("abcd", tags=[(), (), ("day",), ()], positions=[(0, 0, 0), (3, 0, 0), (1, 0, 2.5), (90, 0, 0)])
    near, far = (Prior(position=np.array([x, 0, 0]), radius_m=2.5) for x in (1.0, 1000.0))
    queries = ImageList(Image(n, PINHOLE, prior=p) for n, p in (("p", near), ("q", far), ("r", None)))
    assert found(ExactRanking(), queries, references) == [[0, 1, 2, -1], [3, -1, -1, -1], [0, 1, 2, 3]]
    assert found(ExactRanking(only_tags=["day"]), queries, references)[:2] == [[2, -1, -1, -1]] * 2
    path = tmp_path / "prior.txt"
    path.write_text("p 90 0 0\n./r 90 0 0\n")
    filed = found(ExactRanking(prior=str(path), radius_m=1), queries, references)
    assert filed == [[0, 1, 2, -1], [3, -1, -1, -1], [3, -1, -1, -1]]  # the query's own goes before the file


@dataclass(frozen=True)
class Reversed:
    """The other way round."""

    times: int = 1

    VERSION: ClassVar[int] = 1

    def rerank(self, ranking, sources):
        assert sources.query_features == {"q": 7}
        return Retrieval(ranking.query_names, ranking.reference_names, ranking.ranked[:, ::-1], ranking.scores[:, ::-1])


def test_rerankers_see_the_best_and_are_applied_in_order():
    vectors = np.array([[1, 0], [0.9, 0], [0.8, 0], [0.7, 0], [0.6, 0]], np.float32)
    asked = images("q"), vectors[:1], images("abcde"), vectors, 2
    for rerank, expected in (((Reversed(),), [3, 2]), ((Reversed(), Reversed()), [0, 1]), ((), [0, 1])):
        ranking = ExactRanking(rerank=rerank, num_reranked=4)
        assert rank(*asked, ranking, query_features={"q": 7}).ranked.tolist() == [expected]
    plain = rank(*asked, ExactRanking(rerank=(Reversed(),)), restricted=False)
    assert plain.ranked.tolist() == [[0, 1]]


def test_wrong_settings_of_a_ranking_get_one_sentence():
    for settings, sentence in (
        ({"vectors_dtype": "int8"}, "vectors_dtype is 'int8', but must be one of: float32, float16"),
        ({"radius_m": 5.0}, "ExactRanking.prior and ExactRanking.radius_m belong together"),
        ({"radius_m": -5.0, "prior": "x"}, "radius_m is -5.0, but must be greater than 0"),
        ({"rerank": [3]}, "rerank holds int, which is no re-ranker"),
        ({"num_reranked": 0}, "num_reranked is 0, but must be greater than 0"),
        ({"only_tags": "day"}, "only_tags is 'day', but must be a value of type list"),
    ):
        with pytest.raises(InputError, match=sentence) as raised:
            ExactRanking(**settings)
        assert len(raised.value.problems) == 1
    scene = Scene("s", ".", images("ab", tags=[("dusk",), ()]))
    told = "no reference has a tag of ranking.only_tags=['day']; their tags: dusk"
    assert ExactRanking(only_tags=["day"]).check_scene(scene) == [told]
    assert key_of(ExactRanking(rerank=(Reversed(),))) != key_of(ExactRanking(rerank=(Reversed(times=2),)))
    assert dataclasses.replace(ExactRanking(), only_tags=["day"]).only_tags == ("day",)


def test_only_what_builds_the_index_is_in_its_key():
    key = key_of(describe(FaissPqRanking(), building=True))
    asked_otherwise = FaissPqRanking(num_probes=3, only_tags=("day",), rerank=(Reversed(),))
    assert key == key_of(describe(asked_otherwise, building=True))
    assert key != key_of(describe(FaissPqRanking(num_codes=32), building=True))
