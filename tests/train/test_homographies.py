"""Photos warped by homographies: where keypoints go, and what is seen there."""

import numpy as np
import pytest

from localize.train.photos.homographies import (
    Keypoints,
    apply,
    jacobian,
    random_homography,
    squares_inside,
    transfer,
    warp,
)
from tests.generated_photos import SIZE, blobs, centroid


def homography(seed: int, **changed) -> np.ndarray:
    how = {"rotation_deg": 25, "scale": (0.6, 1.6), "shear": 0.2, "perspective": 0.25} | changed
    return random_homography(np.random.default_rng(seed), SIZE, **how)


def random_keypoints(rng, n: int) -> Keypoints:
    return Keypoints(rng.uniform(20, 180, (n, 2)), np.exp(rng.uniform(0, 2, n)), rng.uniform(-3, 3, n))


@pytest.mark.parametrize("seed", range(4))
def test_transfer_against_finite_differences(seed):
    h, keypoints = homography(seed), random_keypoints(np.random.default_rng(seed), 20)
    moved, step = transfer(h, keypoints), 1e-4
    across, down = [(apply(h, keypoints.xy + d) - apply(h, keypoints.xy - d)) / (2 * step) for d in step * np.eye(2)]
    np.testing.assert_allclose(jacobian(h, keypoints.xy), np.stack([across, down], 2), atol=1e-6)
    np.testing.assert_allclose(
        (moved.scales / keypoints.scales) ** 2, np.abs(across[:, 0] * down[:, 1] - across[:, 1] * down[:, 0]), rtol=1e-5
    )
    back, along = np.linalg.inv(h), np.stack([np.cos(keypoints.orientations), np.sin(keypoints.orientations)], 1)
    slope = [
        ((apply(back, moved.xy + d) - apply(back, moved.xy - d)) * along).sum(1) for d in step * np.eye(2)
    ]  # of a photo that was a ramp along the orientation
    turn = np.arctan2(slope[1], slope[0]) - moved.orientations
    np.testing.assert_allclose(np.angle(np.exp(1j * turn)), 0, atol=1e-6)


@pytest.mark.parametrize("scale", [0.45, 0.8, 1.5])
def test_a_warped_photo_shows_things_where_they_are_transferred_to(scale):
    centres = np.array([[100.0, 90.0], [140.0, 110.0], [110.0, 125.0]])
    h = homography(3, scale=(scale, scale), perspective=0.1)
    seen, expected = warp(blobs(centres), h), apply(h, centres)
    for at in expected:
        np.testing.assert_allclose(centroid(seen, at, 10 * scale), at, atol=0.12)


def test_a_shrunk_photo_does_not_alias():
    checks = np.repeat(((np.indices(SIZE[::-1]).sum(0) % 2) * 255).astype(np.uint8)[..., None], 3, 2)
    seen = warp(checks, homography(1, scale=(0.5, 0.5), shear=0, perspective=0))
    assert np.abs(seen[80:120, 100:140].astype(int) - 128).max() < 40


def test_squares_that_show_the_outside_are_told():
    h, rng = homography(2, scale=(0.6, 0.6)), np.random.default_rng(2)
    places = Keypoints(rng.uniform(0, 240, (400, 2)), rng.uniform(1, 4, 400), rng.uniform(-3, 3, 400))
    u, v = (a.ravel() for a in np.meshgrid(*[np.linspace(-6.5, 6.5, 9)] * 2))
    wanted = []
    for (x, y), scale, angle in zip(places.xy, places.scales, places.orientations, strict=True):
        spot = np.array([x, y]) + scale * np.stack([u, v], 1) @ [
            [np.cos(angle), np.sin(angle)],
            [-np.sin(angle), np.cos(angle)],
        ]
        both = np.concatenate([spot, apply(np.linalg.inv(h), spot)])
        wanted.append(((both >= 0) & (both <= SIZE)).all())
    assert 30 < sum(wanted) < 300
    assert squares_inside(places, 13.0, h, SIZE).tolist() == wanted
