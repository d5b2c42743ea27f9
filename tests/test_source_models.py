"""Supplied models: read right and whole, or refused with a sentence that says where."""

import re

import numpy as np
import pytest

from localize.geometry.colmap import pycolmap
from localize.geometry.poses import rotation_from_qvec
from localize.io import colmap_points, number_rows
from localize.io.colmap_model import read_colmap_model
from localize.io.number_rows import parse_block
from localize.io.nvm import read_nvm, write_nvm
from localize.types import Camera, InputError, SourceModel

from .conftest import SHARED, random_pose

AACHEN = SHARED / "data" / "formats" / "aachen_sample" / "3D-models"
MESSY = """NVM_V3 \r
 \r
2\r
./db/a.jpg\t800 -0.5 0.5 0.5 -0.5 1 2 3 0.25 0 \r
db/\u00e4.png 900.5 1 0 0 0 -4 5e0 6 -1e-3 0\r
 \r
3\r
1.5 -2 3e-05 0 0 0 3\t0 7 10.25 20.125 0 9 11 12 1 8 .5 3. \r
\r
# a remark
100.12345678901234567 0.1 -0.000000000000000000000012 9 9 9 0\r
+7 8 9 1 2 3 1 1 0 1599.9876 0.0001\r

0
"""


@pytest.fixture
def aachen():
    if not AACHEN.is_dir():
        pytest.skip(f"the sample of Aachen's model is not at {AACHEN}")
    return AACHEN


def slow_nvm(text: str) -> dict:
    """The first model of an NVM file, by split()."""
    lines = [line.split() for line in text.splitlines() if line.strip() and line[0] != "#"][1:]
    num_images = int(lines[0][0])
    cameras, (count,), lines = lines[1 : num_images + 1], lines[num_images + 1], lines[num_images + 2 :]
    numbers = np.array([c[1:10] for c in cameras], float)
    R = np.array([rotation_from_qvec(q) for q in numbers[:, 1:5]])
    seen = [(p[i : i + 4], k) for k, p in enumerate(lines[: int(count)]) for i in range(7, len(p), 4)]
    return {
        "names": tuple(c[0] for c in cameras),
        "focal_px": numbers[:, 0],
        "radial": -numbers[:, 8],
        "rotations": R,
        "translations": np.array([-r @ c for r, c in zip(R, numbers[:, 5:8], strict=True)]),
        "points": np.array([p[:3] for p in lines[: int(count)]], float),
        "indptr": np.searchsorted([k for _, k in seen], np.arange(int(count) + 1)),
        "image": np.array([int(s[0]) for s, _ in seen]),
        "keypoint": np.array([int(s[1]) for s, _ in seen]),
        "xy": np.array([s[2:] for s, _ in seen], float).astype(np.float32),
    }


def assert_same(model: SourceModel, expected: dict, atol: float = 0) -> None:
    assert model.names == expected["names"]
    for name in set(expected) - {"names", "cameras"}:
        slack = 1e-12 if name == "translations" else atol  # a sum of products may round differently
        np.testing.assert_allclose(getattr(model, name), expected[name], rtol=0, atol=slack, err_msg=name)


def read_text(tmp_path, text: str | bytes) -> SourceModel:
    path = tmp_path / "model.nvm"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    problems = []
    model = read_nvm(path, problems)
    assert not problems
    return model


def test_numbers_are_rounded_as_python_rounds_them():
    rng = np.random.default_rng(0)
    tokens = ["0", "-0", "+5", ".5", "5.", "1e-5", "-2.5E+10", "9007199254740993", "0.30000000000000004", "1" * 25]
    for scale in 10.0 ** np.arange(-6, 7):
        tokens += [form % v for form in ("%.17g", "%.12f", "%.19f", "%.3f") for v in scale * rng.normal(size=300)]
    odd = 2 * rng.integers(2**52, 2**53, 500) + 1  # in the middle between two floats
    tokens += [f"{v // 4}.{v % 4 * 25}" for v in odd.tolist()] + [str(v) for v in odd.tolist()]
    read = parse_block(("\n".join(tokens) + "\n").encode(), "file", 1)[0].values
    np.testing.assert_array_equal(read, [float(t) for t in tokens])


@pytest.mark.parametrize("block_bytes", [16, 100, 4 << 20])
def test_nvm_agrees_with_split(tmp_path, monkeypatch, block_bytes):
    """White space of every kind, exponents, points seen twice in one image; wherever the blocks of the file end."""
    monkeypatch.setattr(number_rows, "_BLOCK_BYTES", block_bytes)
    model = read_text(tmp_path, MESSY)
    assert_same(model, slow_nvm(MESSY))
    assert model.names == ("./db/a.jpg", "db/\u00e4.png")
    assert model.radial.tolist() == [-0.25, 0.001]
    np.testing.assert_allclose(model.pose(0).center, [1, 2, 3])
    assert (model.points.dtype, model.xy.dtype, model.image.dtype) == (np.float64, np.float32, np.int32)


@pytest.mark.real
def test_real_nvm_agrees_with_split_and_with_bundler(aachen):
    """Its image indices are scrambled, so the geometry of the points says nothing; the cameras are right."""
    path, problems = aachen / "aachen_cvpr2018_db.nvm", []
    model = read_nvm(path, problems)
    assert not problems
    assert_same(model, slow_nvm(path.read_text()))
    assert (model.names[0], len(model.points), len(model.image)) == ("db/1045.jpg", 5, 27)
    numbers = np.array([line.split() for line in (aachen / "aachen_cvpr2018_db.out").read_text().splitlines()[3:7]])
    flip = np.diag([1, -1, -1])
    np.testing.assert_allclose(flip @ model.rotations[0] @ flip, numbers[:3].astype(float), atol=1e-6)
    np.testing.assert_allclose(flip @ model.translations[0], numbers[3].astype(float), atol=1e-3)


@pytest.mark.real
def test_second_model_of_a_file_is_named(aachen):
    problems = []
    model = read_nvm(aachen / "aachen_two_parts.nvm", problems)
    assert_same(model, slow_nvm((aachen / "aachen_two_parts.nvm").read_text()))
    assert [re.sub(r".*/", "", p)[:50] for p in problems] == ["aachen_two_parts.nvm:12: another model begins here"]


def test_a_line_without_end_is_not_gathered_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(number_rows, "_BLOCK_BYTES", 16)
    monkeypatch.setattr(number_rows, "_MAX_LINE_BYTES", 200)
    head = MESSY[: MESSY.index("1.5 -2")]
    with pytest.raises(InputError, match=r":8: this line has more than 0 MB"):
        read_text(tmp_path, head + "\0" * 1000)


def test_nvm_survives_writing_and_reading(tmp_path):
    model = read_text(tmp_path, MESSY)
    write_nvm(tmp_path / "again.nvm", model)
    again = read_nvm(tmp_path / "again.nvm", [])
    assert_same(again, vars(model), atol=1e-14)
    assert [p.name for p in tmp_path.iterdir()].count("again.nvm.partial") == 0
    blank = SourceModel(**{**vars(model), "names": ("a b.jpg", "c.jpg")})
    with pytest.raises(InputError, match=r"'a b\.jpg' cannot be written"):
        write_nvm(tmp_path / "blank.nvm", blank)


def test_nvm_cut_anywhere_is_refused(tmp_path):
    """Not one number may lose a digit without a word, so every cut before the last point's line end is an error."""
    data = MESSY.encode()
    whole = data.rindex(b"\r\n", 0, data.rindex(b"0")) + 2
    for cut in range(whole):
        with pytest.raises(InputError, match=r"model\.nvm:\d+: "):
            read_text(tmp_path, data[:cut])
    assert len(read_text(tmp_path, data[:whole]).points) == 3


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("NVM_V3", "NVM_V3_R9T", r":1: this is no NVM file"),
        ("./db/a.jpg", "./my db/a.jpg", r":4: camera 1 of 2: the name './my db/a\.jpg' seems to hold a blank"),
        ("0.25 0", "0.25", r":4: camera 1 of 2: it has 10 fields, but expected 11"),
        ("900.5", "nan", r":5: camera 2 of 2 \(db/ä\.png\): numbers must be finite"),
        ("900.5", "9OO", r":5: camera 2 of 2 .*could not convert"),
        ("1 0 0 0", "0 0 0 0", r":5: camera 2 .*the quaternion not 0"),
        ("\n2\r", "\n3\r", r":7: camera 3 of 3: it has 1 fields"),
        ("\n2\r", "\n1\r", r":5: expected the number of points alone.*more cameras than announced"),
        ("\n3\r", "\n4\r", r":15: expected|:14: point 4 of 4 has 1 numbers"),
        ("\n3\r", "\n2\r", r":12: 2 points are announced, but after them follows '\+7 8 9"),
        ("\n3\r", "\n9000\r", r":7: 9000 points do not fit"),
        ("1 1 0 1599", "1 2 0 1599", r":12: point 3 is seen in image 2 at feature 0, but images are numbered 0 to 1"),
        ("1 1 0 1599", "1 -1 0 1599", r":12: point 3 is seen in image -1"),
        ("1 8 .5", "1 8.5 .5", r":8: point 1 is seen in image 1 at feature 8\.5"),
        ("3\t0 7", "2\t0 7", r":8: point 1 of 3 has 19 numbers, but expected .* its 2 observations"),
        ("20.125", "nan", r":8: expected a number, but found 'nan'"),
        ("20.125", "20,125", r":8: expected a number, but found '20,125'"),
        ("1599.9876", "1_599", r":12: expected a number, but found '1_599'"),
        ("1599.9876", "1e999", r":12: expected a number, but found '1e999'"),
    ],
)
def test_broken_nvm_is_named(tmp_path, old, new, sentence):
    assert old in MESSY
    with pytest.raises(InputError, match=sentence) as caught:
        read_text(tmp_path, MESSY.replace(old, new, 1))
    assert len(caught.value.problems) == 1


@pytest.mark.real
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda t: t[: len(t) // 2], r"nvm:\d+: the file ends in the middle of this line|point \d of 5 has"),
        (lambda t: t[:-5], r"nvm:13: the file ends in the middle of this line"),
        (lambda t: t[:300], r"nvm:5: camera 2 of 3"),
        (lambda t: t.replace("db/4446", "db/44 46"), r"nvm:5: camera 2 of 3: the name 'db/44 46\.jpg' seems"),
        (lambda t: t.replace("\n5\n", "\n6\n"), r"nvm:14: the file ends after point 5 of 6"),
        (lambda t: t.replace("\n5\n", "\n4\n"), r"nvm:13: 4 points are announced"),
    ],
)
def test_broken_real_nvm_is_named(aachen, tmp_path, change, sentence):
    text = (aachen / "aachen_cvpr2018_db.nvm").read_text()
    assert_same(read_text(tmp_path, text.replace("\n", "\r\n")), slow_nvm(text))
    with pytest.raises(InputError, match=sentence):
        read_text(tmp_path, change(text))


@pytest.fixture(scope="module")
def colmap_models(synthetic_root, tmp_path_factory):
    """A model with keypoints without points, and points deleted so that ids have gaps, as text and as binary."""
    model = pycolmap.Reconstruction(str(synthetic_root / "model"))
    for point in list(model.points3D)[::3]:
        model.delete_point3D(point)
    folders = [tmp_path_factory.mktemp(name) for name in ("text", "binary")]
    model.write_text(str(folders[0]))
    model.write_binary(str(folders[1]))
    return folders


@pytest.mark.parametrize("block_bytes", [60, 4 << 20])
def test_colmap_model_agrees_with_pycolmap(colmap_models, monkeypatch, block_bytes):
    for module in (number_rows, colmap_points):
        monkeypatch.setattr(module, "_BLOCK_BYTES", block_bytes)
    truth = pycolmap.Reconstruction(str(colmap_models[1]))
    for folder in colmap_models:
        problems = []
        model = read_colmap_model(folder, problems)
        assert not problems
        assert sorted(model.names) == sorted(i.name for i in truth.images.values())
        assert len(model.points) == truth.num_points3D() > 100
        for row, point_id in enumerate(sorted(truth.points3D)):
            point, at = truth.points3D[point_id], slice(model.indptr[row], model.indptr[row + 1])
            np.testing.assert_array_equal(model.points[row], point.xyz)
            images = [truth.images[e.image_id] for e in point.track.elements]
            track = sorted((i.name, e.point2D_idx) for i, e in zip(images, point.track.elements, strict=True))
            mine = [(model.names[i], k) for i, k in zip(model.image[at], model.keypoint[at], strict=True)]
            assert sorted(mine) == track
        by_name = {i.name: i for i in truth.images.values()}
        for i, name in enumerate(model.names):
            np.testing.assert_allclose(model.translations[i], by_name[name].cam_from_world().translation, atol=1e-12)
            xy = np.array([p.xy for p in by_name[name].points2D], np.float32)
            np.testing.assert_array_equal(model.xy[model.image == i], xy[model.keypoint[model.image == i]])
        params = model.cameras[0].params
        assert (model.focal_px[0], model.radial[0], len(model.cameras)) == (params[0], params[3], len(model.names))


@pytest.mark.parametrize("ids", [[], [0], [3, 4, 9], [5, 2**40, 2**50]])
def test_points_are_found_by_id(ids):
    """By table where the ids are dense, by bisection where they are not."""
    wanted = np.array([-1, 0, 3, 4, 5, 9, 10, 2**40, 2**50, 2**60], np.int64)
    expected = [ids.index(w) if w in ids else -1 for w in wanted.tolist()]
    assert colmap_points.row_finder(np.array(ids, np.int64))(wanted).tolist() == expected


@pytest.mark.parametrize("name", ["images", "points3D"])
def test_colmap_model_cut_anywhere_is_refused(colmap_models, tmp_path, name):
    for folder, suffix in zip(colmap_models, (".txt", ".bin"), strict=True):
        for stem in ("cameras", "images", "points3D"):
            (tmp_path / f"{stem}{suffix}").write_bytes((folder / f"{stem}{suffix}").read_bytes())
        file = tmp_path / f"{name}{suffix}"
        data = file.read_bytes()
        for cut in [*range(2, 100), *range(100, len(data), len(data) // 50)]:
            file.write_bytes(data[:-cut])
            with pytest.raises(InputError, match="cut off"):
                read_colmap_model(tmp_path, [])
        for stem in ("cameras", "images", "points3D"):
            (tmp_path / f"{stem}{suffix}").unlink()


def test_files_of_two_colmap_models_are_refused(colmap_models, synthetic_root, tmp_path):
    """The images know points that were deleted from the points' file, or the other way round."""
    for images, points in ((synthetic_root / "model", colmap_models[0]), (colmap_models[0], synthetic_root / "model")):
        for folder, stem in ((images, "cameras"), (images, "images"), (points, "points3D")):
            (tmp_path / f"{stem}.txt").write_bytes((folder / f"{stem}.txt").read_bytes())
        with pytest.raises(InputError, match="not of one model"):
            read_colmap_model(tmp_path, [])
    (tmp_path / "points3D.txt").unlink()
    with pytest.raises(InputError, match="no whole COLMAP model"):
        read_colmap_model(tmp_path, [])


def test_nan_in_a_binary_model_is_refused(colmap_models, tmp_path):
    for stem in ("cameras", "images", "points3D"):
        (tmp_path / f"{stem}.bin").write_bytes((colmap_models[1] / f"{stem}.bin").read_bytes())
    data = bytearray((tmp_path / "points3D.bin").read_bytes())
    data[16:24] = np.float64(np.nan).tobytes()
    (tmp_path / "points3D.bin").write_bytes(data)
    with pytest.raises(InputError, match=r"damaged \(SourceModel\.points holds NaN"):
        read_colmap_model(tmp_path, [])


def test_points_come_in_any_order_but_once_and_whole(colmap_models, tmp_path):
    for stem in ("cameras", "images"):
        (tmp_path / f"{stem}.txt").write_bytes((colmap_models[0] / f"{stem}.txt").read_bytes())
    *lines, last = (colmap_models[0] / "points3D.txt").read_text().splitlines()
    (tmp_path / "points3D.txt").write_text("\n".join([last, *lines[::-1], ""]))
    assert_same(read_colmap_model(tmp_path, []), vars(read_colmap_model(colmap_models[0], [])))
    for other, sentence in ((last.rsplit(" ", 2)[0], "too short for it"), (lines[-1], "more than once")):
        (tmp_path / "points3D.txt").write_text("\n".join([*lines, other, ""]))
        with pytest.raises(InputError, match=sentence):
            read_colmap_model(tmp_path, [])


def test_source_model_refuses_what_cannot_be():
    pose = random_pose(np.random.default_rng(0))
    fields = {
        "names": ("a",), "focal_px": [1.0], "radial": [0.0], "rotations": [pose.rotation],
        "translations": [pose.translation], "points": np.zeros((1, 3)), "indptr": [0, 1], "image": [0],
        "keypoint": [5], "xy": [[1.0, 2.0]],
    }  # fmt: skip
    assert SourceModel(**fields).pose(0).center == pytest.approx(pose.center)
    two = (Camera("SIMPLE_PINHOLE", 2, 2, [1, 1, 1]),) * 2
    for name, value, sentence in (
        ("indptr", [0, 2], "must rise"), ("image", [1], "must be 0 to 0"), ("keypoint", [-1], "at least 0"),
        ("points", [[0, 0, np.nan]], "NaN"), ("xy", [[1.0]], "expected"), ("cameras", two, "2 cameras for 1 images"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=sentence):
            SourceModel(**{**fields, name: value})
