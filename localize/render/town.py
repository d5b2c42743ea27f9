"""A whole town from a seed: meshes per material, the texture atlas, the ground, lamps and obstacles."""

from dataclasses import dataclass

import numpy as np

from localize.render import furniture
from localize.render.cars import car
from localize.render.church import church
from localize.render.ground import KERB_M, lay_ground, paint_ground
from localize.render.houses import house, styles
from localize.render.layout import PLANS, Plan, lots, open_at, wall_distance, walls
from localize.render.meshes import Atlas, Meshes
from localize.render.paint import paint_shared
from localize.types import InputError


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


def build_town(name: str, seed: int, px_per_m: int = 100) -> Town:
    """The town of a name: `benchmark` or `training`, which share neither plan nor paint. InputError for another.

    `px_per_m` is how finely walls are painted; it takes part in what the seed yields, as paint and plan share it.
    """
    if name not in PLANS:
        raise InputError(f"there is no town {name!r}; valid: {', '.join(PLANS)}")
    plan, meshes = PLANS[name], Meshes(px_per_m)
    rng = np.random.default_rng([sorted(PLANS).index(name), seed])
    paint_shared(meshes, rng, name)
    corners = _build_houses(meshes, rng, plan, name)
    lay_ground(meshes, plan)
    lamps, obstacles = _furnish(meshes, rng, plan)
    ground, puddles = paint_ground(plan, rng, 0.72 * px_per_m)
    atlas = Atlas(meshes.textures)
    atlas.place["ground"] = (0.0, 1.0, 1.0, -1.0)
    return Town(plan, meshes.baked(atlas), atlas.pixels, ground, puddles, lamps, obstacles, corners)


def _build_houses(meshes: Meshes, rng, plan: Plan, name: str) -> np.ndarray:
    """All houses; every design is used again and again, but no neighbour copies its neighbour."""
    designs, last, corners = styles(rng, name), -1, []
    for lot in lots(plan, rng):
        if lot.kind == "church":
            church(meshes, rng, lot)
            continue
        pick = int(rng.integers(len(designs)))
        last = pick if pick != last else (pick + 1) % len(designs)
        house(meshes, rng, lot, designs[last], arcade=lot.kind == "arcade")
        corners += [lot.frame.world((s, 0, z)) for s in (0, lot.width) for z in (KERB_M, designs[last].height_m)]
    return np.array(corners)


def _furnish(meshes: Meshes, rng, plan: Plan) -> tuple[np.ndarray, np.ndarray]:
    """(lights of the lamps (L, 3), obstacles (O, 3))."""
    furniture.fountain(meshes, plan.fountain)
    lamps, obstacles = [], [(*plan.fountain, 2.9)]

    def free(x, y, r, wall_m):
        clear = all(np.hypot(x - o[0], y - o[1]) > r + o[2] for o in obstacles)
        return clear and bool(open_at(plan, (x, y))) and wall_distance(plan, (x, y)) > wall_m

    for a, b in walls(plan):
        length = np.linalg.norm(b - a)
        d = (b - a) / length
        left = np.array([-d[1], d[0]])
        for s in np.arange(4.5, length - 3, 13.0):
            x, y = a + s * d + 0.95 * left
            if free(x, y, 0.2, 0.9) and all(np.hypot(x - p[0], y - p[1]) > 7.5 for p in lamps):
                furniture.lamp(meshes, x, y)
                lamps.append((x, y, 3.66))
                obstacles.append((x, y, 0.35))
        for s in np.arange(rng.uniform(3.5, 6), length - 3.5, 5.2):
            x, y = a + s * d + 2.15 * left
            x0, y0, x1, y1 = plan.square
            in_square = x0 - 1 < x < x1 + 1 and y0 - 1 < y < y1 + 1
            if not in_square and rng.random() < 0.42 and free(x, y, 1.6, 1.9):
                car(meshes, rng, x, y, np.degrees(np.arctan2(d[1], d[0])) + rng.choice((0, 180)) + rng.normal())
                obstacles += [(x + k * d[0], y + k * d[1], 1.15) for k in (-1.3, 0, 1.3)]
    _furnish_square(meshes, rng, plan, free, obstacles)
    return np.array(lamps), np.array(obstacles)


def _furnish_square(meshes: Meshes, rng, plan: Plan, free, obstacles: list) -> None:
    """Trees with benches, and bollards around the fountain."""
    x0, y0, x1, y1 = plan.square
    for u, v in ((0.2, 0.2), (0.8, 0.22), (0.22, 0.8), (0.82, 0.8), (0.5, 0.16)):
        x, y = x0 + u * (x1 - x0), y0 + v * (y1 - y0)
        if free(x, y, 1.0, 3.0):
            furniture.tree(meshes, rng, x, y)
            furniture.bench(meshes, x + 1.6, y + 0.3, rng.choice((0, 90)))
            obstacles += [(x, y, 0.8), (x + 1.6, y + 0.3, 1.1)]
    for t in np.linspace(0, 2 * np.pi, 11)[:-1]:
        x, y = plan.fountain + 4.2 * np.array([np.cos(t), np.sin(t)])
        if free(x, y, 0.2, 2.0):
            furniture.bollard(meshes, x, y)
            obstacles.append((x, y, 0.35))
