"""Retrieval without descriptors, and within groups."""

import gzip

import numpy as np
import pytest

from localize.geometry.poses import rotation_from_qvec
from localize.retrieval.pairs import Pairs
from localize.retrieval.ranking import rank, rank_by_pose
from localize.types import Image, ImageList, InputError, Pose, Scene
from tests.conftest import PINHOLE, SHARED


def images(*names, groups=None, poses=None) -> ImageList:
    groups, poses = groups or [()] * len(names), poses or [None] * len(names)
    return ImageList(Image(n, PINHOLE, p, groups=g) for n, g, p in zip(names, groups, poses, strict=True))


def test_retrieval_stays_within_groups():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(5, 8)).astype(np.float32)
    references = images(*"abcd", groups=[("1",), ("2",), ("1", "2"), ("2",)])
    queries = images("p", "q", "r", groups=[("1",), (), ("9",)])
    found = rank(queries, vectors[[4, 4, 4]], references, vectors[:4], 4)
    scores = vectors[:4] @ vectors[4]
    assert found.ranked[0].tolist() == [*sorted([0, 2], key=lambda i: -scores[i]), -1, -1]
    assert found.ranked[1].tolist() == np.argsort(-scores).tolist()
    assert found.ranked[2].tolist() == [-1] * 4
    everywhere = rank(queries, vectors[[4, 4, 4]], references, vectors[:4], 4, restricted=False)
    assert everywhere.ranked[2].tolist() == np.argsort(-scores).tolist()


def test_nearest_views_look_the_same_way():
    turned = rotation_from_qvec([0, 0, 1, 0])  # half a turn about y
    poses = [Pose(np.eye(3), [-x, 0, 0]) for x in (0, 5, 1)] + [Pose(turned, [0.1, 0, 0])]
    assert rank_by_pose(images(*"abcd", poses=poses), 3).ranked.tolist() == [
        [2, 1, -1],
        [2, 0, -1],
        [0, 1, -1],
        [-1, -1, -1],
    ]


def test_list_of_pairs_is_the_ranking(tmp_path, caplog):
    path = tmp_path / "pairs.txt"
    path.write_text("q1 b\nq1 a\nother a\nq1 c\nq2 c")
    found = Pairs(str(path)).ranking(images("q1", "q2", "q3"), images(*"abc"), 2)
    assert found.ranked.tolist() == [[1, 0], [2, -1], [-1, -1]]
    assert "does not list 1 queries, such as q3" in caplog.text
    with pytest.raises(InputError, match=r"lists none of the 1 queries, such as z"):
        Pairs(str(path)).ranking(images("z"), images(*"abc"), 2)
    path.write_text("q1 b c\n")
    with pytest.raises(InputError, match=r"pairs.txt:1: 3 fields"):
        Pairs(str(path)).ranking(images("q1"), images(*"abc"), 2)


def test_lines_of_a_list_that_the_map_does_not_know_are_passed_over(tmp_path, caplog):
    """Pairs of queries, of a photo with itself, with photos that are elsewhere; scores, also as kapture has them."""
    path, queries = tmp_path / "pairs.txt", images("#q1", "q2")
    path.write_text("#q1 #q1 1.0\n#q1 q2 0.9\n#q1 gone 0.8\n#q1 ./b 0.7\n  # q2 a\nq2, c, 0.5\nq2,a,0.4\n")
    assert Pairs(str(path)).ranking(queries, images(*"abc"), 2).ranked.tolist() == [[1, -1], [2, 0]]
    assert caplog.text.count("passed over") == 1
    assert (
        f"3 lines name no reference of the map and are passed over, such as: {path}:1 pairs #q1 with itself"
        in caplog.text
    )
    path.write_text("#q1 q2\nq2 gone\n" + "q2 x\n" * 9)
    scene = Scene("town", "/", images(*"abc"), queries)
    told = Pairs(str(path)).check_scene(scene)
    assert told[0] == f"{path}:1 pairs #q1 with the query q2: references of the scene are needed"
    assert told[1].startswith(f"{path}:2 pairs q2 with gone, which is no photo of the scene")
    assert told[-1] == f"and 6 more such lines in {path}"


def test_real_list_of_pairs_of_aachen(tmp_path):
    real = SHARED / "data/formats/aachen_pairs-query-netvlad20.txt.gz"
    if not real.is_file():
        pytest.skip(f"the real list is not at {real}")
    path = tmp_path / "pairs.txt"
    path.write_bytes(gzip.decompress(real.read_bytes()))
    lines = [line.split() for line in path.read_text().splitlines()]
    queries = images(*dict.fromkeys(q for q, _ in lines))
    references = images(*sorted({r for _, r in lines}))
    found = Pairs(str(path)).ranking(queries, references, 20)
    assert found.ranked.shape == (922, 20)
    assert (found.ranked >= 0).all()
    assert references.names[found.ranked[0, 0]] == lines[0][1]


def test_ranking_leaves_out_the_query_itself_and_orders_ties():
    references = ImageList(tuple(Image(n, PINHOLE) for n in "abcd"))
    queries = ImageList((Image("c", PINHOLE), Image("x", PINHOLE)))
    vectors = np.array([[1, 0], [0, 1], [1, 0], [1, 0]], np.float32)
    ranking = rank(queries, vectors[[2, 2]], references, vectors, 3)
    assert ranking.ranked.tolist() == [[0, 3, 1], [0, 2, 3]]
    assert rank(queries, vectors[:2], references, vectors, 10).ranked.tolist()[0][-1] == -1  # no more than there are


def test_in_a_folder_of_its_own_a_namesake_is_another_photo():
    """It may be retrieved; a query that is found among the references by its path is never its own frame."""
    references, query = images(*"abc"), images("b")
    vectors = np.eye(3, dtype=np.float32)
    assert rank(query, vectors[1:2], references, vectors, 1).ranked[0] != [1]
    assert rank(query, vectors[1:2], references, vectors, 1, namesakes=False).ranked.tolist() == [[1]]
