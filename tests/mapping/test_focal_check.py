"""A map's matches notice a wrong focal length of its references, and nothing else."""

import dataclasses

import numpy as np

from localize.mapping.focal_check import doubtful_focals
from localize.types import Camera, ImageList, PairMatches
from tests.conftest import PINHOLE
from tests.mapping.test_triangulation import generated_scene


def check(times: float, noise_px: float = 1.0) -> list[str]:
    _, images, _, keypoints, matches = generated_scene(num_points=300)
    rng = np.random.default_rng(0)
    noisy = {n: xy + noise_px * rng.normal(size=xy.shape) for n, xy in keypoints.items()}
    for pair, m in matches.items():  # a third of them wrong
        rows = m.rows.copy()
        rows[:100, 1] = rng.permutation(rows[:100, 1])
        matches[pair] = PairMatches(rows)
    camera = images.images[0].camera
    params = camera.params * np.where(np.arange(len(camera.params)) < 2, times, 1)  # PINHOLE
    given = Camera(camera.model, camera.width, camera.height, params)
    told = ImageList(tuple(dataclasses.replace(image, camera=given) for image in images))
    return doubtful_focals(told, matches, noisy.__getitem__, matches.__getitem__)


def test_a_right_focal_length_is_not_doubted():
    assert check(1.0) == []
    assert check(1.01) == []


def test_a_wrong_one_is_with_the_right_one():
    for times in (0.8, 1.114):
        (sentence,) = check(times)
        fits = float(sentence.split("f = ")[1].split(" px")[0])
        assert abs(fits / PINHOLE.focal_px - 1) < 0.03
        assert f"{PINHOLE.focal_px * times:.0f} px (camera PINHOLE 640 x 480)" in sentence
