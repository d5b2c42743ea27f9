"""Lists of cameras and of poses."""

import numpy as np
import pytest

from localize.io.number_rows import read_rows
from localize.io.text import read_poses, read_query_list, write_poses, write_query_list
from localize.keys import describe
from localize.types import InputError
from tests.conftest import random_pose


def test_poses_survive_writing_and_reading(tmp_path):
    rng = np.random.default_rng(0)
    poses = {f"query/{i}.jpg": random_pose(rng) for i in range(20)}
    write_poses(tmp_path / "poses.txt", poses)
    again = read_poses(tmp_path / "poses.txt", [])
    for name, pose in poses.items():
        np.testing.assert_allclose(again[name].rotation, pose.rotation, atol=1e-14)
        np.testing.assert_array_equal(again[name].translation, pose.translation)


def test_what_queries_know_of_themselves_survives_writing_and_reading(tmp_path):
    camera = "SIMPLE_RADIAL 10 20 5 5 10 0.1"
    path, problems = tmp_path / "queries.txt", []
    path.write_text(
        f"a.jpg {camera} gravity=0,2,0 gravity_deg=3 position=1,2,-3e1 radius_m=5 focal=guessed\n"
        f"b.jpg {camera} position=1,2,3 covariance=4,0,0,0,4,0,0,0,9\nc.jpg {camera}\n"
    )
    a, b, c = read_query_list(path, problems, (0, 1, 0))
    assert not problems
    assert a.prior.gravity.tolist() == a.prior.gravity_in_world.tolist() == [0, 1, 0]
    assert (a.prior.gravity_deg, a.prior.position.tolist(), a.prior.radius_m) == (3, [1, 2, -30], 5)
    assert (a.prior.parts, b.prior.parts, c.prior) == ({"gravity", "position", "focal"}, {"position"}, None)
    assert b.prior.reach_m == 6
    assert a.camera.params.tolist() == c.camera.params.tolist() == [5, 5, 10, 0.1]
    write_query_list(tmp_path / "again.txt", [a, b, c])
    again = read_query_list(tmp_path / "again.txt", problems, (0, 1, 0))
    assert [describe(q.prior) for q in again] == [describe(q.prior) for q in (a, b, c)]


def test_a_malformed_word_on_a_query_is_refused_with_its_line(tmp_path):
    path = tmp_path / "queries.txt"
    for fields, sentence in (
        ("gravity=0,nan,0", "gravity=0,nan,0, but must be 3 numbers with commas and no blanks between them"),
        ("gravity=0,1", "gravity=0,1, but must be 3 numbers"),
        ("gravity=0,0,0", "Prior.gravity has no direction"),
        ("gravity=0,1,0 gravity_deg=0", "gravity_deg and Prior.radius_m must be finite and greater than 0"),
        ("gravty=0,1,0", "unknown field gravty; did you mean gravity? the known ones are gravity, gravity_deg"),
        ("position=0,1,0", "position needs radius_m or covariance"),
        ("position=0,1,0 radius_m=inf", "radius_m=inf, but must be a number"),
        ("gravity_deg=2", "gravity_deg is given without gravity"),
        ("focal=maybe", "Prior.focal is 'maybe', but must be one of: given, guessed, unknown"),
        ("focal=guessed focal=given", "focal is given twice"),
        ("gravity=0, 1, 0", "gravity=0,, but must be 3 numbers"),
        ("gravity=0,1,0 5", "5 stands behind fields of the form key=value"),
    ):
        path.write_text(f"# list\na.jpg SIMPLE_PINHOLE 10 20 5 5 10 {fields}\n")
        problems = []
        assert read_query_list(path, problems) == []
        assert problems[0].startswith(f"{path}:2: query a.jpg: ")
        assert sentence in problems[0]


def test_lists_are_read_as_programs_write_them(tmp_path):
    """Sizes as decimal numbers, tabs, indented comments; UTF-16, as Windows' shell writes what it is told to."""
    text = "# list\r\n \t# more\r\nü.jpg\tPINHOLE\t640.0 4.8e2 5 5 10 10\r\n"
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        (tmp_path / "queries.txt").write_bytes(text.encode(encoding))
        (query,) = read_query_list(tmp_path / "queries.txt", problems := [])
        assert not problems
        assert (query.name, query.camera.width, query.camera.height) == ("ü.jpg", 640, 480)
    (tmp_path / "queries.txt").write_text("a.jpg PINHOLE 640.5 480 5 5 10 10\n")
    read_query_list(tmp_path / "queries.txt", problems)
    assert "the size 640.5 is no whole number of pixels" in problems[0]
    points = tmp_path / "points3D.txt"
    points.write_bytes(b"\xef\xbb\xbf  # points\n\t1 2\n")
    with open(points, "rb") as f:
        assert [rows.values.tolist() for rows in read_rows(f, points)] == [[1, 2]]


def test_lists_name_their_bad_lines(tmp_path):
    path = tmp_path / "queries.txt"
    path.write_text(
        "\ufeff# a comment\r\na.jpg SIMPLE_RADIAL 10 20 5 5 10 0.1\r\n\r\nb.jpg\r\nc.jpg PINHOLE 10 20 x 5 5 10\r\n"
    )
    problems = []
    queries = read_query_list(path, problems)
    assert [(q.name, q.camera.height) for q in queries] == [("a.jpg", 20)]
    assert f"{path}:4: query b.jpg: no intrinsics" in problems[0]
    assert f"{path}:5: query c.jpg" in problems[1]
    path.write_text("a 1 0 0 0 0 0 nan\nb 1 0 0\nc 0 0 0 0 1 1 1\nd 1 0 0 0 1 2 3\nd 1 0 0 0 1 2 3\n")
    problems = []
    assert list(read_poses(path, problems)) == ["d"]
    assert [p.split(":")[1] for p in problems] == ["1", "2", "3", "5"]
    with pytest.raises(InputError, match="is missing"):
        read_query_list(tmp_path / "nothing.txt", [])
