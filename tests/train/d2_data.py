"""Tiny data for D2's training, made here: photos, a town with depth, a sequence."""

import pathlib

import numpy as np
import PIL.Image
from scipy.ndimage import gaussian_filter, map_coordinates

from localize.io.text import write_poses, write_query_list
from localize.types import Camera, Image, Pose


def write_photos(folder: pathlib.Path) -> pathlib.Path:
    """A folder of photos of blobs, one smaller than the crops."""
    rng = np.random.default_rng(5)
    for i, side in enumerate((180, 150, 50)):
        blobs = gaussian_filter(rng.normal(size=(side, side + 20, 3)), (2.5, 2.5, 0))
        pixels = (128 + 50 * blobs / blobs.std()).clip(0, 255).astype(np.uint8)
        PIL.Image.fromarray(pixels).save(folder / f"{i}.png")
    return folder


def write_town(folder: pathlib.Path) -> pathlib.Path:
    """A wall in three photos, with depth; the third has no depth map."""
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


def write_sequence(folder: pathlib.Path) -> pathlib.Path:
    """Six photos of a plane, each shifted by 4 px more."""
    rng = np.random.default_rng(8)
    blobs = gaussian_filter(rng.normal(size=(120, 140, 3)), (2, 2, 0))
    pixels = (128 + 50 * blobs / blobs.std()).clip(0, 255).astype(np.uint8)
    for k in range(1, 7):
        PIL.Image.fromarray(pixels[:96, 4 * k : 4 * k + 112]).save(folder / f"{k}.png")
        if k > 1:
            np.savetxt(folder / f"H_1_{k}", [[1, 0, -4 * (k - 1)], [0, 1, 0], [0, 0, 1]])
    return folder
