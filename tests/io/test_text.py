"""Lists of cameras and of poses."""

import numpy as np
import pytest

from localize.io.text import read_poses, read_query_list, write_poses
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
