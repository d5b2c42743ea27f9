"""Changes of light: the night is dark, and nothing moves."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from localize.train.photos import photometric
from tests.generated_photos import blobs, centroid, textured


@pytest.fixture(scope="module")
def photo():
    return textured(0)


def test_the_night_is_dark_and_shows_the_same_place(photo):
    light = photo.astype(np.float32)
    nights = [photometric.night(light, np.random.default_rng(seed)) for seed in range(8)]
    edges, high = [], gaussian_filter(light.mean(2), 2) - gaussian_filter(light.mean(2), 8)
    for seen in nights:
        assert seen.shape == light.shape
        assert seen.min() >= 0
        assert seen.max() <= 255
        assert seen.mean() < 0.75 * light.mean()
        grey = seen.mean(2)
        edges.append(np.corrcoef(high.ravel(), (gaussian_filter(grey, 2) - gaussian_filter(grey, 8)).ravel())[0, 1])
    assert np.median(edges) > 0.3
    assert np.mean([seen.mean() for seen in nights]) < 0.45 * light.mean()
    assert np.ptp([seen.mean() for seen in nights]) > 10  # no two nights are alike


CHANGES = ("gamma", "colour_cast", "gaussian_noise", "shot_noise", "gaussian_blur", "motion_blur", "jpeg", "shading")


@pytest.mark.parametrize("name", [*CHANGES, "shadows", "relief"])
def test_a_change_of_light_changes_the_photo_and_moves_nothing(name):
    spot = np.array([60.0, 50.0])
    dot = blobs([spot], (120, 100), sigma=2.5).astype(np.float32)
    seen, mild = ([getattr(photometric, name)(dot, np.random.default_rng(s), f) for s in range(16)] for f in (1, 0.2))
    assert all(np.isfinite(s).all() and s.shape == dot.shape for s in seen)
    places = [centroid((s - s[:5].mean()).clip(20, None) - 20, spot) for s in seen]
    np.testing.assert_allclose(np.mean(places, 0), spot, atol=0.35)
    far, near = (np.mean([np.abs(s - dot).mean() for s in some]) for some in (seen, mild))
    assert far > near
    assert far > 0.01


def test_random_changes_repeat_and_differ(photo):
    first, again = ([photometric.random_change(photo, np.random.default_rng(s)) for s in range(6)] for _ in range(2))
    assert all(f.dtype == np.uint8 and f.shape == photo.shape for f in first)
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert len({f.tobytes() for f in first}) == 6
