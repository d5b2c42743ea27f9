"""The ground: its picture (cobbles, asphalt, slabs, gutters), where puddles stand, and the raised pavements."""

import numpy as np
import PIL.Image

from localize.render.layout import Plan, wall_distance, walls
from localize.render.meshes import Frame, Meshes
from localize.render.noise import cells, fractal, shaded, smooth, spots

KERB_M, PAVEMENT_M = 0.11, 1.15


def extent(plan: Plan) -> tuple[float, float, float, float]:
    """x0, y0, x1, y1 of the ground, 4 m beyond the walls (the arcade lies behind one)."""
    w = walls(plan).reshape(-1, 2)
    return (*(w.min(0) - 4), *(w.max(0) + 4))


def paint_ground(plan: Plan, rng, px_per_m: float = 72) -> tuple[np.ndarray, np.ndarray]:
    """(picture (h, w, 3) uint8, puddles (h, w) float32 0..1 at a quarter of the size); row 0 is the north."""
    x0, y0, x1, y1 = extent(plan)
    shape = h, w = round((y1 - y0) * px_per_m), round((x1 - x0) * px_per_m)
    small = np.stack(np.meshgrid(np.linspace(x0, x1, w // 12), np.linspace(y1, y0, h // 12)), -1)
    near = _enlarged(wall_distance(plan, small).astype(np.float32), shape)
    x = np.linspace(x0, x1, w, dtype=np.float32)[None].repeat(h, 0)
    y = np.linspace(y1, y0, h, dtype=np.float32)[:, None].repeat(w, 1)
    sx0, sy0, sx1, sy1 = plan.square
    in_square = (x > sx0) & (x < sx1) & (y > sy0) & (y < sy1)
    wobble = 0.012 * smooth(rng, shape, 10)
    stone, tint_a = _blocks(rng, x + wobble, y + 0.03 * np.sin(x * 0.9) + wobble, 0.17, 0.12, 0.3)
    slab, tint_b = _blocks(rng, x, y, 0.62, 0.41, 0.2)
    asphalt = 0.05 * fractal(rng, shape, (2, 4, 30, 160), (1.2, 0.8, 0.6, 0.9)) - 0.18 * (smooth(rng, shape, 260) > 1.1)
    crack = np.abs(smooth(rng, shape, 150) + 0.2 * smooth(rng, shape, 20) + 0.07 * smooth(rng, shape, 5))
    asphalt -= 0.35 * (crack < 0.014)
    pavement = near < PAVEMENT_M
    light = np.where(pavement, slab, np.where(in_square, stone, asphalt))
    light += 0.08 * spots(rng, shape, 1 / 2500, (2, 7)) + 0.09 * smooth(rng, shape, 90) + 0.05 * smooth(rng, shape, 300)
    light -= 0.2 * np.exp(-(((near - PAVEMENT_M - 0.12) / 0.13) ** 2)) * ~in_square
    colour = np.where(pavement[..., None], np.float32([0.52, 0.5, 0.46]), np.float32([0.27, 0.27, 0.28]))
    colour = np.where((in_square & ~pavement)[..., None], np.float32([0.45, 0.42, 0.38]), colour)
    colour *= 1 + 0.1 * np.where(pavement, tint_b, np.where(in_square, tint_a, 0))[..., None] * np.float32([1, 0, -1])
    picture = shaded(colour, light)
    _manholes(rng, picture, near)
    quarter = (h // 4, w // 4)
    edge = near[::4, ::4][: quarter[0], : quarter[1]] - 1.4  # metres from the gutter
    depth = smooth(rng, quarter, 32) + 0.35 * smooth(rng, quarter, 9) + 0.8 * np.exp(-((edge / 0.3) ** 2))
    return picture, ((depth - 0.5) * 3).clip(0, 1).astype(np.float32)


def _enlarged(field: np.ndarray, shape) -> np.ndarray:
    return np.asarray(PIL.Image.fromarray(field).resize(shape[::-1], PIL.Image.Resampling.BILINEAR))


def _blocks(rng, x, y, long_m: float, wide_m: float, contrast: float):
    """(light, tint) of paving blocks laid in rows."""
    row = np.floor(y / wide_m).astype(np.int32)
    across = x / long_m + 0.5 * (row % 2) + 0.3 * cells(row, row * 0, rng)
    column = np.floor(across).astype(np.int32)
    joint = np.minimum(0.5 - np.abs(y / wide_m - row - 0.5), (0.5 - np.abs(across - column - 0.5)) * long_m / wide_m)
    light = contrast * (cells(row, column, rng) - 0.5) - 0.4 * (joint < 0.012 / wide_m)
    return light.astype(np.float32), cells(row, column, rng)


def _manholes(rng, picture: np.ndarray, near: np.ndarray) -> None:
    """Iron covers with a pattern, and markings of old paint."""
    h, w = near.shape
    r = 22
    for _ in range(9000):
        y, x = rng.integers(r, h - r), rng.integers(r, w - r)
        if not 2.2 < near[y, x] < 4.5 or rng.random() > 0.012:
            continue
        yy, xx = np.mgrid[-r:r, -r:r]
        disc = yy**2 + xx**2 < (r - 2) ** 2
        iron = 45 + 35 * ((yy // 4 + xx // 4) % 2) + 25 * (yy**2 + xx**2 > (r - 6) ** 2)
        part = picture[y - r : y + r, x - r : x + r]
        part[disc] = (iron[disc, None] * [1, 0.97, 0.92]).astype(np.uint8)


def lay_ground(meshes: Meshes, plan: Plan) -> None:
    """The street at z = 0 and pavements along all walls, one kerb higher; the texture lies flat over all of it."""
    x0, y0, x1, y1 = extent(plan)

    def flat(material, points, z):
        uv = [((p[0] - x0) / (x1 - x0), (p[1] - y0) / (y1 - y0)) for p in points]
        meshes.quad(material, "ground", [(p[0], p[1], z) for p in points], uv)

    flat("ground", [(x0, y0), (x1, y0), (x1, y1), (x0, y1)], 0.0)
    for loop in plan.loops:
        points = np.array(loop, float)
        n = len(points)
        d = np.roll(points, -1, 0) - points
        d /= np.linalg.norm(d, axis=1, keepdims=True)
        left = np.stack([-d[:, 1], d[:, 0]], 1)
        inner = points + PAVEMENT_M * (left + np.roll(left, 1, 0))
        for i in range(n):
            a, b, p, q = points[i], points[(i + 1) % n], inner[i], inner[(i + 1) % n]
            flat("ground", [a, b, q, p], KERB_M)
            length = float(np.linalg.norm(q - p))
            along = np.append((p - q) / length, 0)
            edge = Frame(np.append(q, 0.0), along, np.append(left[i], 0.0))
            for s in np.arange(0, length, 1.0):
                e = min(s + 0.99, length)
                u = (7 * i + s) % 8 / 9
                meshes.box(edge, "matte", "kerb", (s, -0.14, 0), (e, 0.01, KERB_M + 0.012), (u, 0, u + 0.1, 1))
