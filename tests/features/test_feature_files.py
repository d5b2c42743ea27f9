"""Features of others by the photos' names: every format gives the same features, and says what it cannot use."""

import dataclasses

import numpy as np
import pytest

from localize.features.files import Files
from localize.io.given.hloc import write_local_features
from localize.preflight import check_parts
from localize.stages import Workbench, extract_features, query_photos
from localize.store import Store
from localize.types import Camera, Features, Image, InputError
from tests.conftest import random_features

NAME, WIDTH, HEIGHT = "db/1.jpg", 120, 110
HEADER = "# kapture format: 1.1\n# name, dtype, dsize\n"


def features() -> Features:
    found = random_features(np.random.default_rng(0), 7)
    return dataclasses.replace(found, scores=np.linspace(1, 0.5, 7).astype(np.float32))


def write_hloc(root):
    image = Image(NAME, Camera("SIMPLE_PINHOLE", WIDTH, HEIGHT, [100, 60, 55]))
    write_local_features(root / "feats.h5", [(image, features())])
    return root / "feats.h5"


def write_kapture(root, kind="d2"):
    found = features()
    xy = np.column_stack([found.keypoints - 0.5, np.ones(7)]).astype("<f4")
    keypoints, descriptors = (root / "reconstruction" / part / kind for part in ("keypoints", "descriptors"))
    for folder, header, end, values in (
        (keypoints, "keypoints.txt", ".kpt", xy),
        (descriptors, "descriptors.txt", ".desc", found.descriptors.astype("<f4")),
    ):
        (folder / "db").mkdir(parents=True)
        more = f", {kind}, L2" if end == ".desc" else ""
        (folder / header).write_text(f"{HEADER}{kind}, float32, {values.shape[1]}{more}\n")
        (folder / f"{NAME}{end}").write_bytes(values.tobytes())
    return root


def write_npz(root, ending=".d2-net", **changed):
    found = features()
    arrays = {"keypoints": np.column_stack([found.keypoints - 0.5, np.ones(7)]), "descriptors": found.descriptors}
    (root / "db").mkdir(exist_ok=True, parents=True)
    with open(root / f"{NAME}{ending}", "wb") as f:
        np.savez(f, **{**arrays, "scores": found.scores, **changed})
    return root


WRITERS = {"hloc": write_hloc, "kapture": write_kapture, "npz": write_npz}


@pytest.mark.parametrize("form", WRITERS)
def test_every_format_gives_the_features_that_were_written(form, tmp_path):
    path, wanted = str(WRITERS[form](tmp_path)), features()
    for given in ("auto", form):
        found = Files(path, given).read(NAME, WIDTH, HEIGHT)
        np.testing.assert_allclose(found.keypoints, wanted.keypoints, atol=1e-4)
        np.testing.assert_allclose(found.descriptors, wanted.descriptors, atol=1e-6)
        np.testing.assert_allclose(found.scores, 1 if form == "kapture" else wanted.scores)
    shifted = Files(path, pixel_center=0.5).read(NAME, WIDTH, HEIGHT)
    np.testing.assert_allclose(shifted.keypoints, np.maximum(wanted.keypoints - 0.5, 0), atol=1e-4)
    with pytest.raises(InputError, match=r"db/2\.jpg"):
        Files(path).read("db/2.jpg", WIDTH, HEIGHT)
    with pytest.raises(InputError, match=r"lies outside the photo of 40 x 110 px|of a photo of 120 x 110 px"):
        Files(path).read(NAME, 40, HEIGHT)
    with pytest.raises(InputError, match=r"so not of format|holds no .h5 file with keypoints"):
        Files(path, "npz" if form == "hloc" else "hloc").files()


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"keypoints": np.ones((5, 2))}, r"descriptors have shape \(7, 16\), but expected \(5, 16\)"),
        ({"keypoints": np.full((7, 2), np.nan)}, "keypoints hold NaN or infinite values"),
        ({"descriptors": np.full((7, 16), np.inf)}, "descriptors hold NaN or infinite values"),
        ({"descriptors": np.ones(7)}, "has no descriptors with a row each"),
        ({"descriptors": np.array([[object()] * 16] * 7)}, "is no npz file, or is damaged"),
        ({"scores": np.ones(3)}, r"scores have shape \(3,\), but expected \(7,\)"),
    ],
)
def test_npz_files_that_cannot_be_used(changed, sentence, tmp_path):
    write_npz(tmp_path, **changed)
    with pytest.raises(InputError, match=sentence):
        Files(str(tmp_path)).read(NAME, WIDTH, HEIGHT)


def test_the_ending_of_npz_files_is_asked_for_where_there_are_two(tmp_path):
    write_npz(tmp_path)
    write_npz(tmp_path, ".r2d2", keypoints=np.ones((7, 2)))
    with pytest.raises(InputError, match=r"several files for db/1\.jpg \(\.d2-net, \.r2d2\): name the ending"):
        Files(str(tmp_path)).read(NAME, WIDTH, HEIGHT)
    np.testing.assert_array_equal(Files(str(tmp_path), kind=".r2d2").read(NAME, WIDTH, HEIGHT).keypoints, 1.5)


def test_kapture_folders_that_cannot_be_used(tmp_path):
    root = write_kapture(tmp_path)
    desc = root / "reconstruction/descriptors/d2" / f"{NAME}.desc"
    desc.write_bytes(desc.read_bytes()[:-3])
    with pytest.raises(InputError, match=r"no multiple of 16 values of float32: it is cut off"):
        Files(str(root)).read(NAME, WIDTH, HEIGHT)
    (desc.parents[1] / "descriptors.txt").write_text("d2, uint8, 16, d2, HAMMING\n")
    with pytest.raises(InputError, match="compared by HAMMING"):
        Files(str(root)).read(NAME, WIDTH, HEIGHT)
    write_kapture(root, "sift")
    with pytest.raises(InputError, match=r"several types \(there: d2, sift\): name one as feature\.kind"):
        Files(str(root)).read(NAME, WIDTH, HEIGHT)
    assert len(Files(str(root), kind="sift").read(NAME, WIDTH, HEIGHT)) == 7
    with pytest.raises(InputError, match="no type 'orb'"):
        Files(str(root), kind="orb").files()


def test_what_is_missing_is_said_before_the_work(tmp_path):
    with pytest.raises(InputError, match=r"folder .*nowhere is missing: feature\.path names it"):
        check_parts({"feature": Files(str(tmp_path / "nowhere"))}, Store(tmp_path), str(tmp_path))
    (tmp_path / "empty").mkdir()
    assert "is empty" in Files(str(tmp_path / "empty")).preflight()[0]


def test_a_replaced_file_is_another_feature_and_a_missing_photo_is_left_out(scene, tmp_path):
    folder = tmp_path / "features"
    for name in scene.queries.names[:2]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with open(folder / f"{name}.npz", "wb") as f:
            np.savez(f, keypoints=features().keypoints, descriptors=features().descriptors)
    bench = Workbench(Store(tmp_path / "store"))
    found = extract_features(bench, Files(str(folder)), query_photos(scene))
    assert len(found.images) == 2
    assert len(bench.unreadable) == 1
    with open(folder / f"{scene.queries.names[0]}.npz", "wb") as f:
        np.savez(f, keypoints=features().keypoints[:3], descriptors=features().descriptors[:3])
    again = extract_features(bench, Files(str(folder)), query_photos(scene)).features
    assert len(again[scene.queries.names[0]]) == 3
    assert len(again[scene.queries.names[1]]) == 7
    assert (bench.records[-1].computed, bench.records[-1].reused) == (1, 1)  # the other photo's file is as it was
