"""Training a dense CRBNet: its data, its losses, and that it goes on where it stopped."""

import dataclasses

import numpy as np
import PIL.Image
import pytest
import torch
from safetensors.torch import load_file

from localize.features.dense_crbnet import DenseCrbnet
from localize.features.sift import Sift
from localize.geometry.homography import apply
from localize.pipelines.training import train_dense
from localize.train.d2.depth import town_scene
from localize.train.dense.batches import DenseBatch, _shares
from localize.train.dense.loss import contrast, detection, reliability, repeatability
from localize.train.dense.models import ModelPairs, seen_in_pairs
from localize.train.dense.parts import DenseData, DenseStart, DenseValidation
from localize.train.dense.photos import HomographyPairs, still_seen
from localize.train.dense.teacher import Teacher
from localize.train.dense.towns import TownPairs
from localize.train.dense.views import DensePair, crop, moved, zoom
from localize.train.dense.walks import WalkPairs
from localize.train.loop.training_loop import TrainingLoop
from localize.types import InputError
from tests.generated_photos import textured
from tests.train.d2_data import write_sequence, write_town
from tests.train.killed import copied_at

TEACHER = Teacher(Sift(max_keypoints=400))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Two walks of two photos past one wall."""
    folder = tmp_path_factory.mktemp("photos")
    wall = textured(7, (260, 200))
    for walk, light in (("day", 1.0), ("night", 0.4)):
        (folder / walk).mkdir()
        for k in (0, 1):
            PIL.Image.fromarray((light * wall[:, 20 * k : 20 * k + 220]).astype(np.uint8)).save(
                folder / walk / f"{k}.png"
            )
    return folder


@pytest.fixture(scope="module")
def parts(photos, tmp_path_factory):
    """The arguments of a short training."""
    loop = TrainingLoop(steps=4, learning_rate=0.001, checkpoint_every=2, validate_every=3, precision="float32")
    sizes = {"size": 64, "pairs_per_step": 2, "points": 16, "min_points": 6}
    return {
        "data": DenseData((str(photos),), ("day", "night"), **sizes),
        "feature": TEACHER.feature,
        "validation": DenseValidation(
            [str(write_sequence(tmp_path_factory.mktemp("v_blobs")))], [str(photos / "day")], 64, 100
        ),
        "loop": loop,
    }


def test_it_learns_and_goes_on_where_it_stopped(parts, tmp_path):
    with copied_at(3, tmp_path / "killed"):
        said = train_dense.run(output=str(tmp_path / "whole"), **parts)
    assert "feature=dense_crbnet feature.weights=" in said
    train_dense.run(output=str(tmp_path / "killed"), **parts)
    whole, killed = (load_file(tmp_path / name / "weights.safetensors") for name in ("whole", "killed"))
    assert all(torch.equal(tensor, killed[name]) for name, tensor in whole.items())
    feature = DenseCrbnet(weights=str(tmp_path / "whole" / "weights.safetensors"), threshold=1e-6)
    assert len(feature.extract(textured(1).mean(2).astype(np.uint8)))
    start = DenseStart(weights=feature.weights)
    with pytest.raises(InputError, match="weights none, but now"):
        train_dense.run(output=str(tmp_path / "whole"), start=start, **parts)
    other = dataclasses.replace(parts["data"], walks=("evening",))
    with pytest.raises(InputError, match="'evening'"):
        train_dense.run(output=str(tmp_path / "new"), **{**parts, "data": other})


def test_what_can_be_learned_from_is_asked_for(parts, tmp_path):
    for data, sentence in (
        (DenseData(), "nothing to train on"),
        (DenseData((str(tmp_path),)), "holds no photos"),
        (dataclasses.replace(parts["data"], min_points=16, shares=(1.0, 1e-9)), "in a row"),
    ):
        with pytest.raises(InputError, match=sentence):
            data.batches(Teacher(Sift(max_keypoints=4)), 0)(0)
    with pytest.raises(InputError, match="one for each"):
        DenseData(models=("a",))
    with pytest.raises(InputError, match="nothing to validate on"):
        DenseValidation().judge()


def test_a_crop_shows_what_its_homography_says():
    """A blob in the photo lies in the crop where its keypoint is moved, enlarged, turned and shrunk."""
    y, x = np.mgrid[:200, :240] + 0.5
    photo = (255 * np.exp(-((x - 111.3) ** 2 + (y - 84.6) ** 2) / 2 / 9)).astype(np.uint8)
    for factor in (0.4, 1.0, 1.7):
        homography = zoom(np.array([105.0, 90.0]), factor, 96, 20.0)
        seen = crop(np.repeat(photo[..., None], 3, 2), homography, 96)[..., 0].astype(float)
        (place,), (inside,) = moved(homography, np.array([[111.3, 84.6]]), 96)
        rows, columns = np.mgrid[:96, :96]
        middle = np.array([(seen * columns).sum(), (seen * rows).sum()]) / seen.sum()
        assert inside
        assert np.linalg.norm(middle - place) < 0.15


def test_pairs_of_one_photo_correspond(photos):
    source = HomographyPairs(((photos, "day/0.png"),), TEACHER, size=96, night_share=1.0)
    pair = next(p for k in range(20) if (p := source.pair(np.random.default_rng(k))) and len(p.places[0]) > 12)
    a, b = pair.places
    rows = np.column_stack([a, np.ones(len(a))])
    system = np.concatenate(
        [
            np.column_stack([rows, np.zeros_like(rows), -b[:, :1] * rows]),
            np.column_stack([np.zeros_like(rows), rows, -b[:, 1:] * rows]),
        ]
    )
    homography = np.linalg.svd(system)[2][-1].reshape(3, 3)
    error = np.linalg.norm(apply(homography, a.astype(float)) - b, axis=1)
    assert np.median(error) < 1.0  # second places slip on purpose
    assert pair.taught.shape == (len(a), 128)
    assert pair.second.mean() < pair.first.mean()


def test_what_the_night_hides_is_not_asked_for():
    photo = textured(2, (96, 96))
    dark = photo.copy()
    dark[:, 48:] = np.random.default_rng(0).integers(0, 6, (96, 48, 3))
    dark[:, :48] = photo[:, :48] // 4
    xy = np.array([[20.0, 30.0], [24.0, 70.0], [70.0, 30.0], [80.0, 60.0]])
    assert still_seen(photo, dark, xy).tolist() == [True, True, False, False]


def test_walks_pair_what_one_geometry_agrees_with(photos):
    walks = tuple(tuple((photos, f"{walk}/{k}.png") for k in (0, 1)) for walk in ("day", "night"))
    source = WalkPairs(walks, TEACHER, size=96, augment=0.0)
    pairs = [p for k in range(12) if (p := source.pair(np.random.default_rng(k)))]
    assert len(pairs) > 5
    patches = []
    for pair in pairs:
        for a, b in zip(*(np.rint(xy).astype(int) for xy in pair.places), strict=True):
            if min(*a, *b) > 4 and max(*a, *b) < 91:
                cut = [i[y - 4 : y + 5, x - 4 : x + 5].ravel() for i, (x, y) in ((pair.first, a), (pair.second, b))]
                patches.append(np.corrcoef(*cut)[0, 1])
    assert np.median(patches) > 0.6  # turned by up to 20 degrees


def test_models_pair_what_both_photos_see(tmp_path, photos):
    """A model of two photos of the wall, 20 px apart, whose points lie where they are told to."""
    rng = np.random.default_rng(0)
    xy = rng.uniform([30, 10], [200, 190], (60, 2)).round(2)
    (tmp_path / "cameras.txt").write_text("1 PINHOLE 220 200 200 200 110 100\n")
    lines = []
    for k in (0, 1):
        lines.append(f"{k + 1} 1 0 0 0 {-k} 0 0 1 day/{k}.png\n")
        lines.append(" ".join(f"{x - 20 * k} {y} {i + 1}" for i, (x, y) in enumerate(xy)) + "\n")
    (tmp_path / "images.txt").write_text("".join(lines))
    points = [f"{i + 1} 0 0 10 0 0 0 1 1 {i} 2 {i}\n" for i in range(60)]
    (tmp_path / "points3D.txt").write_text("".join(points))
    names, ((i, j, a, b),) = seen_in_pairs(tmp_path, 40)
    np.testing.assert_allclose(a - b, np.tile([20.0 * (j - i), 0], (60, 1)), atol=1e-3)
    assert names == ("day/0.png", "day/1.png")
    pair = ModelPairs(str(tmp_path), str(photos), size=96).pair(np.random.default_rng(1))
    assert len(pair.places[0]) > 3
    assert pair.taught is None
    assert pair.keypoints is None
    with pytest.raises(InputError, match="share 100 points"):
        seen_in_pairs(tmp_path, 100)


def test_towns_pair_the_same_surface(tmp_path):
    pair = TownPairs(town_scene(write_town(tmp_path), 0.3, 0.02), size=64, augment=0.0).pair(np.random.default_rng(2))
    values = []
    for picture, xy in zip((pair.first, pair.second), pair.places, strict=True):
        x, y = np.rint(xy).astype(int).T
        values.append(picture[y, x].astype(float))
    assert len(values[0]) > 60
    assert np.corrcoef(*values)[0, 1] > 0.9


def test_a_keypoint_is_shared_out_so_that_its_place_is_the_mean():
    empty = np.zeros((32, 32), np.uint8)
    xy = np.array([[10.25, 20.75], [31.0, 31.0]], np.float32)
    shares = _shares(DensePair(empty, empty, (xy, xy), keypoints=(xy, xy)), 0)
    y, x = np.mgrid[:32, :32]
    near = shares * (x < 20)
    np.testing.assert_allclose([(near * x).sum(), (near * y).sum()], xy[0], atol=1e-5)
    assert shares[31, 31] == 1
    assert shares.sum() == 2
    assert (_shares(DensePair(empty, empty, (xy, xy)), 1) == -1).all()


def test_losses_say_what_they_are_for():
    vectors = torch.nn.functional.normalize(torch.randn(20, 16, generator=torch.Generator().manual_seed(0)))
    assert contrast(vectors, vectors, 0.05) < contrast(vectors, vectors.roll(1, 0), 0.05)
    wanted = torch.zeros(1, 16, 16)
    wanted[0, 5, 6], wanted[0, 5, 7] = 0.75, 0.25
    best = torch.logit(wanted.clamp(1e-4, 1 - 1e-4))
    assert detection(best, wanted) < detection(best.roll(1, 2), wanted)
    assert detection(best, -torch.ones_like(wanted)) == 0
    places = [torch.tensor([[3.0, 3.0], [12.0, 12.0]])] * 2
    a = torch.eye(16)[:2]
    p = torch.stack([a[0], a[0] * 0.6 + a[1] * 0.8])  # the second point is hard to tell from the first
    scores = torch.zeros(2, 16, 16, requires_grad=True)
    reliability(scores, places, a, p).backward()
    assert scores.grad[0, 3, 3] < 0 < scores.grad[0, 12, 12]  # where a step down the gradient raises the easy one


def test_repeatability_is_the_distance_of_what_both_crops_found():
    """Keypoints that each crop shows 0.3 px beside where the other one says: the second is enlarged and turned."""
    a, b = np.array([[8.2, 7.9]]), np.array([[10.4, 9.7]])
    moves = np.array([[[0.0, -1.5], [1.5, 0.0]]])
    told = b[0] + moves[0] @ (np.array([8.0, 8.1]) - a[0])
    scores = torch.from_numpy(np.stack([peak_at([8.0, 8.1]), peak_at(told + np.array([0.3, 0.0]))])).requires_grad_()
    places = [torch.from_numpy(xy.astype("f")) for xy in (a, b)]
    batch = DenseBatch(None, places, None, None, None, *(torch.from_numpy(x.astype("f")) for x in (b, moves)))
    loss = repeatability(scores, batch)
    assert loss.item() == pytest.approx(0.3, abs=0.03)
    loss.backward()
    assert scores.grad.abs().sum() > 0
    unknown = dataclasses.replace(batch, exact=torch.full((1, 2), torch.nan))
    assert repeatability(scores, unknown).item() == 0


def peak_at(xy) -> np.ndarray:
    y, x = np.mgrid[:20, :20]
    return (-((x - xy[0]) ** 2 + (y - xy[1]) ** 2) / 2 / 0.6**2).astype("f")
