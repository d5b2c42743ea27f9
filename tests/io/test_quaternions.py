"""No reader takes a quaternion whose length is not 1: the line is named."""

import pytest

from localize.io.models.colmap import read_colmap_images
from localize.io.models.nvm import read_nvm_images
from localize.io.names import Names
from localize.io.rigs import read_rigs
from localize.io.text import read_poses
from localize.types import InputError


def colmap(path, problems):
    (path.parent / "cameras.txt").write_text("1 SIMPLE_PINHOLE 640 480 500 320 240\n")
    read_colmap_images(path.parent, problems)


QUERIES = Names(["a.jpg", "b.jpg"])
READERS = {
    "poses.txt": ("a.jpg 1 0 0 0 1 2 3\nb.jpg {} 1 2 3\n", ":2: pose of b.jpg", read_poses),
    "images.txt": ("1 1 0 0 0 1 2 3 1 a.jpg\n\n2 {} 1 2 3 1 b.jpg\n\n", ":3: image b.jpg", colmap),
    "model.nvm": (
        "NVM_V3\n\n2\na.jpg 500 1 0 0 0 1 2 3 0 0\nb.jpg 500 {} 1 2 3 0 0\n0\n",
        ":5: camera 2 of 2",
        read_nvm_images,
    ),
    "rigs.txt": (
        "g a.jpg 1 0 0 0 1 2 3\ng b.jpg {} 1 2 3\n",
        ":2: ",
        lambda p, s: read_rigs(p, s, Names(["a.jpg", "b.jpg"])),
    ),
}


@pytest.mark.parametrize("name", READERS)
def test_a_quaternion_of_another_length_is_refused_with_its_line(name, tmp_path):
    text, where, read = READERS[name]
    path = tmp_path / name
    for quaternion, length in (("0.5 0 0 0.5", "0.7071"), ("1.05 0 0 0", "1.05"), ("30 10 20 5", "37.75")):
        path.write_text(text.format(quaternion))
        problems = []
        try:
            read(path, problems)
        except InputError as e:
            problems += e.problems
        (problem,) = problems
        assert f"{name}{where}" in problem
        assert f"has length {length}, but must have 1" in problem
    problems = []
    path.write_text(text.format("0.704 0 0 0.704"))  # rounded
    read(path, problems)
    assert problems == []
