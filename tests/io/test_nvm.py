"""NVM models: read right and whole, or refused with a sentence that says where."""

import re

import numpy as np
import pytest

from localize.geometry.poses import rotation_from_qvec
from localize.io import number_rows
from localize.io.models.nvm import read_nvm, write_nvm
from localize.io.number_rows import parse_block
from localize.types import InputError, SourceModel
from tests.conftest import SHARED

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
        ("1599.9876", "1e308", r"holds no model \(SourceModel\.xy holds NaN or infinite"),
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
