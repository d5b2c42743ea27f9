"""Small data for the training of HOW's spatial context, made here."""

import numpy as np
import PIL.Image

from localize.train.spatial.parts import SpatialData, SpatialStart, SpatialValidation
from tests.generated_photos import textured

SIZE = (96, 80)


def write_walk(folder, places, prefix="", seed=0):
    """A folder of two photos of each place, 4 m apart and one shifted and darker; places are 50 m apart."""
    rng, lines = np.random.default_rng(seed), []
    (folder / prefix).mkdir(parents=True, exist_ok=True)
    for place in places:
        whole = textured(place, (SIZE[0] + 8, SIZE[1] + 8))
        for number, name in enumerate((f"{prefix}{place:02}a.png", f"evening/{place:02}b.png")):
            (folder / name).parent.mkdir(exist_ok=True)
            left, top = rng.integers(9, size=2) if number else (0, 0)
            shown = whole[top : top + SIZE[1], left : left + SIZE[0]]
            PIL.Image.fromarray(shown if number == 0 else (0.6 * shown).astype(np.uint8)).save(folder / name)
            lines.append(f"{name} {50 * place + 4 * number} 0 0")
    (folder / "places.txt").write_text("\n".join(lines))
    return str(folder)


def small_parts(root, **start):
    """The arguments of a short training: seven places to learn from, four to validate on."""
    train, other = write_walk(root / "train", range(7)), write_walk(root / "other", range(10, 14))
    few = {"queries": 2, "negatives": 3, "edge_px": 96, "versions": 2}
    return {
        "data": SpatialData([train], maps=str(root / "maps"), **few),
        "validation": SpatialValidation([other], words=8, near_m=6),
        "start": SpatialStart(dim=16, **start),
    }
