"""Folders of patches in the format of UBC PhotoTour."""

import numpy as np
import PIL.Image
import pytest

from localize.io.benchmarks.phototour import (
    draw_pairs,
    pair_lists,
    read_pairs,
    read_phototour,
    write_pairs,
    write_phototour,
)
from localize.types import InputError

NAME = "m50_40_40_0.txt"


@pytest.fixture
def folder(tmp_path):
    """300 patches of 100 points on two sheets, and a list of 40 pairs; with what was written."""
    rng = np.random.default_rng(0)
    patches = rng.integers(0, 256, (300, 64, 64), np.uint8)
    points = rng.permutation(np.repeat(np.arange(100) * 7, 3))
    write_phototour(tmp_path / "set", patches, points, np.arange(300) % 5)
    first, second, _ = draw_pairs(points, 20, seed=3)
    write_pairs(tmp_path / "set", NAME, first, second, points)
    return tmp_path / "set", patches, points


def test_what_was_written_is_read(folder):
    root, patches, points = folder
    read = read_phototour(root)
    assert (read[0] == patches).all()
    assert (read[1] == points).all()
    assert read[1].dtype == np.int64
    assert sorted(p.name for p in root.iterdir()) == [
        "info.txt",
        "interest.txt",
        NAME,
        "patches0000.bmp",
        "patches0001.bmp",
    ]
    assert not list(root.parent.glob("*.partial"))
    first, second, same = read_pairs(root)
    assert same.sum() == 20
    assert (same == (points[first] == points[second])).all()
    assert pair_lists(root) == [NAME]
    write_phototour(root, patches[:5], points[:5])  # takes the place of the old folder, and of its pairs
    assert len(read_phototour(root)[0]) == 5
    assert not pair_lists(root)


def test_layout_is_that_of_the_published_sets(folder):
    """Patch 17 is the second of the second row; rows have seven numbers as `55990 19870 0 55991 19870 0 0`."""
    root, patches, points = folder
    sheet = np.asarray(PIL.Image.open(root / "patches0000.bmp"))
    assert sheet.shape == (1024, 1024)
    assert (sheet[64:128, 64:128] == patches[17]).all()
    fields = (root / NAME).read_text().splitlines()[0].split()
    assert len(fields) == 7
    assert fields[1] == str(points[int(fields[0])])
    assert fields[4] == str(points[int(fields[3])])
    assert (root / "info.txt").read_text().splitlines()[299] == f"{points[299]} 0"
    assert (root / "interest.txt").read_text().splitlines()[299].split()[0] == "4"


def cut_short(path, lines):
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:lines]))


BROKEN = {
    "folder .* is missing": lambda root: root.rename(root.parent / "other"),
    "has no info.txt": lambda root: (root / "info.txt").unlink(),
    "1 of 2 sheets of patches are missing, the first is patches0001.bmp": lambda r: (r / "patches0001.bmp").unlink(),
    "200 patches, which fill 1 sheets, but there are 2": lambda root: cut_short(root / "info.txt", 200),
    "ends in the middle": lambda root: (root / "info.txt").write_text("1 0\n2"),
    "info.txt:2: expected whole numbers": lambda root: (root / "info.txt").write_text("1 0\n2.5 0\n"),
    "patches0001.bmp is damaged": lambda r: (r / "patches0001.bmp").write_bytes(
        (r / "patches0001.bmp").read_bytes()[:9999]
    ),
    "patches0000.bmp is 64 x 64 px": lambda r: PIL.Image.new("L", (64, 64)).save(r / "patches0000.bmp"),
}


@pytest.mark.parametrize("message", BROKEN)
def test_a_broken_folder_is_named(folder, message):
    BROKEN[message](folder[0])
    with pytest.raises(InputError, match=message):
        read_phototour(folder[0])


BROKEN_PAIRS = {
    "has no list of pairs": lambda path: path.unlink(),
    "30 pairs, but its name says 40": lambda path: cut_short(path, 30),
    "several lists": lambda path: path.with_name("m50_9_9_0.txt").write_text(""),
    "names patch 300, but there are 300": lambda path: path.write_text("300 7 0 300 7 0 0\n" * 40),
    "but info.txt says": lambda path: path.write_text("0 1 0 0 1 0 0\n" * 40),
    ":1: 3 numbers, but expected at least 5": lambda path: path.write_text("0 1 0\n" * 40),
}


@pytest.mark.parametrize("message", BROKEN_PAIRS)
def test_a_broken_list_of_pairs_is_named(folder, message):
    BROKEN_PAIRS[message](folder[0] / NAME)
    with pytest.raises(InputError, match=message):
        read_pairs(folder[0])


def test_a_foreign_folder_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="holds no patches"):
        write_phototour(tmp_path, np.zeros((1, 64, 64), np.uint8), np.zeros(1, int))
    assert (tmp_path / "thesis.txt").exists()


@pytest.mark.parametrize("num", [3, 10, 11, 24])
def test_drawn_pairs(num):
    """Points of 1, 3, 4 and 6 patches make 24 pairs of one point, of which the chains have 10."""
    points = np.random.default_rng(1).permutation(np.repeat([5, 6, 9, 30, 31], [1, 3, 4, 6, 1]))
    first, second, same = draw_pairs(points, num, seed=2)
    assert same.tolist() == [True] * num + [False] * num
    assert (same == (points[first] == points[second])).all()
    assert (first != second).all()
    assert len({frozenset(p) for p in zip(first.tolist(), second.tolist(), strict=True)}) == 2 * num
    assert all((a == b).all() for a, b in zip(draw_pairs(points, num, 2), (first, second, same), strict=True))


def test_too_many_pairs_are_named():
    with pytest.raises(InputError, match="4 pairs of one point are wanted, but the patches make 3"):
        draw_pairs(np.array([1, 1, 2, 1]), 4, seed=0)


def test_long_tracks_do_not_take_over():
    points = np.repeat(np.arange(101), [100] + [2] * 100)
    first, _, same = draw_pairs(points, 100, seed=0)
    assert 30 < (points[first[same]] > 0).sum() < 70


def test_the_folder_above_points_at_its_patches(folder, tmp_path):
    folder[0].rename(tmp_path / "patches")
    with pytest.raises(InputError, match=r"has no info.txt: did you mean .*/patches\?"):
        read_phototour(tmp_path)
