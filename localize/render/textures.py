"""Pictures (h, w, 3) uint8 that cover the town's surfaces, 1 cm per pixel unless said otherwise; row 0 is the top."""

import numpy as np

from localize.render.noise import cells, fractal, shaded, smooth, spots


def plaster(rng, shape, rgb) -> np.ndarray:
    """Rendered wall: grain, trowel marks, patches of other paint, hair cracks, dirt rising from the street."""
    light = 0.035 * fractal(rng, shape, (3, 6, 14, 40, 150), (0.4, 0.7, 0.8, 0.8, 1.0))
    light += 0.12 * spots(rng, shape, 1 / 2200, (2, 6)) + 0.10 * spots(rng, shape, 1 / 9000, (6, 25))
    patch = smooth(rng, shape, 110) + 0.25 * smooth(rng, shape, 9)
    light -= 0.14 * (patch > 1.6) - 0.07 * (patch < -1.8)
    crack = np.abs(smooth(rng, shape, 90) + 0.22 * smooth(rng, shape, 12) + 0.06 * smooth(rng, shape, 4))
    light -= 0.22 * (crack < 0.018) * (smooth(rng, shape, 130) > 0.5)
    return shaded(rgb, light + _weather(rng, shape))


def _weather(rng, shape) -> np.ndarray:
    """Runs of rain from above and splashes at the foot."""
    h, w = shape
    runs = np.repeat(smooth(rng, (8, w), 5)[3:4] + smooth(rng, (8, w), 22)[3:4], h, 0)
    reach = np.linspace(1, 0, h)[:, None] ** 2
    foot = np.exp(-(h - np.arange(h))[:, None] / 45)
    return (0.05 * runs * reach - 0.24 * foot * (0.9 + 0.35 * smooth(rng, shape, 16))).astype(np.float32)


def brick(rng, shape, rgb) -> np.ndarray:
    """Brickwork in running bond, 24 x 7.5 cm, every brick burnt differently."""
    h, w = shape
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    y += 0.5 * smooth(rng, shape, 60)
    row = np.floor(y / 7.5).astype(int)
    across = x / 24 + 0.5 * (row % 2)
    column = np.floor(across).astype(int)
    joint = (np.abs(y / 7.5 - row - 0.5) > 0.42) | (np.abs(across - column - 0.5) > 0.47)
    burnt, hue = cells(row, column, rng), cells(row, column, rng)
    tint = np.stack([1 + 0.10 * hue, 1 - 0.06 * hue, 1 - 0.12 * hue], -1)
    stone = np.asarray(rgb, np.float32) * tint * (0.76 + 0.4 * burnt[..., None])
    picture = np.where(joint[..., None], np.float32([0.56, 0.53, 0.48]), stone)
    light = 0.04 * fractal(rng, shape, (3, 7, 60, 200), (0.7, 0.7, 0.8, 1.0)) + 0.12 * spots(
        rng, shape, 1 / 7000, (5, 22)
    )
    return shaded(picture, light + _weather(rng, shape))


def ashlar(rng, shape, rgb, size_px=(58, 30)) -> np.ndarray:
    """Cut stone in courses, 58 x 30 cm, with worn arrises."""
    h, w = shape
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    row = np.floor(y / size_px[1]).astype(int)
    across = x / size_px[0] + 0.5 * (row % 2) + 0.25 * cells(row, row * 0, rng)
    column = np.floor(across).astype(int)
    joint = np.minimum(0.5 - np.abs(y / size_px[1] - row - 0.5), (0.5 - np.abs(across - column - 0.5)) * 1.9)
    light = 0.2 * (cells(row, column, rng) - 0.5) - 0.3 * (joint < 0.035 + 0.01 * smooth(rng, shape, 8))
    light += 0.04 * fractal(rng, shape, (3, 6, 15, 70), (0.4, 0.7, 1.0, 1.0)) + 0.13 * spots(
        rng, shape, 1 / 3500, (2, 8)
    )
    return shaded(rgb, light + _weather(rng, shape))


def roof_tiles(rng, shape, rgb) -> np.ndarray:
    """Rows of clay tiles with their shadows, some bleached, some mossy."""
    h, w = shape
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    row = np.floor(y / 26).astype(int)
    across = x / 19 + 0.5 * (row % 2)
    column = np.floor(across).astype(int)
    light = (
        0.36 * (cells(row, column, rng) - 0.5) - 0.3 * (y / 26 - row > 0.86) - 0.25 * (np.abs(across - column) < 0.1)
    )
    light += 0.1 * np.sin(np.pi * (across - column)) + 0.06 * fractal(rng, shape, (4, 30, 120), (0.6, 1, 1))
    moss = (smooth(rng, shape, 50) + 0.6 * smooth(rng, shape, 9) > 1.9)[..., None]
    return shaded(np.where(moss, np.float32([0.33, 0.36, 0.2]), np.float32(rgb)), light)


def wood(rng, shape, rgb, plank_px=14) -> np.ndarray:
    """Upright planks, painted and worn."""
    h, w = shape
    x = np.arange(w)[None].repeat(h, 0)
    plank = x // plank_px
    grain = np.repeat(smooth(rng, (8, w), 2.5)[3:4], h, 0) + 0.5 * smooth(rng, shape, 7)
    light = 0.05 * grain + 0.16 * (cells(plank, plank * 0, rng) - 0.5) - 0.35 * (x % plank_px < 1)
    worn = smooth(rng, shape, 9) + 0.7 * smooth(rng, shape, 3) > 2.1
    return shaded(rgb, light + 0.3 * worn)


def louvres(rng, shape, rgb) -> np.ndarray:
    """A window shutter: slats in a frame."""
    h, w = shape
    y, x = np.mgrid[0:h, 0:w]
    inside = (x > 5) & (x < w - 6) & (y > 6) & (y < h - 7) & (np.abs(y - h // 2) > 4)
    light = np.where(inside, 0.28 * (y % 6) / 6 - 0.3, 0).astype(np.float32)
    light += 0.05 * smooth(rng, shape, 3) + 0.06 * smooth(rng, shape, 25) + 0.1 * spots(rng, shape, 1 / 500, (1.5, 4))
    return shaded(rgb, light)


def plain(rng, shape, rgb, strength=0.05) -> np.ndarray:
    """One colour, a little uneven."""
    light = strength * fractal(rng, shape, (3, 9, 30), (0.6, 0.8, 1))
    return shaded(rgb, light + 2 * strength * spots(rng, shape, 1 / 800, (1.5, 5)))


def stripes(rng, shape, rgb, other) -> np.ndarray:
    """The cloth of an awning."""
    h, w = shape
    which = ((np.arange(w) // 16) % 2 == 0)[None, :, None].repeat(h, 0)
    light = 0.04 * fractal(rng, shape, (3, 12, 60), (0.5, 1, 1)) - 0.12 * (np.arange(h)[:, None] / h)
    return shaded(np.where(which, np.float32(rgb), np.float32(other)), light.astype(np.float32))


def foliage(rng, shape, rgb) -> np.ndarray:
    """Many greens, one per cell of 6 px, for leaves that each take one spot of it."""
    h, w = shape
    y, x = np.mgrid[0:h, 0:w] // 6
    tint = np.stack([cells(y, x, rng) * 0.5, cells(y, x, rng) * 0.25, cells(y, x, rng) * 0.3], -1)
    return shaded(np.float32(rgb) * (0.85 + 0.6 * tint), 0.2 * (cells(y, x, rng) - 0.5))
