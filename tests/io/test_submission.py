"""The submission files of the servers: written, and every wrong line named."""

import numpy as np
import pytest

from localize.io.benchmarks.submission import SubmissionFile, read_submission
from localize.types import Pose, Retrieval, Scene, Submission
from tests.conftest import EMPTY
from tests.retrieval.test_pairs_and_groups import images


@pytest.fixture
def server_scene() -> Scene:
    poses = [Pose(np.eye(3), [-x, 0, 0]) for x in (0.0, 10.0)]
    queries = images("query/night/a.jpg", "query/day/b.jpg", "query/day/left.jpg")
    names = {"query/night/a.jpg": "a.jpg", "query/day/b.jpg": "b.jpg"}
    submission = Submission("Town_eval_{method}.txt", names)
    return Scene("town", "", images("r1", "r2", poses=poses), queries, submission=submission)


def test_submission_leaves_failures_out_unless_told(server_scene, tmp_path):
    found = {"query/day/b.jpg": Pose(np.eye(3), [1, 2, 3]), "query/day/left.jpg": Pose(np.eye(3), [1, 2, 3])}
    frames = Retrieval(server_scene.queries.names, ("r1", "r2"), [[1], [0], [0]], np.zeros((3, 1)))
    plain, fell_back = SubmissionFile().poses(server_scene, found, frames, server_scene.references)
    assert (list(plain), fell_back) == (["b.jpg"], [])
    path = SubmissionFile("mine").write(tmp_path, server_scene, plain)
    assert path.read_text() == "b.jpg 1.0 0.0 0.0 0.0 1.0 2.0 3.0\n"
    assert path.name == "Town_eval_mine.txt"
    guessed, fell_back = SubmissionFile(fallback="top_frame").poses(
        server_scene, found, frames, server_scene.references
    )
    assert (list(guessed), fell_back) == (["a.jpg", "b.jpg"], ["query/night/a.jpg"])
    assert guessed["a.jpg"].translation.tolist() == [-10, 0, 0]  # of r2
    no_frames = Retrieval(server_scene.queries.names, ("r1", "r2"), [[-1], [-1], [-1]], np.zeros((3, 1)))
    assert SubmissionFile(fallback="top_frame").poses(server_scene, {}, no_frames, EMPTY) == ({}, [])


WRONG = {
    "c.jpg 1 0 0 0 1 2 3": "c.jpg is no query of town",
    "query/day/b.jpg 1 0 0 0 1 2 3": "query/day/b.jpg must be written as b.jpg",
    "day/b.png 1 0 0 0 1 2 3": "day/b.png must be written as b.jpg",
    "query/day/left.jpg 1 0 0 0 1 2 3": "query/day/left.jpg is not scored",
    "b.jpg 1 0 0 0 1 2": "7 fields, but expected 8",
    "b.jpg 2 0 0 0 1 2 3": "the quaternion's length is 2",
    "b.jpg 1 0 0 0 1 nan 3": "NaN",
    "b.jpg 1 0 0 0 0 0 0": "identity",
    "b.jpg 1 0 0 0 1 2 x": "could not convert",
    "b.jpg 1 0 0 0 500 0 0": "500 m outside",
    "# b.jpg": "no pose, but a comment",
    " ": "no pose, but a blank line",
    "a.jpg 1 0 0 0 1 2 3": "a.jpg was given before, in line 1",
}


def test_a_file_for_another_server_is_one_sentence(server_scene, tmp_path):
    path = tmp_path / "Town_eval_mine.txt"
    path.write_text("".join(f"IMG_{i}.jpg 1 0 0 0 1 2 3\n" for i in range(50)))
    sentence = f"{path}: none of its 50 lines names a query of town: IMG_0.jpg is not such as a.jpg"
    assert read_submission(path, server_scene) == ({}, [sentence])
    path.write_text("")
    assert read_submission(path, server_scene) == ({}, [f"{path}: none of its 0 lines names a query of town"])
    path.write_bytes(b"a.jpg 1 0 0 0 1 2 3\r\n")
    poses, problems = read_submission(path, server_scene)
    assert (list(poses), len(problems)) == (["query/night/a.jpg"], 1)
    assert "Windows line ends" in problems[0]


@pytest.mark.parametrize("line", WRONG)
def test_every_wrong_line_of_a_submission_is_named(line, server_scene, tmp_path):
    path = tmp_path / "Town_eval_mine.txt"
    path.write_text(f"a.jpg 1 0 0 0 1 2 3\n{line}\n")
    poses, problems = read_submission(path, server_scene)
    assert len(problems) == 1
    assert problems[0].startswith(f"{path}:2: ")
    assert WRONG[line] in problems[0]
    assert "query/night/a.jpg" in poses
