"""Small data for the compact descriptor's training, made here."""

import numpy as np
import PIL.Image

from localize.train.compact.teacher import CHANNELS
from localize.train.compact.views import Views
from tests.generated_photos import textured


def write_photos(folder, seeds, lines=()):
    folder.mkdir(parents=True)
    for seed in seeds:
        PIL.Image.fromarray(textured(seed)).save(folder / f"{seed:02}.png")
    (folder / "places.txt").write_text("\n".join(lines))
    return str(folder)


def small_views(num=4, versions=4):
    rng = np.random.default_rng(0)
    pixels = np.stack([textured(i // versions, (64, 48)) for i in range(num * versions)])
    sizes = [(48 // s, 64 // s) for s in (4, 8, 16)]
    maps = [rng.normal(size=(1, k, h, w)).repeat(len(pixels), 0) for k, (h, w) in zip(CHANNELS, sizes, strict=True)]
    vectors = rng.normal(size=(num, 256)).repeat(versions, 0).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Views(pixels, [m.astype(np.float16) for m in maps], vectors, versions)
