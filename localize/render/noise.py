"""Random fields that the textures are painted with: smooth at a chosen scale, never periodic, the same for a seed."""

import numpy as np
import PIL.Image


def smooth(rng: np.random.Generator, shape: tuple[int, int], scale_px: float) -> np.ndarray:
    """A field (h, w) float32 of mean 0 and deviation 1 whose bumps are about `scale_px` wide."""
    h, w = shape
    coarse = rng.normal(size=(int(h / scale_px) + 4, int(w / scale_px) + 4)).astype(np.float32)
    box = (1.0, 1.0, 1.0 + w / scale_px, 1.0 + h / scale_px)
    field = np.asarray(PIL.Image.fromarray(coarse).resize((w, h), PIL.Image.Resampling.BICUBIC, box=box))
    return field / max(float(field.std()), 1e-6)


def fractal(rng: np.random.Generator, shape: tuple[int, int], scales_px, weights) -> np.ndarray:
    """A weighted sum of smooth fields (h, w) float32."""
    out = np.zeros(shape, np.float32)
    for scale, weight in zip(scales_px, weights, strict=True):
        out += weight * smooth(rng, shape, scale)
    return out


def spots(
    rng: np.random.Generator, shape: tuple[int, int], per_px: float, radius_px: tuple[float, float]
) -> np.ndarray:
    """Blots with soft rims at random places, signed -1..1, (h, w) float32; their density is `per_px` per pixel."""
    h, w = shape
    out = np.zeros(shape, np.float32)
    for _ in range(rng.poisson(per_px * h * w)):
        r = rng.uniform(*radius_px)
        stretch, strength = rng.uniform(0.6, 1.6), rng.uniform(0.4, 1) * rng.choice((-1, 1))
        x, y = rng.uniform(0, w), rng.uniform(0, h)
        x0, x1 = max(0, int(x - 2 * r)), min(w, int(x + 2 * r) + 1)
        y0, y1 = max(0, int(y - 2 * r)), min(h, int(y + 2 * r) + 1)
        yy, xx = np.mgrid[y0:y1, x0:x1]
        d2 = ((xx - x) * stretch / r) ** 2 + ((yy - y) / stretch / r) ** 2
        out[y0:y1, x0:x1] += strength * np.exp(-(d2**2))
    return out.clip(-1, 1)


def cells(coordinate_a: np.ndarray, coordinate_b: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One random number in 0..1 per pair of whole numbers; (h, w) float32."""
    table = rng.random((509, 521)).astype(np.float32)
    return table[coordinate_a % 509, coordinate_b % 521]


def shaded(rgb, light: np.ndarray) -> np.ndarray:
    """A colour (3,) or picture (h, w, 3) in 0..1 times 1 + light (h, w), as uint8."""
    picture = np.asarray(rgb, np.float32) * (1 + light[..., None])
    return (picture.clip(0.02, 0.97) * 255 + 0.5).astype(np.uint8)
