"""Exchange with hloc: its files are read with exactly one half-pixel shift, and it can read ours."""

import dataclasses
import os
import pickle

import h5py
import numpy as np
import PIL.Image
import pytest

from localize.features.files import Files
from localize.io.given.hloc import read_global_descriptor, read_local_features, write_local_features
from localize.retrieval.hloc import Hloc
from localize.stages import PhotoList, Workbench, extract_features
from localize.store import Store
from localize.types import Camera, Features, Image, ImageList, InputError

WIDTH, HEIGHT = 1600, 1200
PHOTO = Image("db/day/1.jpg", Camera("PINHOLE", WIDTH, HEIGHT, [1000, 1000, 800, 600]))


def unit(rng, n, dim):
    d = rng.normal(size=(n, dim))
    return d / np.linalg.norm(d, axis=1, keepdims=True)


def hloc_writes(path, name, features: dict, size=(WIDTH, HEIGHT), *, as_half=True) -> None:
    """What hloc's extract_features does with an extractor's float32 output; descriptors are D x N."""
    with h5py.File(path, "a", libver="latest") as f:
        group = f.create_group(name)
        for key, values in features.items():
            group.create_dataset(key, data=np.asarray(values, np.float16 if as_half else np.float32))
        group.create_dataset("image_size", data=np.array(size))
        if "keypoints" in features:
            group["keypoints"].attrs["uncertainty"] = 1.0


def hloc_reads(path, name) -> dict:
    """What hloc reads of an image, keypoints as it gives them to COLMAP: shifted by half a pixel."""
    with h5py.File(path, "r", libver="latest") as f:
        found = {key: values.__array__() for key, values in f[name].items()}
    if "keypoints" in found:
        found["keypoints"] = found["keypoints"] + 0.5
    return found


def hloc_lists(path) -> list[str]:
    """Names of the images in a file, as hloc's list_h5_names finds them."""
    names = set()
    with h5py.File(path, "r", libver="latest") as f:
        f.visititems(lambda _, item: names.add(item.parent.name.strip("/")) if isinstance(item, h5py.Dataset) else None)
    return sorted(names)


@pytest.mark.parametrize("as_half", [True, False])
def test_a_file_of_hloc_is_read_with_one_half_pixel(tmp_path, as_half):
    """Positions that float16 holds exactly come out half a pixel further, others within its rounding."""
    rng = np.random.default_rng(0)
    path, d = tmp_path / "feats.h5", unit(rng, 4, 128)
    xy = np.array([[0, 0], [100.25, 60.5], [1599, 1199], [1000.3, 300.3]])
    given = {
        "keypoints": xy,
        "descriptors": d.T,
        "scores": [4, 3, 2, 1],
        "scales": [1, 2, 3, 4],
        "oris": [0, 90, 180, 45],
    }
    hloc_writes(path, "db/day/1.jpg", given, as_half=as_half)
    found = read_local_features(path, "db/day/1.jpg", WIDTH, HEIGHT)
    assert found.keypoints.dtype == np.float32
    np.testing.assert_array_equal(found.keypoints[:3], xy[:3] + 0.5)
    np.testing.assert_allclose(found.keypoints[3], xy[3] + 0.5, atol=0.5 if as_half else 1e-4)
    assert found.descriptors.dtype == (np.float16 if as_half else np.float32)
    np.testing.assert_array_equal(found.descriptors, d.astype(found.descriptors.dtype))
    np.testing.assert_array_equal(found.scores, [4, 3, 2, 1])
    np.testing.assert_array_equal(found.scales, [1, 2, 3, 4])
    np.testing.assert_allclose(found.orientations, [0, np.pi / 2, np.pi, np.pi / 4], atol=1e-6)


def test_descriptors_become_unit_and_rounded_keypoints_stay_inside(tmp_path):
    rng = np.random.default_rng(1)
    path = tmp_path / "feats.h5"
    d = unit(rng, 2, 8)
    hloc_writes(path, "a.jpg", {"keypoints": [[1023.8, 5], [-0.6, 0]], "descriptors": 7 * d.T}, size=(1024, 768))
    found = read_local_features(path, "a.jpg", 1024, 768)
    np.testing.assert_array_equal(found.keypoints, [[1024, 5.5], [0, 0.5]])
    np.testing.assert_allclose(found.descriptors.astype(float), d, atol=2e-3)
    np.testing.assert_allclose(np.linalg.norm(found.descriptors.astype(float), axis=1), 1, atol=2e-3)
    np.testing.assert_array_equal(found.scores, [1, 1])
    hloc_writes(path, "empty.jpg", {"keypoints": np.zeros((0, 2)), "descriptors": np.zeros((8, 0)), "scores": []})
    assert read_local_features(path, "empty.jpg", WIDTH, HEIGHT).descriptors.shape == (0, 8)


def test_hloc_reads_what_we_write(tmp_path):
    rng = np.random.default_rng(2)
    path = tmp_path / "feats.h5"
    xy = rng.uniform(0, HEIGHT, (50, 2)).astype(np.float32)
    ours = Features(xy, unit(rng, 50, 256).astype(np.float16), np.arange(50), np.full(50, 2.0), np.full(50, np.pi / 6))
    write_local_features(path, [(PHOTO, ours)])
    found = hloc_reads(path, PHOTO.name)
    assert found["keypoints"].dtype == np.float32
    np.testing.assert_allclose(found["keypoints"], xy, atol=1e-4)
    np.testing.assert_array_equal(found["descriptors"], ours.descriptors.T)
    np.testing.assert_allclose(found["oris"], 30, atol=1e-4)
    assert found["image_size"].tolist() == [WIDTH, HEIGHT]
    again = read_local_features(path, PHOTO.name, WIDTH, HEIGHT)
    np.testing.assert_allclose(again.keypoints, xy, atol=1e-7)
    np.testing.assert_allclose(again.orientations, ours.orientations, atol=1e-6)
    np.testing.assert_array_equal(again.descriptors, ours.descriptors)


GOOD = {"keypoints": np.full((5, 2), 9.0), "descriptors": np.eye(8)[:, :5], "scores": np.ones(5)}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"descriptors": np.eye(8)[:5]}, r"shape \(5, 8\), one row each: hloc has one column each"),
        ({"descriptors": np.eye(8)[:, :4]}, r"shape \(8, 4\), but expected \(8, 5\)"),
        ({"keypoints": np.zeros((5, 3))}, r"keypoints have shape \(5, 3\), but expected \(5, 2\)"),
        ({"keypoints": np.full((5, 2), np.nan)}, "keypoints hold NaN or infinite values"),
        (
            {"keypoints": np.full((5, 2), 1610.0)},
            r"keypoint \(1610.5, 1610.5\) px lies outside the photo of 1600 x 1200",
        ),
        ({"descriptors": np.full((8, 5), np.inf)}, "descriptors hold NaN or infinite values"),
        ({"scores": np.ones(4)}, r"scores have shape \(4,\), but expected \(5,\)"),
        ({"descriptors": None}, "has no descriptors: this is no file of local features"),
    ],
)
def test_bad_features_are_named(tmp_path, change, sentence):
    path = tmp_path / "feats.h5"
    hloc_writes(path, "db/1.jpg", {k: v for k, v in {**GOOD, **change}.items() if v is not None})
    with pytest.raises(InputError, match=sentence) as refused:
        read_local_features(path, "db/1.jpg", WIDTH, HEIGHT)
    assert f"{path}: image db/1.jpg" in str(refused.value)


def test_missing_and_damaged_files_are_named(tmp_path):
    path, read = tmp_path / "feats.h5", Files(str(tmp_path / "feats.h5")).read
    with pytest.raises(InputError, match=r"feats.h5 is missing"):
        read("db/1.jpg", WIDTH, HEIGHT)
    assert Files(str(path)).preflight() == [f"file {path} is missing: feature.path names it"]
    hloc_writes(path, "db/1.jpg", GOOD)
    for absent in ("db/2.jpg", "1.jpg", "db/1.jpg/keypoints"):
        with pytest.raises(InputError, match=f"feats.h5 has no image {absent}"):
            read(absent, WIDTH, HEIGHT)
    with pytest.raises(InputError, match="of a photo of 1600 x 1200 px, but it has 1200 x 1600 px"):
        read("db/1.jpg", HEIGHT, WIDTH)
    with pytest.raises(InputError, match=r"image db/1.jpg has no global_descriptor"):
        read_global_descriptor(path, "db/1.jpg")
    assert pickle.loads(pickle.dumps(Files(str(path)))).read("db/1.jpg", WIDTH, HEIGHT).keypoints[0, 0] == 9.5
    for damaged in (path.read_bytes()[:700], b"no HDF5"):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"feats.h5 is no HDF5 file, or is damaged"):
            read("db/1.jpg", WIDTH, HEIGHT)


def test_global_descriptors_are_of_one_length(tmp_path):
    path = tmp_path / "global.h5"
    hloc_writes(path, "db/1.jpg", {"global_descriptor": [3, 4]})
    hloc_writes(path, "db/2.jpg", {"global_descriptor": [1, 0, 0]})
    np.testing.assert_allclose(Hloc(str(path)).read("db/1.jpg"), [0.6, 0.8])
    with pytest.raises(InputError, match=r"image db/2.jpg: global_descriptor have shape \(3,\), but expected \(2,\)"):
        read_global_descriptor(path, "db/2.jpg")


@dataclasses.dataclass(frozen=True)
class Changing(Files):
    """Somebody replaces the file while it is read."""

    def read(self, name, width, height):
        features = super().read(name, width, height)
        os.utime(self.path, ns=(1, 1))
        return features


def test_features_are_kept_by_name_and_by_the_files_content(tmp_path):
    """Two photos of the same bytes; then the file is replaced, lacks one of them, and is replaced once more."""
    camera, path, root = Camera("SIMPLE_PINHOLE", 9, 9, [9, 4, 4]), tmp_path / "feats.h5", tmp_path / "photos"
    images = ImageList(tuple(Image(name, camera) for name in ("1.png", "2.png")))
    root.mkdir()
    for name in images.names:
        PIL.Image.new("L", (9, 9)).save(root / name)

    def read(feature, **xs):
        bench = Workbench(Store(tmp_path / "store"), workers=2)
        path.unlink(missing_ok=True)
        for name, x in xs.items():
            hloc_writes(path, f"{name[1]}.png", {"keypoints": [[x, 0]], "descriptors": [[1]]}, size=(9, 9))
        found = extract_features(bench, feature, PhotoList("photo", str(root), images)).features
        return {name: found[name].keypoints[0, 0] for name in images.names if name in found}, bench

    hloc = Files(str(path))
    assert read(hloc, _1=1, _2=2)[0] == {"1.png": 1.5, "2.png": 2.5}
    assert read(hloc, _1=3, _2=4)[0] == {"1.png": 3.5, "2.png": 4.5}
    found, bench = read(hloc, _1=5)
    assert found == {"1.png": 5.5}
    reason = f"{path} has no image 2.png: names there must be those of the scene"
    assert bench.unreadable == {str(root / "2.png"): reason}
    found, bench = read(Changing(str(path)), _1=6, _2=7)
    assert found == {}
    assert set(bench.unreadable.values()) == {f"file {path} was replaced while the run was going on: run again"}


def test_what_lies_in_another_file_or_is_too_much_is_refused(tmp_path):
    """Links, datasets stored elsewhere or made of parts of others, and a petabyte that was never written."""
    d = unit(np.random.default_rng(0), 3, 8)
    hloc_writes(tmp_path / "whole.h5", "1.jpg", {"keypoints": np.ones((3, 2)), "descriptors": d.T})
    (tmp_path / "secret").write_bytes(bytes(48))
    for how in ("link", "soft", "external", "virtual", "petabyte"):
        path = tmp_path / f"{how}.h5"
        with h5py.File(path, "w") as f:
            group = f.create_group("1.jpg")
            group["descriptors"] = d.T
            if how == "link":
                group["keypoints"] = h5py.ExternalLink("whole.h5", "1.jpg/keypoints")
            elif how == "soft":
                group["keypoints"] = h5py.SoftLink("/1.jpg/descriptors")
            elif how == "external":
                group.create_dataset("keypoints", (3, 2), "f8", external=[(str(tmp_path / "secret"), 0, 48)])
            elif how == "virtual":
                layout = h5py.VirtualLayout((3, 2), "f2")
                layout[:] = h5py.VirtualSource(str(tmp_path / "whole.h5"), "1.jpg/keypoints", (3, 2))
                group.create_virtual_dataset("keypoints", layout)
            else:
                group.create_dataset("keypoints", (2**47, 2), "f4", chunks=(1024, 2))
        with pytest.raises(InputError, match=r"link to another place|lie in another file|more than its file can hold"):
            read_local_features(path, "1.jpg", WIDTH, HEIGHT)
    with h5py.File(tmp_path / "group.h5", "w") as f:
        f["1.jpg"] = h5py.ExternalLink("whole.h5", "1.jpg")
    with pytest.raises(InputError, match=r"1\.jpg is a link to another place"):
        read_local_features(tmp_path / "group.h5", "1.jpg", WIDTH, HEIGHT)
