"""Minitown: the town from a seed, the cameras in it, the lens, and with Mitsuba where points land in a picture."""

import dataclasses

import numpy as np
import pytest

from localize.render import film
from localize.render.layout import PLANS, open_at
from localize.render.light import Light
from localize.render.meshes import Atlas, Meshes, frame_at
from localize.render.town import Town
from localize.render.views import QUERY_CAMERAS, REFERENCE_CAMERA, look

BLACK = Light("black", None, sky=1e-6, lamps=True, lamp_watt=(0.0, 0.0, 0.0), globe_rgb=(50.0, 50.0, 50.0))


def balls(points: np.ndarray, radius: float) -> Town:
    """A town of nothing but shining balls."""
    meshes = Meshes()
    meshes.textures["white"] = np.full((8, 8, 3), 255, np.uint8)
    t = np.linspace(-np.pi / 2, np.pi / 2, 9)
    profile = [(radius * np.cos(a), radius * np.sin(a)) for a in t]
    for x, y, z in points:
        meshes.lathe(frame_at(x, y).moved(up=z), "lamp", "white", profile, 16)
    atlas, nothing = Atlas(meshes.textures), np.zeros((0, 3))
    ground = np.zeros((8, 8, 3), np.uint8)
    parts = meshes.baked(atlas)
    return Town(PLANS["benchmark"], parts, atlas.pixels, ground, np.zeros((2, 2)), nothing, nothing, points)


@pytest.mark.parametrize("camera", [REFERENCE_CAMERA, *QUERY_CAMERAS], ids=lambda c: f"k={c.params[3]}")
def test_points_land_where_the_pose_says(camera):
    """Balls at known places are found in the distorted picture within 0.1 px of their projections."""
    pytest.importorskip("mitsuba", reason="mitsuba is not installed: the check of rendered against projected points")
    from localize.render.mitsuba_scene import Renderer

    pose = look((1.0, 2.0, 1.6), 37.0, 8.0, 5.0)
    wanted = np.array([(x, y) for x in (25.2, 200.7, 321.4, 610.3) for y in (20.6, 240.1, 455.8)])
    rays = np.c_[film.undistorted(camera, wanted), np.ones(len(wanted))]
    points = (rays * np.linspace(4, 12, len(wanted))[:, None] - pose.translation) @ pose.rotation
    focal, size = film.pinhole_for(camera)
    renderer = Renderer(balls(points, 0.025), BLACK)
    pinhole = renderer.render(pose, focal, size, 16, seed=1)
    picture = film.distorted(pinhole[..., 3:6], camera)[..., 0]
    seen = film.project(camera, points @ pose.rotation.T + pose.translation)
    np.testing.assert_allclose(seen, wanted, atol=1e-6)
    for x, y in seen:
        x0, y0 = int(x) - 9, int(y) - 9
        part = picture[y0 : y0 + 19, x0 : x0 + 19].astype(float)
        yy, xx = np.mgrid[0:19, 0:19] + 0.5
        found = np.array([(part * xx).sum(), (part * yy).sum()]) / part.sum() + (x0, y0)
        assert np.abs(found - (x, y)).max() < 0.1, (found, x, y)
