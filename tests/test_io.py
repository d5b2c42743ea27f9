import numpy as np
import PIL.Image
import pytest

from localize.geometry.colmap import pycolmap
from localize.io.colmap_model import read_colmap_images
from localize.io.files import whole_file, whole_folder
from localize.io.images import check_photo, read_photo
from localize.io.text import read_poses, read_query_list, write_poses
from localize.types import Camera, InputError

from .conftest import random_pose


@pytest.fixture
def models(synthetic_root, tmp_path):
    """The same model as text and as binary."""
    binary = tmp_path / "binary"
    binary.mkdir()
    pycolmap.Reconstruction(str(synthetic_root / "model")).write_binary(str(binary))
    return synthetic_root / "model", binary


def test_colmap_models_agree_with_pycolmap(models):
    truth = {i.name: i for i in pycolmap.Reconstruction(str(models[1])).images.values()}
    for folder in models:
        problems = []
        images = read_colmap_images(folder, problems)
        assert not problems
        assert [i.name for i in images] == sorted(truth)
        for image in images:
            matrix = truth[image.name].cam_from_world().matrix()
            np.testing.assert_allclose(image.pose.rotation, matrix[:, :3], atol=1e-9)
            np.testing.assert_allclose(image.pose.translation, matrix[:, 3], atol=1e-9)
            np.testing.assert_allclose(image.camera.params, truth[image.name].camera.params)


def test_colmap_text_problems_name_file_and_line(models, tmp_path):
    text = (models[0] / "images.txt").read_text().splitlines()
    cameras = (models[0] / "cameras.txt").read_text()
    first = next(i for i, line in enumerate(text) if line and line[0] != "#")
    fields = text[first].split()
    text[first] = " ".join([*fields[:5], "nan", *fields[6:]])
    text[first + 2] = text[first + 2].replace(" 1 camera", " 9 camera")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "cameras.txt").write_text(cameras + "2 SIMPLE_RADIAL 640 480 600\n3 MYSTERY 640 480 1 2 3\n")
    (broken / "images.txt").write_text("\n".join(text) + "\n7 0.1 0.2\n")
    problems = []
    images = read_colmap_images(broken, problems)
    assert len(images) == 8
    places = [p.split(": ")[0].rsplit("/", 1)[1] for p in problems]
    assert places[:2] == ["cameras.txt:5", "cameras.txt:6"]
    assert places[2:] == [f"images.txt:{line}" for line in (first + 1, first + 3, len(text) + 1)]
    for problem, word in zip(problems, ["takes 4 parameters", "MYSTERY", "NaN", "camera id", "cut off"], strict=True):
        assert word in problem


def test_left_out_second_lines_are_noticed(models, tmp_path):
    """Every image has two lines; without the second, every other image would be lost without a word."""
    lines = (models[0] / "images.txt").read_text().splitlines()
    images = [line for line in lines if line.endswith(".png")]
    (tmp_path / "cameras.txt").write_text((models[0] / "cameras.txt").read_text())
    (tmp_path / "images.txt").write_text("\n\n".join(images) + "\n")  # empty second lines are fine
    problems = []
    assert len(read_colmap_images(tmp_path, problems)) == 10
    assert not problems
    (tmp_path / "images.txt").write_text("\n".join(images) + "\n")
    read_colmap_images(tmp_path, problems)
    assert "images.txt:2: expected the keypoints of image" in problems[0]
    (tmp_path / "images.txt").write_bytes(b"1 1 0 0 0 0 0 0 1 caf\xe9.png\n\n")
    with pytest.raises(InputError, match="not a text file in UTF-8"):
        read_colmap_images(tmp_path, [])


def test_cut_binary_model_is_refused(models):
    file = models[1] / "images.bin"
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(InputError, match="cut off or damaged"):
        read_colmap_images(models[1], [])


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


def photo_with(tmp_path, mode, name="photo.png", size=(30, 20), **save):
    values = np.linspace(0, 65535 if mode == "I;16" else 255, size[0] * size[1]).reshape(size[::-1])
    photo = PIL.Image.fromarray(values.astype(np.uint16 if mode == "I;16" else np.uint8))
    photo = photo if mode in ("I;16", "L") else photo.convert(mode)
    photo.save(tmp_path / name, **save)
    return tmp_path / name


CAMERA = Camera("SIMPLE_PINHOLE", 30, 20, [30, 15, 10])


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "LA", "I;16", "1"])
def test_every_kind_of_pixel_is_read(tmp_path, mode):
    path = photo_with(tmp_path, mode)
    grey, colour = read_photo(path, grey=True), read_photo(path)
    assert (grey.shape, colour.shape, grey.dtype) == ((20, 30), (20, 30, 3), np.uint8)
    assert grey.max() > 250
    if mode != "1":
        assert 120 < grey.mean() < 135  # 16 bits are scaled, not cut
    problem, remark = check_photo(path, CAMERA)
    assert problem is None
    assert ("16 bits" in remark) if mode == "I;16" else (remark is None or "grey" in remark)


def test_exif_orientation_is_named_and_not_applied(tmp_path):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    path = photo_with(tmp_path, "RGB", "turned.jpg", exif=exif)
    assert read_photo(path).shape == (20, 30, 3)
    assert "used as stored" in check_photo(path, CAMERA)[1]
    upright = Camera("SIMPLE_PINHOLE", 20, 30, [30, 10, 15])
    assert "save it upright" in check_photo(path, upright)[0]


def test_deep_photos_are_reduced_or_refused(tmp_path):
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    row = b"\0" + struct.pack(">90H", *([65535, 32768, 0] * 30))
    header = struct.pack(">IIBBBBB", 30, 20, 16, 2, 0, 0, 0)  # 16 bits per channel, RGB
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(row * 20)) + chunk(b"IEND", b"")
    (tmp_path / "deep.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    assert "16 bits" in check_photo(tmp_path / "deep.png", CAMERA)[1]
    assert read_photo(tmp_path / "deep.png")[0, 0].tolist() == [255, 128, 0]
    for dtype in (np.float32, np.int32):
        PIL.Image.fromarray(np.ones((20, 30), dtype)).save(tmp_path / "range.tif")
        assert "32 bits per pixel" in check_photo(tmp_path / "range.tif", CAMERA)[0]
        with pytest.raises(InputError, match="32 bits per pixel"):
            read_photo(tmp_path / "range.tif")


def test_unusable_photos_are_named(tmp_path):
    path = photo_with(tmp_path, "RGB", "photo.jpg", size=(300, 200))
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(InputError, match=r"photo\.jpg is damaged"):
        read_photo(path)
    (tmp_path / "text.jpg").write_text("hello")
    assert "cannot be opened" in check_photo(tmp_path / "text.jpg", CAMERA)[0]
    assert "is missing" in check_photo(tmp_path / "nothing.jpg", CAMERA)[0]
    assert (
        "is 5 x 5 px, but its camera is for 30 x 20 px"
        in check_photo(photo_with(tmp_path, "L", size=(5, 5)), CAMERA)[0]
    )


@pytest.mark.parametrize("whole", [whole_file, whole_folder])
def test_what_is_not_finished_leaves_the_old_one(tmp_path, whole):
    final = tmp_path / "x"
    for name, stopped in (("old", False), ("half", True), ("new", False)):
        try:
            with whole(final) as aside:
                (aside / "name" if whole is whole_folder else aside).write_text(name)
                if stopped:
                    raise KeyboardInterrupt
        except KeyboardInterrupt:
            name = "old"
        assert [p.name for p in tmp_path.iterdir()] == ["x"]
        assert (final / "name" if whole is whole_folder else final).read_text() == name
