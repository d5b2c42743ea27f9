"""COLMAP models: read right and whole, or refused with a sentence that says where."""

import numpy as np
import pytest

from localize.geometry.colmap import pycolmap
from localize.io import number_rows
from localize.io.models import colmap_points
from localize.io.models.colmap import read_colmap_model
from localize.types import Camera, InputError, SourceModel
from tests.conftest import random_pose
from tests.io.test_nvm import assert_same


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
        ("indptr", [0, 2], "must rise"), ("image", [1], "between 0 and 0"), ("keypoint", [-1], "between 0 and"),
        ("points", [[0, 0, np.nan]], "NaN"), ("xy", [[1.0]], "expected"), ("cameras", two, "2 cameras for 1 images"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=sentence):
            SourceModel(**{**fields, name: value})
