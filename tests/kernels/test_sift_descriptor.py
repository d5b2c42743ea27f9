"""SIFT at given keypoints: the kernel against a slow twin and pycolmap, and what a supplied model relies on."""

import itertools

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from localize.datasets.strecha import Strecha
from localize.features.sift import Sift
from localize.geometry.colmap import camera_rays
from localize.geometry.two_view import essential_matrix, sampson_error
from localize.io.images import read_photo
from localize.kernels.sift_descriptor import describe
from localize.matching.mutual import MutualNearest
from localize.types import InputError


def slow_enlarged(image):
    """Each axis twice as long, new pixels halfway between old ones."""
    height, width = image.shape
    y, x = np.minimum(np.arange(2 * height) / 2, height - 1), np.minimum(np.arange(2 * width) / 2, width - 1)
    along_x = np.array([np.interp(x, np.arange(width), row) for row in image])
    return np.array([np.interp(y, np.arange(height), column) for column in along_x.T]).T


def slow_level(photo, first_octave, octave, level):
    """Gaussian scale space of VLFeat: three levels per octave, level 0 of sigma 1.6 * 2^(1/3) px of its octave."""
    image, blur = photo / 255, 0.5
    for _ in range(-first_octave):
        image, blur = slow_enlarged(image), 2 * blur
    for _ in range(octave - first_octave):
        image = slow_level_from(image, blur, 2)[: len(image) // 2 * 2 : 2, : image.shape[1] // 2 * 2 : 2]
        blur = 1.6
    return slow_level_from(image, blur, level)


def slow_level_from(image, blur, level):
    for s in range(-1, level + 1):
        wanted = 1.6 * 2 ** ((s + 1) / 3)
        if wanted > blur + 1e-9:
            more = np.sqrt(wanted**2 - blur**2)
            image, blur = gaussian_filter(image, more, mode="nearest", radius=int(np.ceil(4 * more))), wanted
    return image


def slow_descriptor(photo, xy, sigma, angle, first_octave):
    """The definition: each bin is a sum over the whole image, weighted by triangles and the Gaussian window."""
    places = [(o, s) for o in range(first_octave, 2) for s in range(3)]
    octave, level = min(places, key=lambda p: abs(np.log2(sigma / 1.6) - p[0] - (p[1] + 1) / 3))
    image = slow_level(photo, first_octave, octave, level)
    gy, gx = np.gradient(image)
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    inner = (x > 0) & (y > 0) & (x < image.shape[1] - 1) & (y < image.shape[0] - 1)
    dx, dy = x - (xy[0] - 0.5) / 2**octave, y - (xy[1] - 0.5) / 2**octave
    side = 3 * sigma / 2**octave
    u = (np.cos(angle) * dx + np.sin(angle) * dy) / side
    v = (np.cos(angle) * dy - np.sin(angle) * dx) / side
    turn = (angle - np.arctan2(gy, gx)) * 8 / (2 * np.pi)
    weight = inner * np.hypot(gx, gy) * np.exp(-(u**2 + v**2) / (2 * 2**2))
    out = np.zeros((4, 4, 8))
    for i, j, t in itertools.product(range(4), range(4), range(8)):
        along, aside = np.maximum(0, 1 - abs(v - (i - 1.5))), np.maximum(0, 1 - abs(u - (j - 1.5)))
        away = np.maximum(0, 1 - abs((turn - t + 4) % 8 - 4))
        out[i, j, t] = (weight * along * aside * away).sum()
    out = np.minimum(out / np.linalg.norm(out), 0.2)
    return np.sqrt(out / out.sum()).ravel()


@pytest.mark.parametrize("first_octave", [-1, 0])
def test_kernel_is_the_slow_twin(first_octave):
    rng = np.random.default_rng(0)
    photo = (255 * rng.random((45, 58))).astype(np.uint8)
    xy = np.array([(29.3, 22.8), (30, 20), (12.5, 30.1), (2.2, 1.4), (-3, 40), (57.9, 44.9)])
    sigma = np.array([2.0, 1.2, 3.3, 2.6, 4.1, 0.7])  # the last one is finer than the finest level
    angle = np.array([0, 0.7, -2.9, 1.6, 3.1, 9.0])
    expected = [slow_descriptor(photo, *keypoint, first_octave) for keypoint in zip(xy, sigma, angle, strict=True)]
    np.testing.assert_allclose(describe(photo, xy, sigma, angle, first_octave), expected, atol=1e-4)


FEATURES = [
    Sift(detector="pycolmap", **other) for other in ({}, {"upright": True, "first_octave": 0}, {"max_size_px": 400})
]


@pytest.mark.parametrize("feature", FEATURES, ids=["default", "upright", "shrunk"])
def test_describes_pycolmaps_keypoints_as_pycolmap_does(feature, synthetic_root):
    photo = read_photo(sorted((synthetic_root / "images").rglob("*.*"))[0], grey=True)
    theirs = feature.extract(photo)
    given = theirs.orientations + feature.upright  # upright: whatever orientation comes, it is described at 0
    ours = feature.describe_at(photo, theirs.keypoints, theirs.scales, given)
    for name in ("keypoints", "scales", "orientations", "scores"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
    assert ours.descriptors.dtype == theirs.descriptors.dtype
    cosine = (ours.descriptors.astype("f") * theirs.descriptors.astype("f")).sum(1)
    assert len(cosine) > 300
    assert np.median(cosine) > 0.9995
    assert np.percentile(cosine, 5) > 0.98  # the level a keypoint was found in is not always the nearest


def test_every_keypoint_keeps_its_row(synthetic_root):
    photo = read_photo(sorted((synthetic_root / "images").rglob("*.*"))[0], grey=True)
    height, width = photo.shape
    some = Sift(max_keypoints=60).extract(photo)
    odd = [
        (-5, height / 2, 40, 0),  # just outside: nearly half of it is seen
        (width / 2, height / 2, 1e6, 0),  # larger than the photo
        (-900, -900, 3, 0),  # outside
        (1e30, 50, 3, 1e30),
        (50, 50, 0, 0),  # no size
        (50, 50, -2, 0),
    ]
    rows = np.vstack([np.column_stack([some.keypoints, some.scales, some.orientations]), odd])
    order = np.random.default_rng(0).permutation(len(rows))
    ours = Sift(max_keypoints=1).describe_at(photo, rows[order, :2], rows[order, 2], rows[order, 3])
    length = np.empty(len(rows))
    length[order] = np.linalg.norm(ours.descriptors.astype(float), axis=1)
    np.testing.assert_allclose(length[:-4], 1, atol=2e-3)
    assert not length[-4:].any()
    np.testing.assert_array_equal(ours.keypoints, rows[order, :2].astype("f"))
    cosine = (ours.descriptors[np.argsort(order)[: len(some)]].astype("f") * some.descriptors.astype("f")).sum(1)
    assert np.median(cosine) > 0.999
    assert len(Sift().describe_at(photo, np.zeros((0, 2)), [], [])) == 0
    flat = np.full((40, 50), 127, np.uint8)
    for nothing in (np.zeros((1, 1), np.uint8), flat, flat + np.pad([[1]], ((20, 19), (20, 29))).astype(np.uint8)):
        assert not Sift().describe_at(nothing, [[0.5, 0.5], [20, 20]], [2, 300], [0, 1]).descriptors.any()


def test_bad_keypoints_are_named():
    photo = np.zeros((40, 50), np.uint8)
    with pytest.raises(
        InputError, match=r"1 of 2 keypoints hold NaN .* first row 1 \(x, y, scale, orientation: 3.0, nan"
    ):
        Sift().describe_at(photo, [[1, 2], [3, np.nan]], [1, 1], [0, 0])
    with pytest.raises(InputError, match=r"shapes \(2, 2\), \(1,\), \(2,\), but must be \(N, 2\)"):
        Sift().describe_at(photo, [[1, 2], [3, 4]], [1], [0, 0])
    with pytest.raises(ValueError, match="SIFT takes grey values"):
        Sift().describe_at(photo.astype("f"), [[1, 2]], [1], [0])


@pytest.mark.real
def test_matches_of_described_keypoints_are_as_good(strecha_root):
    scene = Strecha(str(strecha_root / "fountain-P11")).load()
    first, second = scene.references.images[:2]
    feature, matching = Sift(max_size_px=800), MutualNearest()
    photos = [read_photo(f"{scene.image_root}/{image.name}", grey=True) for image in (first, second)]
    a, b = map(feature.extract, photos)
    E, correct = essential_matrix(first.pose, second.pose), []
    for features in (b, feature.describe_at(photos[1], b.keypoints, b.scales, b.orientations)):
        rows = matching.match(a, features).rows
        x, y = camera_rays(first.camera, a.keypoints[rows[:, 0]]), camera_rays(second.camera, b.keypoints[rows[:, 1]])
        correct.append((sampson_error(E, x[:, :2], y[:, :2]) * first.camera.focal_px**2 < 2.0**2).sum())
    assert correct[0] > 300
    assert correct[1] > 0.97 * correct[0]
