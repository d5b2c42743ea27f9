"""Intrinsics that cannot be right are refused, unlikely ones are said, each with what was probably meant."""

import re

import PIL.Image
import pytest

from localize.datasets.shared.checks import check_cameras
from localize.geometry.intrinsics import camera_doubts
from localize.io.images import check_photo
from localize.io.text import read_query_list
from localize.localizer import refuse_camera
from localize.types import Camera, Image, InputError
from tests.conftest import PINHOLE, SHARED

IMPOSSIBLE = {
    "PINHOLE 640 480 420 420 0.5 0.5": "as shares of the size it is 320 240",
    "PINHOLE 640 480 420 420 0 0": "from the middle it is 320 240",
    "PINHOLE 640 480 420 420 32000 24000": "must lie in the photo or near it",
    "PINHOLE 640 480 0.65625 0.65625 0.5 0.5": "as a share of the width it is 420 px",
    "SIMPLE_PINHOLE 640 480 1.3023 320 240": "the horizontal angle of view in radians 419.9",
    "SIMPLE_PINHOLE 640 480 35 320 240": r"as millimetres it is 35 / \(width of the sensor in mm\) x 640 px",
    "SIMPLE_PINHOLE 640 480 1e308 320 240": "give it in pixels of this photo",
    "PINHOLE 640 480 700 65 320 240": "is one for another size, or another unit",
    "SIMPLE_RADIAL 640 480 420 320 240 5000": "narrows the view to 9 %",
    "SIMPLE_RADIAL 640 480 420 320 240 -2": "has no ray for 88 % of the photo: it is not monotone there",
    "SIMPLE_RADIAL 640 480 420 420 320 240": r"look like the parameters of PINHOLE \(fx fy cx cy\)",
}
UNLIKELY = {
    "PINHOLE 640 480 420 420 240 320": "cx and cy look swapped",
    "PINHOLE 640 480 420 420 3.2 -5.1": "from the middle it is 323.2 234.9",
    "PINHOLE 640 480 840 840 640 480": "fits one of 1280 x 960 px",
    "PINHOLE 640 480 420 560 320 240": "pixels are nearly square",
    "PINHOLE 640 480 420 320 240 -0.05": r"look like the parameters of SIMPLE_RADIAL \(f cx cy k\)",
    "SIMPLE_PINHOLE 640 480 74.6 320 240": "sees 154 degrees",
    "OPENCV 640 480 420 420 320 240 -0.5 0 0 0": "has no ray for 42 % of the photo",
}
RIGHT = [
    "SIMPLE_RADIAL 640 480 420 320 240 -0.05",
    "OPENCV 640 480 420 420 310 250 -0.3 0.1 0 0",
    "OPENCV_FISHEYE 640 480 200 200 320 240 0 0 0 0",
    "OPENCV_FISHEYE 1920 1080 300 300 960 540 -0.05 0 0 0",
    "FOV 640 480 300 300 320 240 1.2",
    "PINHOLE 1024 1024 400 400 508 498",
    "SIMPLE_PINHOLE 1 1 1 0.5 0.5",
]


def camera(line):
    model, width, height, *params = line.split()
    return Camera(model, int(width), int(height), [float(p) for p in params])


@pytest.mark.parametrize(("line", "said"), IMPOSSIBLE.items())
def test_impossible_intrinsics_are_refused(line, said):
    with pytest.raises(InputError, match=f"^the camera cannot be used: .*{said}"):
        refuse_camera(camera(line))


@pytest.mark.parametrize(("line", "said"), UNLIKELY.items())
def test_unlikely_intrinsics_are_said_and_used(line, said, caplog):
    refuse_camera(camera(line))
    refuse_camera(camera(line))
    (record,) = caplog.records
    assert record.message.startswith("the camera is used as it is, but ")
    assert re.search(said, record.message)


@pytest.mark.parametrize("line", RIGHT)
def test_right_intrinsics_cause_no_remark(line):
    assert camera_doubts(camera(line)) == (None, None)


def test_each_camera_is_named_once_and_a_few_references_may_be_wrong(caplog):
    bad = camera("PINHOLE 640 480 420 420 0.5 0.5")
    good, wrong = [Image(f"r{i}", PINHOLE) for i in range(99)], [Image("w", bad)]
    queries = [Image(f"q{i}", camera("PINHOLE 640 480 420 420 0.5 0.5")) for i in range(3)]
    problems = []
    check_cameras(good + wrong, queries, problems)
    assert [p.split(":")[0] for p in problems] == ["camera of q0 and 2 more"]
    assert "camera of w: principal point" in caplog.text
    check_cameras(good[:10] + wrong, [], problems)
    assert problems[1].startswith("camera of w: principal point")


def test_sizes_that_do_not_fit_are_explained(tmp_path):
    path = tmp_path / "a.png"
    PIL.Image.new("L", (64, 48)).save(path)
    for size, said in (
        ((48, 64), "width and height of the camera look swapped"),
        ((128, 96), "scale the camera's size, focal length and principal point by 0.5 too"),
        ((50, 50), "give the photo the camera it belongs to"),
    ):
        assert said in check_photo(path, Camera("SIMPLE_PINHOLE", *size, [60, size[0] / 2, size[1] / 2]))[0]


def test_reported_query_lists_are_refused_by_name():
    folder = SHARED / "data" / "reports" / "intrinsics"
    if not folder.is_dir():
        pytest.skip(f"the reported inputs are not at {folder}")
    for path in sorted(folder.glob("*.txt")):
        problems = []
        check_cameras([], read_query_list(path, problems), problems)
        assert problems, path
        assert all("q0.jpg" in p or "q1.jpg" in p or "q2.jpg" in p for p in problems)
