"""What HOW is trained on: which photos show the same and which cannot, and the tuples mined from them."""

import pickle

import numpy as np
import pytest

from localize.io.benchmarks.retrieval_sfm import read_sfm_lists
from localize.io.records import save_record
from localize.train.covisibility import seen_points, sharing_pairs
from localize.train.spatial.sources import (
    JoinedPhotos,
    ListedPhotos,
    map_photos,
    sfm_photos,
    walk_photos,
)
from localize.train.spatial.tuples import draw_pairs, hard_negatives, mined
from localize.types import Camera, Image, ImageList, InputError, PointRows, Pose
from tests.train.compact_data import write_photos

CIDS = ["aa00ff11ee22", "bb00ff11ee23", "cc00ff11ee24", "dd00ff11ee25"]


def sfm_lists(**changes):
    part = {"cids": CIDS, "cluster": [3, 3, 8, 9], "qidxs": [0], "pidxs": [1]} | changes
    return {"train": part, "val": {"cids": CIDS[:2], "cluster": [1, 1], "qidxs": [1], "pidxs": [0]}}


def test_the_lists_of_retrieval_sfm_are_read_in_their_layout(tmp_path):
    lists, ims = tmp_path / "retrieval-SfM-120k.pkl", tmp_path / "ims"
    lists.write_bytes(pickle.dumps(sfm_lists()))
    for cid in CIDS:
        folder = ims / cid[-2:] / cid[-4:-2] / cid[-6:-4]
        folder.mkdir(parents=True)
        (folder / cid).write_bytes(b"photo")
    found = sfm_photos(str(lists), str(ims))
    assert found.paths[0] == ims / "22" / "ee" / "11" / CIDS[0]
    assert found.pairs.tolist() == [[0, 1]]
    assert found.elsewhere(0).tolist() == [False, False, True, True]
    assert read_sfm_lists(lists, "val").pairs.tolist() == [[1, 0]]
    found.paths[2].unlink()
    with pytest.raises(InputError, match=f"{CIDS[2]} of .* is missing"):
        sfm_photos(str(lists), str(ims))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"cluster": [3, 3, 8]}, "4 cids have 3 clusters"),
        ({"qidxs": [4]}, "qidxs must be whole numbers from 0 to 3"),
        ({"cids": ["../../etc", *CIDS[1:]]}, "cids holds what is no name"),
        ({"pidxs": None}, "asks for NONE"),
        ({"pidxs": 7}, "has no lists cids, cluster, qidxs, pidxs in train"),
    ],
)
def test_lists_that_cannot_be_are_refused(tmp_path, changes, said):
    (tmp_path / "lists.pkl").write_bytes(pickle.dumps(sfm_lists(**changes)))
    with pytest.raises(InputError, match=said):
        read_sfm_lists(tmp_path / "lists.pkl")


def test_photos_of_a_map_are_alike_by_common_points(tmp_path):
    """Photos 0, 1, 2 see a chain of points, 3 sees others, 4 sees none."""
    sees = {0: range(1, 11), 1: range(6, 16), 2: range(15, 25), 3: range(30, 40), 4: ()}
    model, ims = tmp_path / "model", tmp_path / "ims"
    model.mkdir()
    write_photos(ims, range(5))
    (model / "cameras.txt").write_text("1 PINHOLE 240 200 200 200 120 100\n")
    lines, tracks = [], {}
    for i, points in sees.items():
        for place, p in enumerate(points):
            tracks.setdefault(p, []).append(f"{i + 1} {place}")
        lines += [f"{i + 1} 1 0 0 0 0 0 0 1 {i:02}.png", " ".join(f"{9 + p} 20 {p}" for p in points)]
    (model / "images.txt").write_text("\n".join(lines) + "\n")
    (model / "points3D.txt").write_text("".join(f"{p} 0 0 5 9 9 9 0.5 {' '.join(t)}\n" for p, t in tracks.items()))
    found = map_photos(str(model), str(ims), 0.2)
    assert sorted(found.pairs.tolist()) == [[0, 1], [1, 0]]  # 1 and 2 share one point of ten
    assert found.elsewhere(0).tolist() == [False, False, False, True, False]  # 2 shares some with 1, as 0 does
    assert found.elsewhere(3).tolist() == [True, True, True, False, False]
    assert not found.elsewhere(4).any()
    with pytest.raises(InputError, match=r"no two photos that share 0\.9 of their points"):
        map_photos(str(model), str(ims), 0.9)


def test_photos_of_a_saved_map_are_alike_by_common_points(tmp_path):
    camera, pose = Camera("PINHOLE", 240, 200, np.array([200.0, 200, 120, 100])), Pose(np.eye(3), np.zeros(3))
    write_photos(tmp_path / "ims", range(3))
    point = np.array([0, 1, 2, 1, 2, 3, 4, 5, 6], np.int32)  # three points of each photo
    rows = PointRows(np.zeros((7, 3)), np.zeros((9, 2), np.float32), point, np.arange(0, 10, 3))
    save_record(tmp_path / "map" / "rows", rows)
    save_record(tmp_path / "map" / "references", ImageList(Image(f"{i:02}.png", camera, pose) for i in range(3)))
    (tmp_path / "map" / "localizer.json").write_text("{}")
    found = map_photos(str(tmp_path / "map"), str(tmp_path / "ims"), 0.5)
    assert [path.name for path in found.paths] == ["00.png", "01.png", "02.png"]
    assert sorted(found.pairs.tolist()) == [[0, 1], [1, 0]]
    assert found.elsewhere(2).tolist() == [True, True, False]


def test_data_sets_together_show_nothing_in_common(tmp_path):
    lines = ["00.png 0 0 0", "01.png 4 0 0", "02.png 90 0 0"]
    walk = walk_photos([write_photos(tmp_path / "a", range(4), lines)], 6, 35, 25)
    assert walk.pairs.tolist() == [[0, 1], [1, 0]]
    lists = ListedPhotos([tmp_path / "x", tmp_path / "y"], np.array([[1, 0]]), np.array([5, 5]))
    both = JoinedPhotos([lists, walk])
    assert both.pairs.tolist() == [[1, 0], [2, 3], [3, 2]]
    assert both.elsewhere(1).tolist() == [False, False, True, True, True, True]
    assert both.elsewhere(2).tolist() == [True, True, False, False, True, False]  # 5 lies at an unknown place


def test_pairs_come_query_by_query():
    pairs = np.array([[4, 0], [2, 1], [4, 3], [4, 5]])
    found = draw_pairs(pairs, 7, np.random.default_rng(0))
    assert sorted(found[:2, 0]) == sorted(found[2:4, 0]) == [2, 4]  # all before one comes again
    assert {tuple(p) for p in found} <= {tuple(p) for p in pairs}
    assert len({p for q, p in draw_pairs(pairs, 40, np.random.default_rng(1)) if q == 4}) == 3


def slow_negatives(alike, query, cluster, count):
    """The likest photo of each other cluster, likest clusters first."""
    best = {}
    for photo, value in enumerate(alike):
        if cluster[photo] != cluster[query] and value > best.get(cluster[photo], (-9, 0))[0]:
            best[cluster[photo]] = value, photo
    return [photo for _, photo in sorted(best.values(), reverse=True)[:count]]


def test_mining_takes_the_likest_photo_of_each_other_place():
    rng = np.random.default_rng(0)
    cluster = rng.integers(6, size=30)
    photos = ListedPhotos([f"{i}.png" for i in range(30)], np.zeros((0, 2), int), cluster)
    vectors = rng.normal(size=(30, 5)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    pairs = np.array([[3, 7], [12, 2], [29, 0]])
    found = mined(photos, pairs, np.arange(30), vectors[pairs[:, 0]], vectors, 4)
    assert found[:, :2].tolist() == pairs.tolist()
    for row, (query, _) in zip(found[:, 2:], pairs, strict=True):
        assert row.tolist() == slow_negatives(vectors @ vectors[query], query, cluster, 4)
    pool = np.flatnonzero(cluster != cluster[found[0, 2]])  # nothing is taken that is not in the pool
    again = mined(photos, pairs[:1], pool, vectors[[3]], vectors[pool], 4)
    assert again[0, 2] == found[0, 3]
    with pytest.raises(InputError, match=r"only 5 show places other than 3\.png"):
        mined(photos, pairs, np.arange(30), vectors[pairs[:, 0]], vectors, 6)


def test_negatives_of_a_walk_are_of_different_places(tmp_path):
    lines = [f"{i:02}.png {x} 0 0" for i, x in enumerate((0, 40, 45, 90, 130))]
    walk = walk_photos([write_photos(tmp_path / "a", range(5), lines)], 6, 35, 25)
    assert hard_negatives(np.array([0, 2, 1, 3, 4]), 0, walk, 9) == [2, 3, 4]  # 1 is where 2 is


def test_a_point_seen_twice_is_one_point():
    sees = seen_points(np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 0, 2]), 2, 3)
    assert sees.toarray().tolist() == [[1, 1, 0], [1, 0, 1]]
    assert sharing_pairs(sees, 0.5).tolist() == [[0, 1]]
    assert not len(sharing_pairs(sees, 0.6))
