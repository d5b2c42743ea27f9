"""From linear light to a photo: lens distortion, denoising, haze, rain, exposure, sensor noise, JPEG and depth PNG."""

import io

import numpy as np
import PIL.Image
from scipy.ndimage import gaussian_filter, map_coordinates

from localize.render.light import Light
from localize.types import Camera

LENS_PX = 0.8  # standard deviation of the lens's and the sensor's blur
FINER = 1.5  # the pinhole picture has this many pixels per pixel of the photo
_TAPS = (-1 / 3, 0.0, 1 / 3)  # where a photo's pixel looks at it, across and down


def undistorted(camera: Camera, xy: np.ndarray) -> np.ndarray:
    """Positions (..., 2) on the plane z = 1 of pixels xy (..., 2) of a SIMPLE_RADIAL camera, by Newton's method."""
    f, cx, cy, k = camera.params
    d = (np.asarray(xy, np.float64) - (cx, cy)) / f
    far = np.linalg.norm(d, axis=-1)
    r = far.copy()
    for _ in range(12):
        r -= (r * (1 + k * r * r) - far) / (1 + 3 * k * r * r)
    return d * np.where(far > 1e-12, r / np.maximum(far, 1e-12), 1.0)[..., None]


def project(camera: Camera, points: np.ndarray) -> np.ndarray:
    """Pixels (..., 2) of points (..., 3) in camera coordinates (COLMAP's SIMPLE_RADIAL)."""
    f, cx, cy, k = camera.params
    uv = points[..., :2] / points[..., 2:]
    return f * uv * (1 + k * (uv**2).sum(-1, keepdims=True)) + (cx, cy)


def pinhole_for(camera: Camera) -> tuple[float, tuple[int, int]]:
    """(focal length in pixels, (width, height)) of the finer pinhole picture that holds all the photo shows."""
    w, h = camera.width, camera.height
    x, y = np.linspace(0, w, 65), np.linspace(0, h, 65)
    rim = np.concatenate([np.c_[x, 0 * x], np.c_[x, 0 * x + h], np.c_[0 * y, y], np.c_[0 * y + w, y]])
    focal = camera.focal_px * FINER
    reach = np.abs(undistorted(camera, rim)).max(0) * focal + 3
    return focal, (2 * int(np.ceil(reach[0])), 2 * int(np.ceil(reach[1])))


def _source_positions(camera: Camera, focal: float, size: tuple[int, int], dx: float, dy: float) -> np.ndarray:
    """Row and column (2, h, w) in the pinhole picture of the photo's pixel centres moved by (dx, dy)."""
    x, y = np.meshgrid(np.arange(camera.width) + 0.5 + dx, np.arange(camera.height) + 0.5 + dy)
    uv = undistorted(camera, np.stack([x, y], -1)) * focal
    return np.stack([uv[..., 1] + size[1] / 2 - 0.5, uv[..., 0] + size[0] / 2 - 0.5])  # array indices count centres


def distorted(picture: np.ndarray, camera: Camera) -> np.ndarray:
    """A pinhole picture (h', w', C) made by `pinhole_for` as the camera sees it (h, w, C); 3 x 3 taps a pixel."""
    focal, size = pinhole_for(camera)
    out = np.zeros((camera.height, camera.width, picture.shape[2]), np.float32)
    for dy in _TAPS:
        for dx in _TAPS:
            at = _source_positions(camera, focal, size, dx, dy).astype(np.float32)
            for c in range(picture.shape[2]):
                out[..., c] += map_coordinates(picture[..., c], at, order=1, mode="nearest") / len(_TAPS) ** 2
    return out


def distorted_depth(depth: np.ndarray, camera: Camera) -> np.ndarray:
    """Depth (h, w) at the pixels' centres: the nearest sample, as depths must not be mixed across an edge."""
    focal, size = pinhole_for(camera)
    return map_coordinates(depth, _source_positions(camera, focal, size, 0, 0), order=0, mode="nearest")


def denoised(light, albedo, normal, depth, camera: Camera, steps=(1, 2, 4)) -> np.ndarray:
    """Soft light (h, w, 3) with less noise: divided by the surfaces' colour, averaged along them, multiplied again.

    An edge-avoiding a-trous filter (Dammertz et al. 2010) over the plane each pixel lies in; texture stays sharp
    because the colour is not filtered. `normal` is in camera axes.
    """
    colour = np.maximum(albedo, 0.02)
    smooth = light / colour
    x, y = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    rays = np.concatenate([undistorted(camera, np.stack([x, y], -1)), np.ones((*x.shape, 1))], -1)
    place = (rays * depth[..., None]).astype(np.float32)
    near = np.maximum(depth, 0.5)
    for step in steps:
        total, weights = np.zeros_like(smooth), np.zeros(depth.shape, np.float32)
        for dy in (-step, 0, step):
            for dx in (-step, 0, step):
                moved = [_shift(a, dy, dx) for a in (smooth, place, normal)]
                off_plane = np.abs(((moved[1] - place) * normal).sum(-1)) / (0.006 * near)
                turned = 1 - (moved[2] * normal).sum(-1).clip(0, 1)
                w = np.exp(-off_plane - 12 * turned) * (0.25 * (2 - (dx != 0)) * (2 - (dy != 0)))
                total += w[..., None] * moved[0]
                weights += w
        smooth = np.where((depth > 0)[..., None], total / np.maximum(weights, 1e-6)[..., None], smooth)
    return smooth * colour


def _shift(a: np.ndarray, dy: int, dx: int) -> np.ndarray:
    """a[y + dy, x + dx], the rim repeated."""
    h, w = a.shape[:2]
    rows, columns = (np.arange(h) + dy).clip(0, h - 1), (np.arange(w) + dx).clip(0, w - 1)
    return a[rows][:, columns]


def developed(light: np.ndarray, depth: np.ndarray, condition: Light, rng: np.random.Generator) -> np.ndarray:
    """The photo (h, w, 3) uint8: haze, rain, bloom, automatic exposure, sensor noise, a film curve, sRGB."""
    if condition.haze_per_m:
        light = _hazy(light, depth, condition.haze_per_m)
    if condition.streaks:
        light = light + _rain(light, rng)
    light = light + 0.06 * (_blurred(light.clip(0, 30), 5) - light.clip(0, 30))
    light = _blurred(light, LENS_PX)
    middle = np.sqrt(np.maximum(light.mean(-1), 1e-6)).mean() ** 2
    light = light * (condition.exposure / middle * np.exp(rng.normal(scale=0.08)))
    spread = np.sqrt(condition.noise**2 + condition.shot * np.maximum(light, 0))
    light = np.maximum(light + spread * rng.normal(size=light.shape), 0)
    light = 1.06 * (1 - np.exp(-1.35 * light))  # the film's shoulder
    srgb = np.where(light < 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055)
    return np.rint(srgb.clip(0, 1) * 255).astype(np.uint8)


def _blurred(light: np.ndarray, sigma_px: float) -> np.ndarray:
    return np.stack([gaussian_filter(light[..., c], sigma_px) for c in range(3)], -1)


def _hazy(light: np.ndarray, depth: np.ndarray, haze_per_m: float) -> np.ndarray:
    """Light fading with distance (Beer and Lambert) into air as bright as a part of the sky in the picture."""
    grey, seen = light.mean(-1), depth > 0
    through = np.exp(-haze_per_m * np.where(seen, depth, 200))[..., None]
    air = np.percentile(grey[~seen], 50) if (~seen).mean() > 0.02 else 2.0 * grey.mean()
    return light * through + 0.6 * air * (1 - through) * np.float32([0.95, 0.98, 1.0])


def _rain(light: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Bright streaks of falling drops, nearly upright, some near and blurred."""
    h, w = light.shape[:2]
    layer = np.zeros((h, w), np.float32)
    lean = rng.uniform(-0.18, 0.18)
    for _ in range(240):
        x, y, long = rng.uniform(0, w), rng.uniform(0, h), rng.uniform(9, 46)
        t = np.arange(int(long))
        columns, rows = (x + lean * t).astype(int), (y + t).astype(int)
        ok = (columns >= 0) & (columns < w) & (rows < h)
        layer[rows[ok], columns[ok]] += rng.uniform(0.1, 0.5) * np.sin(np.pi * (t[ok] + 0.5) / len(t))
    return (0.35 * gaussian_filter(layer, 0.7) * np.percentile(light, 80))[..., None]


def jpeg(picture: np.ndarray, quality: int) -> bytes:
    """JPEG with 4:2:0 chroma."""
    out = io.BytesIO()
    PIL.Image.fromarray(picture).save(
        out, "JPEG", quality=quality, subsampling="4:2:0", optimize=True, progressive=True
    )
    return out.getvalue()


def depth_png(depth: np.ndarray) -> bytes:
    """16-bit PNG in millimetres; 0 = nothing there, or farther than 65.5 m."""
    out = io.BytesIO()
    mm = np.rint(depth * 1000)
    PIL.Image.fromarray(np.where(mm < 65536, mm, 0).astype(np.uint16)).save(out, "PNG")
    return out.getvalue()
