"""A whole town from a seed: meshes per material, the texture atlas, the ground, lamps and obstacles."""

from dataclasses import dataclass

import numpy as np

from localize.render import furniture, painted, textures
from localize.render.ground import KERB_M, lay_ground, paint_ground
from localize.render.houses import house, shared_textures, styles
from localize.render.layout import PLANS, Lot, Plan, lots, open_at, wall_distance, walls
from localize.render.meshes import Atlas, Meshes
from localize.types import InputError

DOORS = {
    "benchmark": np.array([(0.16, 0.28, 0.2), (0.42, 0.22, 0.12), (0.17, 0.24, 0.36), (0.46, 0.13, 0.1), (0.3, 0.26, 0.2)]),
    "training": np.array([(0.12, 0.2, 0.3), (0.36, 0.3, 0.22), (0.2, 0.32, 0.32), (0.34, 0.1, 0.14), (0.15, 0.15, 0.16)]),
}
CLOTHS = {
    "benchmark": [(0.55, 0.12, 0.1), (0.13, 0.33, 0.2), (0.15, 0.22, 0.42), (0.62, 0.38, 0.12)],
    "training": [(0.5, 0.28, 0.1), (0.1, 0.3, 0.38), (0.4, 0.12, 0.22), (0.3, 0.35, 0.15)],
}


@dataclass(frozen=True, eq=False)
class Town:
    """What the renderer and the cameras need to know; metres, x east, y north, z up."""

    plan: Plan
    parts: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]  # material: vertices, uv, triangles
    atlas: np.ndarray  # (h, w, 3) uint8
    ground: np.ndarray  # (h, w, 3) uint8
    puddles: np.ndarray  # (h, w) float32 in 0..1
    lamps: np.ndarray  # (L, 3) the lights
    obstacles: np.ndarray  # (O, 3): x, y, radius of what no camera may stand in
    corners: np.ndarray  # (C, 3) foot and eaves of the houses' edges: known points to check a picture with


def build_town(name: str, seed: int) -> Town:
    """The town of a name: `benchmark` or `training`, which share neither plan nor paint. InputError for another."""
    if name not in PLANS:
        raise InputError(f"there is no town {name!r}; valid: {', '.join(PLANS)}")
    plan, meshes = PLANS[name], Meshes()
    rng = np.random.default_rng([sorted(PLANS).index(name), seed])
    _paint_shared(meshes, rng, name)
    corners = _build_houses(meshes, rng, plan, name)
    lay_ground(meshes, plan)
    lamps, obstacles = _furnish(meshes, rng, plan)
    ground, puddles = paint_ground(plan, rng)
    atlas = Atlas(meshes.textures)
    atlas.place["ground"] = (0.0, 1.0, 1.0, -1.0)
    return Town(plan, meshes.baked(atlas), atlas.pixels, ground, puddles, lamps, obstacles, corners)


def _paint_shared(meshes: Meshes, rng, name: str) -> None:
    shared_textures(meshes, rng)
    t = meshes.textures
    for i in range(24):
        t[f"pane{i}"] = painted.pane(rng, (170, 105))
    for i in range(8):
        t[f"goods{i}"] = painted.shop_window(rng, (200, 420))
        t[f"door{i}"] = painted.door(rng, (230, 106), DOORS[name][i % 5] * rng.uniform(0.8, 1.2))
    for i in range(18):
        t[f"poster{i}"] = painted.poster(rng, (280, 200))
    for i in range(6):
        t[f"paint{i}"] = textures.wood(rng, (200, 300), DOORS[name][i % 5] * rng.uniform(0.7, 1.1), 40)
        t[f"car{i}"] = np.full((16, 16, 3), (255 * rng.uniform(0.05, 0.7) * rng.uniform(0.55, 1, 3)).astype(np.uint8))
        t[f"plate{i}"] = painted.sign(rng, (24, 104), f"{rng.integers(10, 99)}-MT-{rng.integers(100, 999)}")
    greens = {"benchmark": [(0.18, 0.33, 0.24), (0.3, 0.2, 0.14)], "training": [(0.2, 0.27, 0.4), (0.42, 0.18, 0.15)]}[name]
    for i in range(4):
        t[f"shutter{i}"] = textures.louvres(rng, (170, 55), np.array(greens[i % 2]) * rng.uniform(0.8, 1.4))
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


def _build_houses(meshes: Meshes, rng, plan: Plan, name: str) -> np.ndarray:
    """All houses; every design is used again and again, but no neighbour copies its neighbour."""
    designs, last, corners = styles(rng, name), -1, []
    all_lots: list[Lot] = lots(plan, rng)
    for lot in all_lots:
        if lot.kind == "church":
            furniture.church(meshes, rng, lot)
            continue
        pick = int(rng.integers(len(designs)))
        last = pick if pick != last else (pick + 1) % len(designs)
        house(meshes, rng, lot, designs[last], arcade=lot.kind == "arcade")
        corners += [lot.frame.world((s, 0, z)) for s in (0, lot.width) for z in (KERB_M, designs[last].height_m)]
    return np.array(corners)


def _furnish(meshes: Meshes, rng, plan: Plan) -> tuple[np.ndarray, np.ndarray]:
    """(lights of the lamps, obstacles)."""
    furniture.fountain(meshes, plan.fountain)
    obstacles = [(*plan.fountain, 2.9)]
    lamps = []

    def free(x, y, r, wall_m):
        xy = np.array([x, y])
        clear = all(np.hypot(x - o[0], y - o[1]) > r + o[2] for o in obstacles)
        return clear and bool(open_at(plan, xy)) and wall_distance(plan, xy) > wall_m

    for a, b in walls(plan):
        length = np.linalg.norm(b - a)
        d = (b - a) / max(length, 1e-9)
        left = np.array([-d[1], d[0]])
        for s in np.arange(4.5, length - 3, 13.0):
            x, y = a + s * d + 0.95 * left
            if free(x, y, 0.2, 0.9) and all(np.hypot(x - p[0], y - p[1]) > 7.5 for p in lamps):
                furniture.lamp(meshes, x, y)
                lamps.append((x, y, 3.66))
                obstacles.append((x, y, 0.35))
        for s in np.arange(rng.uniform(3.5, 6), length - 3.5, 5.2):
            x, y = a + s * d + 2.15 * left
            in_square = plan.square[0] - 1 < x < plan.square[2] + 1 and plan.square[1] - 1 < y < plan.square[3] + 1
            if not in_square and rng.random() < 0.42 and free(x, y, 1.6, 1.9):
                furniture.car(meshes, rng, x, y, np.degrees(np.arctan2(d[1], d[0])) + rng.choice((0, 180)) + rng.normal())
                obstacles += [(x + k * d[0], y + k * d[1], 1.15) for k in (-1.3, 0, 1.3)]
    x0, y0, x1, y1 = plan.square
    for u, v in ((0.2, 0.2), (0.8, 0.22), (0.22, 0.8), (0.82, 0.8), (0.5, 0.16)):
        x, y = x0 + u * (x1 - x0), y0 + v * (y1 - y0)
        if free(x, y, 1.0, 3.0):
            furniture.tree(meshes, rng, x, y)
            obstacles.append((x, y, 0.8))
            furniture.bench(meshes, x + 1.6, y + 0.3, rng.choice((0, 90)))
            obstacles.append((x + 1.6, y + 0.3, 1.1))
    for t in np.linspace(0, 2 * np.pi, 11)[:-1]:
        x, y = plan.fountain + 4.2 * np.array([np.cos(t), np.sin(t)])
        if free(x, y, 0.2, 2.0):
            furniture.bollard(meshes, x, y)
            obstacles.append((x, y, 0.35))
    return np.array(lamps), np.array(obstacles)
