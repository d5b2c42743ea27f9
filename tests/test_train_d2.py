"""Training D2: the loss against slow twins, cells that correspond, and a training that goes on where it stopped."""

import csv

import numpy as np
import PIL.Image
import pytest
import torch
from safetensors.torch import load_file
from scipy.ndimage import gaussian_filter, map_coordinates

from localize.geometry.poses import rotation_from_qvec
from localize.io.d2_weights import load_d2
from localize.io.tensors import read_tensors, write_tensors
from localize.io.text import write_poses, write_query_list
from localize.networks.d2_small import D2Small
from localize.networks.shipped import FOLDER
from localize.pipelines import train_d2
from localize.train.d2 import photos as d2_photos
from localize.train.d2.depth import DepthPairs, town_scene
from localize.train.d2.loss import CONTRASTED, TEMPERATURE, D2Loss, contrast, soft_scores
from localize.train.d2.network import D2Batches, D2Training, MatchingAccuracy, d2_training_network
from localize.train.d2.pairs import DepthCrop, DepthMove, HomographyMove, TrainingPair, matching_cells
from localize.train.d2.photos import WarpedPhotos
from localize.train.loop.curve import TrainingCurve
from localize.train.loop.machine import Machine
from localize.types import Camera, Image, InputError, Pose


def random_maps(seed=0, shape=(2, 6, 9, 8)):
    """Maps with neighbours that are alike; the first has a pixel whose values are all 0 after the ReLU."""
    maps = gaussian_filter(np.random.default_rng(seed).normal(size=shape), (0, 0, 1, 1))
    maps[0, :, 3, 4] = -1
    return torch.tensor(maps, dtype=torch.float32)


def slow_scores(one):
    """Eq. 4 to 7 of one map (C, h, w), cell by cell."""
    values = np.maximum(one.astype(np.float64), 0)
    channels, height, width = values.shape
    exponentials = np.exp(values / values.max())
    best = np.zeros((height, width))
    for i in range(height):
        for j in range(width):
            for k in range(channels):
                around = 0.0
                for y in (i - 1, i, i + 1):
                    for x in (j - 1, j, j + 1):
                        around += exponentials[k, y, x] if 0 <= y < height and 0 <= x < width else 1.0
                top = values[:, i, j].max()
                beta = values[k, i, j] / top if top > 0 else 0.0
                best[i, j] = max(best[i, j], exponentials[k, i, j] / around * beta)
    return best / best.sum()


def slow_loss(map_a, map_b, cells_a, cells_b, radius, margin, relu):
    """Eq. 9 to 13 of one pair; relu: of the descriptors."""
    width = map_a.shape[2]
    scores_a, scores_b = (slow_scores(m).ravel() for m in (map_a, map_b))
    flat_a, flat_b = (np.maximum(m, 0 if relu else -np.inf).reshape(len(m), -1).T for m in (map_a, map_b))
    flat_a, flat_b = (f / np.maximum(np.linalg.norm(f, axis=1), 1e-12)[:, None] for f in (flat_a, flat_b))
    total = weights = 0.0
    for a, b in zip(cells_a, cells_b, strict=True):
        hardest = np.inf
        for vector, others, right in ((flat_a[a], flat_b, b), (flat_b[b], flat_a, a)):
            for cell, other in enumerate(others):
                if max(abs(cell // width - right // width), abs(cell % width - right % width)) > radius:
                    hardest = min(hardest, ((vector - other) ** 2).sum())
        violation = max(0.0, margin + ((flat_a[a] - flat_b[b]) ** 2).sum() - hardest)
        total += scores_a[a] * scores_b[b] * violation
        weights += scores_a[a] * scores_b[b]
    return total / weights


def test_soft_scores_are_the_papers():
    maps = random_maps()
    found = soft_scores(maps)
    for one, scores in zip(maps.numpy(), found.numpy(), strict=True):
        np.testing.assert_allclose(scores, slow_scores(one), rtol=1e-5, atol=1e-9)
    assert found[0, 3, 4] == 0


@pytest.mark.parametrize("relu", [False, True])
def test_the_loss_is_the_papers(relu):
    maps = random_maps(1, (4, 6, 9, 8))
    rng = np.random.default_rng(2)
    cells = [np.stack([rng.permutation(72)[:n], rng.permutation(72)[:n]]) for n in (20, 10)]
    loss = D2Loss(margin=0.8, safe_radius=2, min_matches=10, relu=relu)
    found = loss(maps, [torch.tensor(c) for c in cells])["D2"]
    expected = [slow_loss(*maps.double().numpy()[[i, i + 2]], *cells[i], 2, 0.8, relu) for i in (0, 1)]
    assert found.item() == pytest.approx(np.mean(expected), rel=1e-5)
    fewer = loss(maps, [torch.tensor(cells[0]), torch.tensor(cells[1][:, :9])])["D2"]  # 9 are too few
    assert fewer.item() == pytest.approx(expected[0], rel=1e-5)


def test_the_contrast_is_the_logarithm_of_the_right_cells_probability():
    maps = torch.nn.functional.normalize(random_maps(3).flatten(2), dim=1)
    a, b = maps[0].T, maps[1].T
    cells_a, cells_b = torch.tensor([0, 37, 71]), torch.tensor([12, 0, 60])
    expected = []
    for vectors, others, rights in ((a[cells_a], b, cells_b), (b[cells_b], a, cells_a)):
        for vector, right in zip(vectors, rights.tolist(), strict=True):
            far = [c for c in range(72) if max(abs(c // 8 - right // 8), abs(c % 8 - right % 8)) > 1]
            exponentials = [np.exp((vector @ others[c]).item() / TEMPERATURE) for c in [right, *far]]
            expected.append(-np.log(exponentials[0] / sum(exponentials)))
    assert contrast(a, b, cells_a, cells_b, (9, 8)).item() == pytest.approx(np.mean(expected), rel=1e-5)
    many = torch.arange(72).repeat(4)  # of more than CONTRASTED matches, every other one
    assert CONTRASTED < len(many) <= 2 * CONTRASTED
    assert contrast(a, b, many, many, (9, 8)) == contrast(a, b, many[::2], many[::2], (9, 8))


def test_gradients_are_numbers_whatever_the_maps_hold():
    loss = D2Loss(min_matches=2, contrast=1.0)
    for maps, num in ((torch.zeros(2, 6, 9, 8), 4), (-(random_maps() ** 2), 4), (random_maps(), 0)):
        leaf = maps.clone().requires_grad_()
        cells = torch.arange(num).repeat(2, 1)
        terms = loss(leaf, [cells])
        sum(terms.values()).backward()
        assert leaf.grad.isfinite().all()
        assert num or all(value == 0 for value in terms.values())


@pytest.mark.parametrize(("stride", "offset"), [(4, 0.0), (8, 3.5)])
def test_cells_go_where_their_pixels_go(stride, offset):
    photo = np.zeros((64, 64, 3), np.uint8)
    shift = np.array([[1, 0, stride], [0, 1, 0], [0, 0, 1]], float)
    side = 64 // stride
    first, second = matching_cells(TrainingPair(photo, photo, HomographyMove(shift)), stride, offset)
    assert second.tolist() == (first + 1).tolist()
    assert len(first) == side * (side - 1)
    double = np.diag([2.0, 2.0, 1.0])  # in COLMAP's pixels: index p goes to 2 p + 0.5
    first, second = matching_cells(TrainingPair(photo, photo, HomographyMove(double)), stride, offset)
    for a, b in zip(first, second, strict=True):
        for cell, other in ((a // side, b // side), (a % side, b % side)):
            assert other == np.rint((2 * (stride * cell + offset) + 0.5 - offset) / stride)


def slow_move(first, second, xy, tolerance, relative):
    """The correspondence of D2-Net's code, one position at a time, for pinhole cameras."""
    out = []
    for x, y in xy:
        depth = slow_depth(first.depth, x, y)
        if depth is None:
            continue
        f, _, cx, cy = first.camera.params
        u, v = x + first.corner[0] + 0.5, y + first.corner[1] + 0.5
        world = first.pose.rotation.T @ (np.array([(u - cx) / f, (v - cy) / f, 1]) * depth - first.pose.translation)
        z = second.pose.rotation @ world + second.pose.translation
        if z[2] <= 0:
            continue
        f, _, cx, cy = second.camera.params
        u, v = f * z[0] / z[2] + cx - second.corner[0] - 0.5, f * z[1] / z[2] + cy - second.corner[1] - 0.5
        there = slow_depth(second.depth, u, v)
        if there is not None and abs(there - z[2]) < tolerance * (there if relative else 1):
            out.append((x, y, u, v))
    return np.array(out)


def slow_depth(depth, x, y):
    x0, y0, x1, y1 = int(np.floor(x)), int(np.floor(y)), int(np.ceil(x)), int(np.ceil(y))
    if x0 < 0 or y0 < 0 or x1 >= depth.shape[1] or y1 >= depth.shape[0]:
        return None
    if min(depth[y0, x0], depth[y0, x1], depth[y1, x0], depth[y1, x1]) <= 0:
        return None
    return map_coordinates(depth.astype(float), [[y], [x]], order=1)[0]


@pytest.mark.parametrize(("tolerance", "relative"), [(0.05, False), (0.02, True), (9.0, False)])
def test_correspondences_from_depth_are_those_of_the_slow_way(tolerance, relative):
    rng = np.random.default_rng(4)
    camera = Camera("PINHOLE", 200, 160, [90.0, 90.0, 101.0, 79.0])
    poses = [Pose(rotation_from_qvec([1, *rng.normal(0, 0.02, 3)]), rng.normal(0, (0.2, 0.2, 0.01))) for _ in range(2)]
    poses.append(Pose(poses[0].rotation @ np.diag([-1, 1, -1]), -poses[0].translation))  # looks the other way
    depths = [(3 + gaussian_filter(rng.normal(size=(64, 64)), 6)).astype(np.float32) for _ in range(3)]
    depths[0][20:23] = 0  # a position at 22.5 has two known neighbours
    crops = [DepthCrop(camera, p, d, (70 + i, 50)) for i, (p, d) in enumerate(zip(poses, depths, strict=True))]
    xy = np.stack(np.meshgrid(np.arange(-2, 66, 3.5), np.arange(-2, 66, 3.5)), -1).reshape(-1, 2)
    for second in crops[1:]:
        moved, valid = DepthMove(crops[0], second, tolerance, relative)(xy)
        expected = slow_move(crops[0], second, xy, tolerance, relative)
        assert valid.sum() == len(expected)
        assert len(expected) > 30 or second is crops[2]
        if len(expected):
            np.testing.assert_allclose(np.column_stack([xy, moved])[valid], expected, atol=1e-6)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of photos of blobs, one smaller than the crops."""
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(5)
    for i, side in enumerate((180, 150, 50)):
        blobs = gaussian_filter(rng.normal(size=(side, side + 20, 3)), (2.5, 2.5, 0))
        pixels = (128 + 50 * blobs / blobs.std()).clip(0, 255).astype(np.uint8)
        PIL.Image.fromarray(pixels).save(folder / f"{i}.png")
    return folder


def test_a_warped_crop_shows_the_same_where_the_homography_says(photos, monkeypatch):
    monkeypatch.setattr(d2_photos, "random_change", lambda photo, *_, **__: photo)
    source, shown = WarpedPhotos(tuple(str(p) for p in sorted(photos.glob("*.png"))), 64), 0
    for seed in range(20):
        pair = source.pair(np.random.default_rng(seed))
        if pair is None:
            continue
        xy = np.stack(np.meshgrid(np.arange(4, 60, 3), np.arange(4, 60, 3)), -1).reshape(-1, 2).astype(float)
        moved, valid = pair.moves(xy)
        valid &= ((moved >= 2) & (moved <= 61)).all(1)
        before = pair.first[tuple(xy[valid].astype(int).T[::-1])].astype(float)
        after = np.stack(
            [map_coordinates(pair.second[..., c].astype(float), moved[valid].T[::-1], order=1) for c in range(3)], 1
        )
        shown += valid.sum()
        assert np.median(np.abs(after - before)) < 8, seed  # half a pixel off makes it 14
    assert shown > 1000


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    """A wall in three photos, with depth; the third has no depth map."""
    folder = tmp_path_factory.mktemp("town")
    camera, rng = Camera("SIMPLE_RADIAL", 96, 80, [90.0, 48.0, 40.0, 0.0]), np.random.default_rng(6)
    wall = gaussian_filter(rng.normal(size=(160, 200, 3)), (2, 2, 0))
    wall = (128 + 50 * wall / wall.std()).clip(0, 255)
    images, poses = [], {}
    for i, x in enumerate((0.0, 0.4, 0.2)):  # m; the wall is 4 m away: 22.5 px to the metre
        name = f"db/{i}.jpg"
        y, u = np.meshgrid(np.arange(80) + 30.0, np.arange(96) + 30 + 22.5 * x, indexing="ij")
        pixels = np.stack([map_coordinates(wall[..., c], [y, u], order=1) for c in range(3)], 2).astype(np.uint8)
        for part in ("db", "depth/db"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(pixels).save(folder / name, quality=98)
        if i < 2:
            PIL.Image.fromarray(np.full((80, 96), 4000, np.uint16)).save(folder / f"depth/db/{i}.png")
        images.append(Image(name, camera))
        poses[name] = Pose(np.eye(3), np.array([-x, 0, 0]))
    write_query_list(folder / "cameras.txt", images)
    write_poses(folder / "poses.txt", poses)
    return folder


def test_a_rendered_town_gives_pairs_of_the_same_places(town):
    scene = town_scene(town, 0.5, 0.02)
    assert scene.pairs.tolist() == [[0, 1], [1, 0]]
    pair = DepthPairs((scene,), 64, 0.02, True).pair(np.random.default_rng(7))
    moved, valid = pair.moves(np.stack(np.meshgrid(np.arange(64.0), np.arange(64.0)), -1).reshape(-1, 2))
    assert valid.mean() > 0.5
    to = np.rint(moved[valid]).astype(int)
    same = pair.first.reshape(-1, 3)[valid].astype(float) - pair.second[to[:, 1], to[:, 0]]
    assert np.median(np.abs(same)) < 8
    with pytest.raises(InputError, match=r"no two photos with depth maps that overlap: render it with pipeline\.depth"):
        town_scene(town, 0.99, 0.02)


@pytest.fixture(scope="module")
def sequence(tmp_path_factory):
    """Six photos of a plane, each shifted by 4 px more."""
    folder, rng = tmp_path_factory.mktemp("v_blobs"), np.random.default_rng(8)
    blobs = gaussian_filter(rng.normal(size=(120, 140, 3)), (2, 2, 0))
    pixels = (128 + 50 * blobs / blobs.std()).clip(0, 255).astype(np.uint8)
    for k in range(1, 7):
        PIL.Image.fromarray(pixels[:96, 4 * k : 4 * k + 112]).save(folder / f"{k}.png")
        if k > 1:
            np.savetxt(folder / f"H_1_{k}", [[1, 0, -4 * (k - 1)], [0, 1, 0], [0, 0, 1]])
    return folder


def settings(photos, town, sequence, **changes):
    given = {"photos": [str(photos)], "towns": [str(town)], "validation": [str(sequence)], "size": 64, "steps": 6}
    given |= {"min_matches": 20, "checkpoint_every": 2, "validate_every": 3, "precision": "float32", "warmup": 2}
    return given | changes


@pytest.fixture(scope="module")
def finished(photos, town, sequence, tmp_path_factory):
    output = tmp_path_factory.mktemp("trained")
    return output, train_d2.run(output=str(output), **settings(photos, town, sequence))


def rows(output):
    with open(output / "curve.csv", newline="") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def test_it_trains_and_says_what_came_out(finished):
    output, said = finished
    course = rows(output)
    assert [int(r["step"]) for r in course if r["mma"]] == [0, 3, 6]
    assert float(course[0]["D2"]) < float(course[-2]["D2"])  # its weight grows
    assert (output / "training.png").read_bytes().startswith(b"\x89PNG")
    assert f"feature=d2net feature.backbone=small feature.weights={output}/weights.safetensors" in said
    tensors, metadata = read_tensors(output / "weights.safetensors")
    assert {"trunk", "head"} == {name.split(".")[0] for name in tensors}
    assert metadata["mma"] == course[-1]["mma"]
    assert metadata["network"] == "small"


def test_stopped_it_goes_on_to_the_same_weights(finished, photos, town, sequence, tmp_path, monkeypatch):
    append = TrainingCurve.append

    def stop(self, step, **values):
        append(self, step, **values)
        if step == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(TrainingCurve, "append", stop)
    with pytest.raises(KeyboardInterrupt):
        train_d2.run(output=str(tmp_path), **settings(photos, town, sequence))
    monkeypatch.setattr(TrainingCurve, "append", append)
    train_d2.run(output=str(tmp_path), **settings(photos, town, sequence))
    assert rows(tmp_path) == rows(finished[0])
    here, there = (load_file(f / "weights.safetensors") for f in (tmp_path, finished[0]))
    assert all(torch.equal(here[name], there[name]) for name in there)
    with pytest.raises(InputError, match=r"contrast 1\.0, but now it is 0\.5"):
        train_d2.run(output=str(tmp_path), **settings(photos, town, sequence, contrast=0.5))


def test_a_head_on_a_given_trunk_leaves_the_trunk_alone(finished, photos, town, sequence, tmp_path):
    trunk = str(finished[0] / "weights.safetensors")
    changes = {"trunk": trunk, "train_layers": "head", "steps": 2}
    train_d2.run(output=str(tmp_path), **settings(photos, town, sequence, **changes))
    tensors, metadata = read_tensors(tmp_path / "weights.safetensors")
    assert {name.split(".")[0] for name in tensors} == {"head"}
    assert metadata["trunk"] == trunk
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["module"]
    for name, tensor in read_tensors(trunk)[0].items():
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(state[f"network.{name}"], tensor.float()) == name.startswith("trunk."), name


def test_the_head_that_ships_is_of_the_trunk_that_ships_and_refuses_another(tmp_path):
    head, trunk = FOLDER / "d2_small.safetensors", FOLDER / "compact.safetensors"
    assert load_d2(head, "small", trunk).channels == 128
    other = tmp_path / "other.safetensors"
    write_tensors(other, D2Small(), {})
    with pytest.raises(InputError, match=r"d2_small\.safetensors was trained on another trunk than .*other"):
        load_d2(head, "small", other)


def test_of_vgg16_only_conv4_3_learns(photos):
    module = D2Training(d2_training_network("vgg16"), "head")
    learns = [name for name, p in module.named_parameters() if p.requires_grad]
    assert learns == ["network.features.21.weight", "network.features.21.bias"]
    source = WarpedPhotos((str(photos / "0.png"),), 64)
    batch = D2Batches([source], [1], module.network, min_matches=10)(0)
    maps = module(batch.images)
    assert maps.shape == (2, 512, 8, 8)
    sum(D2Loss(min_matches=10)(maps, batch.matches).values()).backward()
    assert module.network.features[-1].weight.grad.abs().sum() > 0


def test_matching_accuracy_of_a_network_that_sees_the_same_everywhere_is_perfect(sequence):
    torch.manual_seed(0)
    module = D2Training(d2_training_network("small"), "all").eval()
    with torch.inference_mode():
        found = MatchingAccuracy([str(sequence)])(module, Machine("cpu", "float32"))
    assert found["mma"] > 85  # shifted by cells, it is the same map but for the border
    assert found["matches"] > 20
    homographies = MatchingAccuracy([str(sequence)], edge_px=56).sequences[0][1]  # half as large
    np.testing.assert_allclose(homographies[5], [[1, 0, -10], [0, 1, 0], [0, 0, 1]], atol=1e-9)


def test_settings_are_checked_before_the_work(run_cli, tmp_path):
    code, said = run_cli(
        "+pipeline=train_d2", "pipeline.validation=[]", "pipeline.network=alexnet", "pipeline.size=100"
    )
    assert code == 2
    assert "pipeline.network is 'alexnet', but must be one of: small, vgg16" in said
    assert "pipeline.size is 100, but must be a multiple of 8" in said
    code, said = run_cli("+pipeline=train_d2", f"pipeline.validation=[{tmp_path}]")
    assert code == 2
    assert "there is nothing to train on" in said
