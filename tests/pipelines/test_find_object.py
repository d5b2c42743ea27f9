"""An object from its box to the table, the polygons and the pictures."""

import json
from types import SimpleNamespace

import numpy as np
import PIL.Image
import pytest

from localize.datasets.revisited_miniature import RevisitedMiniature
from localize.pipelines.judging import find_object
from localize.retrieval.objects import ObjectFinder
from localize.retrieval.pairs import Pairs
from localize.store import Store
from localize.types import InputError
from tests.generated_photos import textured

THING = textured(9, (96, 64))[:, :, ::-1] // 2
PLACES = {"left.png": (16, 32), "right.png": (128, 96), "none.png": None}


@pytest.fixture
def folder(tmp_path):
    """A gallery in whose first two photos the thing is; query.png beside it."""
    for number, (name, at) in enumerate({**PLACES, "../query.png": (64, 64)}.items()):
        photo = textured(20 + number)
        if at is not None:
            photo[at[1] : at[1] + 64, at[0] : at[0] + 96] = THING
        (tmp_path / "gallery").mkdir(exist_ok=True)
        PIL.Image.fromarray(photo).save(tmp_path / "gallery" / name)
    return tmp_path


@pytest.fixture
def find(folder):
    def run(dataset=None, **settings):
        settings = {"photo": str(folder / "query.png"), "gallery": str(folder / "gallery"), **settings}
        settings = {"box": [64, 64, 160, 128], "finder": ObjectFinder(tau=0.15), **settings}
        said = find_object.run(dataset, Store(folder / "store"), output=str(folder / "out"), **settings)
        return said, json.loads((folder / "out" / "objects.json").read_text())

    return run


def overlap(box, at) -> float:
    """IoU of a box and of the thing at this place."""
    theirs = (at[0], at[1], at[0] + 96, at[1] + 64)
    width, height = (max(0, min(box[k + 2], theirs[k + 2]) - max(box[k], theirs[k])) for k in (0, 1))
    both = width * height
    return both / ((box[2] - box[0]) * (box[3] - box[1]) + 96 * 64 - both)


def test_what_is_found_where_is_told_and_drawn_and_kept(find, folder):
    said, found = find()
    for name in ("left.png", "right.png"):
        one = found["photos"][name]
        assert overlap(one["box"], PLACES[name]) > 0.4
        polygon = np.array(one["polygon"])
        assert np.array_equal([*polygon.min(0), *polygon.max(0)], one["box"])
        assert f"{one['score']:.2f}" in said
    missed = found["photos"]["none.png"]
    assert not missed["found"] or missed["score"] < min(found["photos"][n]["score"] for n in ("left.png", "right.png"))
    names = [name for name, one in found["photos"].items() if one["found"]]
    assert [line.split()[0] for line in said.splitlines() if line.split()[:1] and line.split()[0] in names] == names
    assert len(list((folder / "out/pictures").glob("*.png"))) == 3
    again = find(num_pictures=0)[1]
    assert again["photos"] == found["photos"]
    assert [(s["name"], s["computed"], s["reused"]) for s in again["stages"]] == [
        ("object_model", 0, 1),
        ("objects", 0, 3),
    ]
    stricter = find(finder=ObjectFinder(tau=0.99))  # the mean stays, the objects do not
    assert [(s["computed"], s["reused"]) for s in stricter[1]["stages"]] == [(0, 1), (3, 0)]
    assert "found in 0 of 3 photos" in stricter[0]
    assert stricter[0].count("not found") == 3


def test_lost_gives_the_box_and_retrieval_the_best_photos(find, folder):
    (folder / "gallery/broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    said, found = find(box=None, num_best=2)
    assert "(LOST's)" in said
    assert found["by_lost"]
    assert len(found["photos"]) == 2
    assert "broken.png" in str(found["unreadable_photos"])


def test_the_gallery_may_be_a_data_set(find, folder):
    references = SimpleNamespace(names=("left.png", "none.png"))
    loaded = SimpleNamespace(load=lambda: SimpleNamespace(image_root=str(folder / "gallery"), references=references))
    assert sorted(find(loaded, gallery=None, num_pictures=0)[1]["photos"]) == ["left.png", "none.png"]
    miniature = RevisitedMiniature(str(folder / "miniature"), num_facades=1, num_distractors=0)
    assert len(find(miniature, gallery=None, num_pictures=0)[1]["photos"]) == 8


def test_what_cannot_be_used_is_said_at_once(find, folder):
    for box, said in (
        ([10, 10, 5, 20], "left < right"),
        ([1, 2, 3], "must be"),
        (5, "must be"),
        ([300, 0, 400, 9], "holds no pixel of a photo of 240 x 200"),
        (["a", 0, 1, 1], "must be"),
        ([0, 0, float("nan"), 1], "must be"),
    ):
        with pytest.raises(InputError, match=said) as e:
            find(box=box)
        assert len(e.value.problems) == 1
    bad = ObjectFinder(weights="/none.safetensors")
    with pytest.raises(InputError) as e:
        find(photo=str(folder / "no.png"), box=[3, 3, 2, 2], finder=bad, retrieval=Pairs("pairs.txt"), num_best=0)
    assert len(e.value.problems) == 5
    with pytest.raises(InputError, match=r"is missing: pipeline\.gallery must name a folder"):
        find(gallery=str(folder / "no"))
    (folder / "empty").mkdir()
    with pytest.raises(InputError, match="has no photos"):
        find(gallery=str(folder / "empty"))
