"""Patches of HPatches' sequences: the same place of a flat scene, in photos whose homographies are in files."""

from itertools import pairwise

import numpy as np
import PIL.Image
import pytest
from scipy.ndimage import gaussian_filter

from localize.features.files import Files
from localize.features.sift import Sift
from localize.io.benchmarks.phototour import read_phototour
from localize.io.benchmarks.sequences import HALF_PIXEL
from localize.pipelines.training import patches_from_sequences
from localize.train.photos.homographies import random_homography, warp
from localize.types import InputError

SIZE = (320, 240)


@pytest.fixture
def sequence(tmp_path):
    """Six photos of one texture, as HPatches stores them."""
    rng = np.random.default_rng(0)
    noise = [gaussian_filter(rng.normal(size=SIZE[::-1]), s) * s for s in (2, 4, 8)]
    texture = np.clip(128 + 90 * sum(noise), 0, 255).astype(np.uint8)
    folder = tmp_path / "v_texture"
    folder.mkdir()
    for k in range(1, 7):
        homography = np.eye(3)
        if k > 1:
            homography = random_homography(rng, SIZE, rotation_deg=20, scale=(0.8, 1.2), shear=0.1, perspective=0.1)
            from_centres = np.linalg.inv(HALF_PIXEL) @ homography @ HALF_PIXEL
            np.savetxt(folder / f"H_1_{k}", from_centres / from_centres[2, 2])
        photo = warp(np.repeat(texture[..., None], 3, 2), homography)
        PIL.Image.fromarray(photo).save(folder / f"{k}.ppm")
    return folder


def test_patches_of_a_point_look_alike(sequence, tmp_path):
    said = patches_from_sequences.run(output=str(tmp_path), sequences=(str(sequence),), feature=Sift(max_keypoints=800))
    patches, points = read_phototour(tmp_path / "patches")
    assert f"{len(points)} patches of {len(np.unique(points))} points from 1 sequences" in said
    assert np.bincount(points).max() > 4
    order = np.argsort(points, kind="stable")
    rows = patches[order].reshape(len(patches), -1).astype(float)
    same = points[order][1:] == points[order][:-1]
    alike = np.array([np.corrcoef(a, b)[0, 1] for a, b in pairwise(rows)])
    assert np.median(alike[same]) > 0.9  # half a pixel wrong, or H turned round, and it is less
    assert np.median(alike[~same]) < 0.3


def test_features_of_a_file_are_refused(sequence, tmp_path):
    with pytest.raises(InputError, match=r"Files finds no keypoints in new photos: take feature=sift"):
        patches_from_sequences.run(output=str(tmp_path), sequences=(str(sequence),), feature=Files("f.h5"))


def test_what_lacks_is_named_for_every_folder(sequence, tmp_path):
    (sequence / "H_1_4").write_text("1 0 0\n0 1\n")
    with pytest.raises(InputError) as refused:
        patches_from_sequences.run(
            output=str(tmp_path), sequences=(str(sequence), str(tmp_path / "none")), feature=Sift()
        )
    assert "H_1_4" in refused.value.problems[0]
    assert "has no photo 1" in refused.value.problems[1]
