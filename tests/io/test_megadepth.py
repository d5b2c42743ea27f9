"""MegaDepth as D2-Net prepares it: its traps, and pairs of crops of a tiny tree made here."""

import h5py
import numpy as np
import PIL.Image
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates

from localize.io.benchmarks.megadepth import MIN_DEPTH_BYTES, read_megadepth, read_scene_info
from localize.train.d2.depth import DepthPairs, DepthPhoto, megadepth_scene
from localize.types import Camera, InputError, Pose

SIZE = 340, 300  # px
SHIFT = 40.0  # px between neighbouring photos


def objects(values):
    out = np.empty(len(values), object)
    out[:] = values
    return out


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A wall in five photos: 3 has no pose, 4's depth file is too small, 2 is smaller than a crop."""
    base, rng = tmp_path_factory.mktemp("megadepth"), np.random.default_rng(0)
    wall = gaussian_filter(rng.normal(size=(320, 600, 3)), (2, 2, 0))
    wall = (128 + 50 * wall / wall.std()).clip(0, 255).astype(np.uint8)
    for folder in ("scene_info", "images", "depths"):
        (base / folder).mkdir()
    names, poses, points = [], [], []
    for i in range(5):
        width, height = (200, 200) if i == 2 else SIZE
        left = int(SHIFT * i)
        PIL.Image.fromarray(wall[:height, left : left + width]).save(base / f"images/{i}.png")
        depth = np.full((height, width), 2.0)
        depth[:20] = -1
        with h5py.File(base / f"depths/{i}.h5", "w") as file:
            file["depth"] = depth[:40, :40] if i == 4 else depth
        pose = np.eye(4)
        pose[0, 3] = -SHIFT * i / 300 * 2  # at depth 2, with a focal length of 300
        names.append(f"{i}")
        poses.append(pose)
        points.append({p: [x - left, 150.0] for p, x in enumerate(range(5, 600, 10)) if 0 <= x - left < width})
    K = np.array([[300.0, 0, 170], [0, 300, 150], [0, 0, 1]])
    overlap = np.full((5, 5), 0.9)
    overlap[0, 1], overlap[1, 0], overlap[0, 2] = 0.6, 0.4, -1
    arrays = {
        "image_paths": objects([f"images/{n}.png" for n in names]),
        "depth_paths": objects([f"depths/{n}.h5" for n in names]),
        "intrinsics": objects([K] * 5),
        "poses": objects([*poses[:3], None, poses[4]]),
        "overlap_matrix": overlap,
        "points3D_id_to_2D": objects(points),
    }
    np.savez(base / "scene_info" / "0001.npz", **arrays)
    return base, arrays


def test_pairs_are_those_that_overlap_and_can_be_used(tree):
    base, _ = tree
    scene = read_scene_info(base / "scene_info" / "0001.npz")
    assert (base / "depths/4.h5").stat().st_size < MIN_DEPTH_BYTES < (base / "depths/2.h5").stat().st_size
    assert scene.usable(base).tolist() == [True, True, True, False, False]
    assert scene.pairs(base).tolist() == [[0, 1], [1, 2], [2, 0], [2, 1]]  # each order by its own overlap
    assert scene.pairs(base, 0.3, 0.5).tolist() == [[1, 0]]
    with pytest.raises(InputError, match=r"scene 0001 has no pair that overlaps by 0\.95"):
        megadepth_scene(scene, base, 0.95)


def test_crops_show_the_same_places(tree):
    base, _ = tree
    source = DepthPairs((megadepth_scene(read_scene_info(base / "scene_info" / "0001.npz"), base),), size=256)
    xy = np.stack(np.meshgrid(np.arange(0, 256, 5.0), np.arange(0, 256, 5.0)), -1).reshape(-1, 2)
    found = [source.pair(np.random.default_rng(seed)) for seed in range(12)]
    assert any(pair is None for pair in found)  # a photo smaller than the crop
    for pair in filter(None, found):
        moved, valid = pair.moves(xy)
        assert 0.5 < valid.mean() < 1
        before = pair.first.reshape(256, 256, 3)[tuple(xy[valid].astype(int).T[::-1])].astype(float)
        after = [map_coordinates(pair.second[..., c].astype(float), moved[valid].T[::-1], order=1) for c in range(3)]
        assert np.abs(np.stack(after, 1) - before).max() < 1e-6 * 255


def test_negative_depths_are_none(tree):
    depth = read_megadepth(tree[0] / "depths/0.h5")
    assert (depth[:20] == 0).all()
    assert (depth[20:] == 2).all()
    (tree[0] / "depths/bad.h5").write_bytes(b"no hdf5")
    with pytest.raises(InputError, match=r"bad\.h5 is missing, damaged or has no `depth`"):
        read_megadepth(tree[0] / "depths/bad.h5")


class _Evil:
    def __reduce__(self):
        return print, ("this ran",)


def test_files_of_another_kind_are_refused_by_name(tree, tmp_path, capsys):
    base, arrays = tree
    path = tmp_path / "0001.npz"
    theirs = {k: arrays[k] for k in ("image_paths", "depth_paths", "intrinsics", "poses")}
    np.savez(path, **theirs, pair_infos=objects([((0, 1), 0.5, (1.0, 1.0))]))
    with pytest.raises(InputError, match=r"0001\.npz is LoFTR's file of this name: it has no overlap_matrix, points3D"):
        read_scene_info(path)
    np.savez(path, other=np.zeros(3))
    with pytest.raises(InputError, match="is no scene_info file of D2-Net"):
        read_scene_info(path)
    np.savez(path, **arrays | {"poses": objects([_Evil()] * 5)})
    with pytest.raises(InputError, match=r"holds more than lists of numbers \(it asks for builtins\.print\)"):
        read_scene_info(path)
    assert "this ran" not in capsys.readouterr().out
    np.savez(path, **arrays | {"poses": arrays["poses"][:4]})
    with pytest.raises(InputError, match="lists 5 images, but not as many of everything else"):
        read_scene_info(path)
    path.write_bytes((base / "scene_info" / "0001.npz").read_bytes()[:2000])
    with pytest.raises(InputError, match=r"0001\.npz is damaged"):
        read_scene_info(path)
    with pytest.raises(InputError, match="missing: make it with D2-Net's"):
        read_scene_info(tmp_path / "none.npz")


def test_a_photo_and_a_depth_map_of_two_sizes_are_refused(tree):
    base = tree[0]
    camera, pose = Camera("PINHOLE", 4, 4, [1, 1, 2, 2]), Pose(np.eye(3), np.zeros(3))
    wrong = DepthPhoto(base / "images/2.png", base / "depths/0.h5", camera, pose)
    with pytest.raises(InputError, match="are 200 x 200 px and 340 x 300 px: they must be of one size"):
        wrong.read()
