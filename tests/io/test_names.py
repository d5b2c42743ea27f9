"""One photo, many ways to write its name."""

import unicodedata

import pytest

from localize.io.names import Names, PhotoNames, normal_form, of_queries

NAME = "Straße/Bücherei 1.jpg"
WAYS = [NAME, f"./{NAME}", NAME.replace("/", "//"), NAME.replace("/", "\\"), NAME.upper().replace("SS", "ß"),
        unicodedata.normalize("NFD", NAME), f"Straße/./{NAME.partition('/')[2]}"]  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_write_a_name_means_the_photo(tmp_path, way):
    assert normal_form(way) == normal_form(NAME)
    assert Names([NAME, "b.jpg"]).find(way) == NAME
    (tmp_path / "Straße").mkdir()
    (tmp_path / NAME).touch()
    assert PhotoNames(tmp_path).find(way) == NAME


def test_a_name_means_itself_where_it_is_there_and_nothing_where_two_could_be_meant(tmp_path):
    for name in ("a.jpg", "A.jpg", "back\\slash.jpg", "#1.jpg"):
        (tmp_path / name).touch()
    for known in (PhotoNames(tmp_path), Names(p.name for p in tmp_path.iterdir())):
        assert [known.find(n) for n in ("a.jpg", "A.jpg", "A.JPG")] == ["a.jpg", "A.jpg", None]
        assert known.find("back\\slash.jpg") == "back\\slash.jpg"
        assert "#1.jpg" in known
        assert "#2.jpg" not in known
    assert PhotoNames(tmp_path / "gone").find("a.jpg") is None


def test_a_list_may_speak_of_more_photos_than_the_queries(caplog):
    names, problems = Names(["q1.jpg", "q2.jpg"]), []
    assert of_queries("list", {"./q1.jpg": 1, "r1.jpg": 2, "r2.jpg": 3}, names, problems) == {"q1.jpg": 1}
    assert not problems
    assert "list: 2 names, such as r1.jpg, are not in the query list: passed over" in caplog.text
    assert of_queries("list", {"r1.jpg": 2}, names, problems) == {}
    assert of_queries("list", {"Q1.jpg": 2, "q1.jpg": 1}, names, []) == {"q1.jpg": 1}
    of_queries("list", {"q1.jpg": 1, "./q1.jpg": 2}, names, problems)
    assert problems == [
        "list names no query: r1.jpg, for one, is not in the query list",
        "list: q1.jpg is listed twice, the second time as ./q1.jpg",
    ]
