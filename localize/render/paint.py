"""The textures that the whole town shares, in the colours of its palette."""

import numpy as np

from localize.render import painted, textures
from localize.render.meshes import Meshes

DOORS = {
    "benchmark": [(0.16, 0.28, 0.2), (0.42, 0.22, 0.12), (0.17, 0.24, 0.36), (0.46, 0.13, 0.1), (0.3, 0.26, 0.2)],
    "training": [(0.12, 0.2, 0.3), (0.36, 0.3, 0.22), (0.2, 0.32, 0.32), (0.34, 0.1, 0.14), (0.15, 0.15, 0.16)],
}
CLOTHS = {
    "benchmark": [(0.55, 0.12, 0.1), (0.13, 0.33, 0.2), (0.15, 0.22, 0.42), (0.62, 0.38, 0.12)],
    "training": [(0.5, 0.28, 0.1), (0.1, 0.3, 0.38), (0.4, 0.12, 0.22), (0.3, 0.35, 0.15)],
}
SHUTTERS = {"benchmark": [(0.18, 0.33, 0.24), (0.3, 0.2, 0.14)], "training": [(0.2, 0.27, 0.4), (0.42, 0.18, 0.15)]}
TRIMS = [(0.72, 0.68, 0.6), (0.62, 0.57, 0.5), (0.8, 0.77, 0.72)]
ROOFS = [(0.5, 0.26, 0.18), (0.42, 0.3, 0.25), (0.3, 0.31, 0.34)]


def _paint_masonry(meshes: Meshes, rng) -> None:
    """Walls and roofs."""
    t = meshes.textures
    for i in range(3):
        t[f"trim{i}"] = textures.plain(rng, (120, 600), TRIMS[i], 0.06)
        t[f"roof{i}"] = textures.roof_tiles(rng, (600, 1200), ROOFS[i])
    t["stone"] = textures.ashlar(rng, (350, 900), (0.66, 0.61, 0.53))
    t["party"] = textures.plaster(rng, (1300, 900), (0.66, 0.62, 0.55))
    t["chimney"] = textures.brick(rng, (300, 300), (0.55, 0.3, 0.23))
    t["white"] = textures.plain(rng, (150, 150), (0.76, 0.75, 0.7), 0.03)
    t["iron"] = textures.plain(rng, (100, 200), (0.07, 0.075, 0.08), 0.1)


def paint_shared(meshes: Meshes, rng, name: str) -> None:
    """All of them, by name, into `meshes.textures`."""
    _paint_masonry(meshes, rng)
    t = meshes.textures
    for i in range(24):
        t[f"pane{i}"] = painted.pane(rng, (170, 105))
    for i in range(8):
        t[f"goods{i}"] = painted.shop_window(rng, (200, 420))
        t[f"door{i}"] = painted.door(rng, (230, 106), np.array(DOORS[name][i % 5]) * rng.uniform(0.8, 1.2))
    for i in range(18):
        t[f"poster{i}"] = painted.poster(rng, (280, 200))
    for i in range(6):
        t[f"paint{i}"] = textures.wood(rng, (200, 300), np.array(DOORS[name][i % 5]) * rng.uniform(0.7, 1.1), 40)
        t[f"car{i}"] = np.full((16, 16, 3), (255 * rng.uniform(0.05, 0.7) * rng.uniform(0.55, 1, 3)).astype(np.uint8))
        t[f"plate{i}"] = painted.sign(rng, (24, 104), f"{rng.integers(10, 99)}-MT-{rng.integers(100, 999)}")
    for i in range(4):
        t[f"shutter{i}"] = textures.louvres(rng, (170, 55), np.array(SHUTTERS[name][i % 2]) * rng.uniform(0.8, 1.4))
        t[f"awning{i}"] = textures.stripes(rng, (120, 500), CLOTHS[name][i], (0.82, 0.8, 0.74))
    t["flowers"] = textures.foliage(rng, (240, 240), (0.42, 0.25, 0.16))
    t["leaves"] = textures.foliage(rng, (400, 400), (0.15, 0.27, 0.07))
    t["bark"] = textures.wood(rng, (340, 120), (0.3, 0.24, 0.18), 5)
    t["wood"] = textures.wood(rng, (60, 180), (0.42, 0.28, 0.16), 200)
    t["bronze"] = textures.plain(rng, (200, 200), (0.24, 0.36, 0.31), 0.15)
    t["water"] = textures.plain(rng, (100, 100), (0.07, 0.12, 0.11), 0.1)
    t["kerb"] = textures.ashlar(rng, (26, 900), (0.55, 0.53, 0.5), (99, 60))
    t["clock"] = painted.clock(rng, 200)
    t["stained"] = painted.stained(rng, (420, 210))
