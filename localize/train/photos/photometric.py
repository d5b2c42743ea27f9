"""Photos as another camera, another lamp or another hour would have shown them: nothing moves, only light changes.

Every function takes and returns an RGB photo (H, W, 3) float32 of grey values 0..255 and draws from a numpy Generator.
"""

import io

import numpy as np
import PIL.Image
from scipy.ndimage import gaussian_filter1d

WHITE = 255.0
DISPLAY = 2.2  # grey value = light ** (1 / 2.2)
FIELD = 24  # px of the longer side of the raster in which smooth fields are drawn


def random_change(
    photo: np.ndarray, rng: np.random.Generator, strength: float = 1.0, night_share: float = 0.4
) -> np.ndarray:
    """A photo (H, W, 3) uint8 with other light, exposure, blur, noise and compression; a share of them at night.

    strength scales how far everything but the night goes: 1 is a lot, 0.3 what happens between two days.
    """
    light = np.asarray(photo, np.float32)
    if rng.random() < night_share:
        light = night(light, rng)
    else:
        for change, share in ((relief, 0.3), (shadows, 0.3), (shading, 0.4), (gamma, 0.6), (colour_cast, 0.4)):
            if rng.random() < share:
                light = change(light, rng, strength)
        if rng.random() < 0.3:
            light = gaussian_blur(light, rng, strength)
        if rng.random() < 0.4:
            light = (shot_noise if rng.random() < 0.5 else gaussian_noise)(light, rng, strength)
    if rng.random() < 0.15:
        light = motion_blur(light, rng, strength)
    if rng.random() < 0.5:
        light = jpeg(light, rng, strength)
    return np.rint(light.clip(0, WHITE)).astype(np.uint8)


def gamma(photo, rng, strength=1.0):
    """Other exposure and other contrast: a power of the grey values, then a gain and an offset."""
    power = np.exp(strength * rng.uniform(-0.6, 0.6))
    gain, offset = np.exp(strength * rng.uniform(-0.35, 0.25)), strength * rng.uniform(-25, 25)
    return (_power(photo, power) * np.float32(gain) + np.float32(offset)).clip(0, WHITE)


def colour_cast(photo, rng, strength=1.0):
    """Each channel by its own factor."""
    factors = np.exp(strength * rng.normal(0, 0.18, 3)).astype(np.float32)
    return (photo * factors).clip(0, WHITE)


def gaussian_noise(photo, rng, strength=1.0):
    """The same noise everywhere, sigma up to 12 grey values."""
    return photo + np.float32(strength * rng.uniform(1, 12)) * _normal(rng, photo.shape)


def shot_noise(photo, rng, strength=1.0):
    """Noise that grows with the root of the light, as of counted photons."""
    photons = rng.uniform(150, 1500) / strength**2  # of a white pixel
    sigma = np.sqrt(photo.clip(0, WHITE) * np.float32(WHITE / photons))
    return photo + sigma * _normal(rng, photo.shape)


def gaussian_blur(photo, rng, strength=1.0):
    """Out of focus by sigma up to 1.6 px."""
    return _blur(photo, strength * rng.uniform(0.4, 1.6))


def motion_blur(photo, rng, strength=1.0):
    """Moved along a line of up to 9 px while the shutter was open; the line's middle stays where it was."""
    half, angle = max(1, round(strength * rng.integers(1, 5))), rng.uniform(0, np.pi)
    steps = np.arange(-half, half + 1)
    across, down = (np.rint(steps * f(angle)).astype(int) for f in (np.cos, np.sin))
    height, width = photo.shape[:2]
    padded = np.pad(photo, ((half, half), (half, half), (0, 0)), mode="edge")
    total = np.zeros_like(photo)
    for x, y in zip(across + half, down + half, strict=True):
        total += padded[y : y + height, x : x + width]
    return total / np.float32(len(steps))


def jpeg(photo, rng, strength=1.0):
    """Compressed at a quality of 25 to 95, and read again."""
    quality = round(95 - strength * rng.uniform(0, 70))
    packed = io.BytesIO()
    PIL.Image.fromarray(np.rint(photo.clip(0, WHITE)).astype(np.uint8)).save(packed, "JPEG", quality=quality)
    return np.asarray(PIL.Image.open(packed), np.float32)


def shading(photo, rng, strength=1.0):
    """Shadow and light that change slowly across the photo, by factors of about 0.5 to 2."""
    field = _smooth_field(rng, photo.shape[:2], strength * rng.uniform(0.15, 0.6))
    return (photo * np.exp(field)[..., None]).clip(0, WHITE)


def shadows(photo, rng, strength=1.0):
    """Cast shadows with edges, like those of trees: grey values in them are 0.3 to 0.7 of what they were."""
    raster = np.exp(rng.uniform(*np.log([FIELD, 5 * FIELD])))
    field = _smooth_field(rng, photo.shape[:2], 1.0, raster) - np.float32(rng.uniform(-0.5, 1.0))
    edge = field * np.float32(np.exp(rng.uniform(*np.log([3, 40]))))
    lost = np.float32(strength * rng.uniform(0.3, 0.7)) / (1 + np.exp(-edge.clip(-30, 30)))
    return photo * (1 - lost)[..., None]


def relief(photo, rng, strength=1.0):
    """Light from another side: surfaces taken for reliefs as high as they are bright, and lit anew.

    This is wrong as physics of paint and right as physics of plaster, stone and leaves; it moves the gradients of a
    patch without moving the patch.
    """
    if min(photo.shape[:2]) < 2:
        return photo
    grey = _blur(photo.mean(2), rng.uniform(0.7, 2.0))
    slope_y, slope_x = np.gradient(grey)
    angle = rng.uniform(0, 2 * np.pi)
    slope = np.float32(np.cos(angle)) * slope_x + np.float32(np.sin(angle)) * slope_y
    lit = np.tanh(slope / np.float32(2.5 * slope.std() + 1e-3))
    return (photo * (1 + np.float32(strength * rng.uniform(0.2, 0.6)) * lit)[..., None]).clip(0, WHITE)


def night(photo, rng):
    """The place at night: faint bluish light from the sky, a few lamps, a long exposure at high gain.

    In linear light: the photo stands for the surfaces' reflectance, so light multiplies it. Lamps are warm pools that
    fall off with the square of the distance; some are in the picture and outshine it. The camera sets its gain for
    the mean, noise of photons and of the read-out is added before the gain, blur stands for the denoising after it,
    and the tone curve crushes or lifts the blacks.
    """
    surface = _power(relief(photo, rng) if rng.random() < 0.7 else photo, DISPLAY) / np.float32(WHITE)
    sky = np.array([0.55, 0.75, 1.15]) * rng.uniform(0.8, 1.2, 3) * 10 ** rng.uniform(-2.7, -1.0)
    field = np.exp(_smooth_field(rng, photo.shape[:2], 0.4))[..., None]
    light, glare = _lamps(rng, photo.shape[:2])
    scene = surface * (light + field * sky.astype(np.float32)) + glare
    wanted = rng.uniform(0.006, 0.10)  # mean of the exposed photo; 0.006 is grey value 25
    scene *= np.float32(min(wanted / max(float(scene.mean()), 1e-6), 60.0))
    photons, read_out = np.exp(rng.uniform(*np.log([60, 1500]))), rng.uniform(0.0005, 0.005)
    scene += np.sqrt(scene.clip(0) / np.float32(photons) + np.float32(read_out**2)) * _normal(rng, scene.shape)
    if rng.random() < 0.8:
        scene = _blur(scene, rng.uniform(0.5, 1.4))
    shown = _power(scene.clip(0, 1) * np.float32(WHITE), 1 / DISPLAY * rng.uniform(0.8, 1.5))
    black = rng.uniform(-40, 20)  # below 0: crushed, above: lifted
    return (np.float32(black) + shown * np.float32((WHITE - black) / WHITE)).clip(0, WHITE)


def _lamps(rng, shape):
    """Light (H, W, 3) that falls on the surfaces from one to five lamps, and the glare (H, W, 3) of those in view."""
    height, width = shape
    light, glare = np.zeros((2, height, width, 3), np.float32)
    y, x = (np.arange(n, dtype=np.float32) for n in shape)
    for _ in range(rng.integers(1, 6)):
        colour = np.array([1.0, 0.72, 0.42] if rng.random() < 0.75 else [0.85, 1.0, 1.0]) * rng.uniform(0.85, 1.15, 3)
        cx, cy = rng.uniform(-0.1, 1.1) * width, rng.uniform(-0.1, 0.9) * height
        reach = rng.uniform(0.08, 0.45) * max(shape)
        squared = ((x - cx) / reach) ** 2 + (((y - cy) / reach) ** 2)[:, None] * np.float32(rng.uniform(0.3, 1.5))
        light += (10 ** rng.uniform(-1.2, 0.2) * colour).astype(np.float32) * (1 / (1 + squared) ** 2)[..., None]
        if rng.random() < 0.35:
            far = squared * np.float32((reach / (rng.uniform(0.004, 0.02) * max(shape))) ** 2)  # of the bulb, squared
            bulb = 8 * np.exp(-far) + np.float32(rng.uniform(0.02, 0.2)) / (1 + far / 9)
            glare += (rng.uniform(0.3, 1.0) * colour).astype(np.float32) * bulb[..., None]
    return light, glare


def _power(photo, power):
    """Grey values to a power, with white staying white; by a table, which is ten times faster."""
    steps = 4095
    table = (np.float32(WHITE) * (np.arange(steps + 1) / steps) ** power).astype(np.float32)
    return table[(photo * np.float32(steps / WHITE)).astype(np.int32).clip(0, steps)]


def _blur(photo, sigma):
    for axis in (0, 1):
        photo = gaussian_filter1d(photo, sigma, axis=axis, mode="nearest", truncate=3.0)
    return photo


def _normal(rng, shape):
    return rng.standard_normal(shape, np.float32)


def _smooth_field(rng, shape, sigma, raster=FIELD):
    """(H, W) float32 of mean 0 and this standard deviation, which changes slowly across the photo."""
    rows, columns = (max(3, round(raster * n / max(shape))) for n in shape)
    coarse = _blur(_normal(rng, (rows, columns)), FIELD / rng.uniform(3, 8))
    coarse = (coarse - coarse.mean()) * np.float32(sigma) / (coarse.std() + np.float32(1e-6))
    fine = PIL.Image.fromarray(coarse).resize(shape[::-1], PIL.Image.Resampling.BICUBIC)
    return np.asarray(fine, np.float32)
