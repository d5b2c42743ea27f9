"""Retrieval without descriptors, and within groups."""

import gzip

import numpy as np
import pytest

from localize.geometry.poses import rotation_from_qvec
from localize.retrieval.pairs import Pairs
from localize.retrieval.ranking import rank, rank_by_pose
from localize.types import Image, ImageList, InputError, Pose
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
    with pytest.raises(InputError, match=r"pairs.txt:4: the scene has no reference c"):
        Pairs(str(path)).ranking(images("q1"), images("a", "b"), 2)
    with pytest.raises(InputError, match=r"lists none of the 1 queries, such as z"):
        Pairs(str(path)).ranking(images("z"), images(*"abc"), 2)
    path.write_text("q1 b c\n")
    with pytest.raises(InputError, match=r"pairs.txt:1: 3 fields"):
        Pairs(str(path)).ranking(images("q1"), images(*"abc"), 2)


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
