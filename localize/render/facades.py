"""The street side of a house: a wall with recessed windows, doors, shops, balconies, cornices, signs and awnings."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from localize.render import painted, textures
from localize.render.meshes import Frame, Meshes

GROUND_M = 3.5  # height of the ground floor


@dataclass(frozen=True)
class Style:
    """What twins share: wall, proportions, ornaments."""

    wall: str
    rgb: tuple[float, float, float]
    trim: str
    floors: int
    floor_m: float
    bay_m: float
    window_m: tuple[float, float]
    shutters: str | None
    balcony: bool
    surround: bool
    roof: str
    rise_m: float
    reveal_m: float

    @property
    def height_m(self) -> float:
        """From the street to the eaves."""
        return GROUND_M + (self.floors - 1) * self.floor_m


def wall_texture(meshes: Meshes, rng, style: Style, width_m: float, height_m: float) -> str:
    """Paint one wall of its own; returns its name."""
    name = f"wall{len(meshes.textures)}"
    shape = (int(height_m * meshes.px_per_m), int(width_m * meshes.px_per_m))
    paint = {"plaster": textures.plaster, "brick": textures.brick, "ashlar": textures.ashlar}[style.wall]
    meshes.textures[name] = paint(rng, shape, style.rgb)
    return name


def random_part(rng, wide: float = 0.35, high: float = 0.0875):
    """(u0, v0, u1, v1) of a random part of a texture, so that equal pieces do not look stamped."""
    u, v = rng.uniform(0, 1 - wide, 2)
    return u, v, u + wide, v + high


def pierced_wall(meshes: Meshes, frame: Frame, texture: str, size_m, holes) -> None:
    """A wall (width, height) with rectangular holes (s0, z0, s1, z1)."""
    width, height = size_m
    s = np.unique(np.round([0, width, *(h[0] for h in holes), *(h[2] for h in holes)], 4))
    z = np.unique(np.round([0, height, *(h[1] for h in holes), *(h[3] for h in holes)], 4))
    for a0, a1 in pairwise(s):
        for c0, c1 in pairwise(z):
            a, c = (a0 + a1) / 2, (c0 + c1) / 2
            if any(h[0] < a < h[2] and h[1] < c < h[3] for h in holes):
                continue
            u0, u1, v0, v1 = a0 / width, a1 / width, c0 / height, c1 / height
            meshes.panel(frame, "matte", texture, (a0, c0, a1, c1), 0, [(u0, v0), (u1, v0), (u1, v1), (u0, v1)])


def reveal(meshes: Meshes, frame: Frame, texture: str, hole, depth_m: float, size_m) -> None:
    """The four sides of a hole in the wall."""
    s0, z0, s1, z1 = hole
    u0, u1, v0, v1 = s0 / size_m[0], s1 / size_m[0], z0 / size_m[1], z1 / size_m[1]
    du = depth_m / size_m[0]
    sides = [
        ([(s0, 0, z0), (s0, 1, z0), (s0, 1, z1), (s0, 0, z1)], [(u0, v0), (u0 + du, v0), (u0 + du, v1), (u0, v1)]),
        ([(s1, 1, z0), (s1, 0, z0), (s1, 0, z1), (s1, 1, z1)], [(u1 - du, v0), (u1, v0), (u1, v1), (u1 - du, v1)]),
        ([(s0, 1, z1), (s1, 1, z1), (s1, 0, z1), (s0, 0, z1)], [(u0, v1), (u1, v1), (u1, v1), (u0, v1)]),
        ([(s0, 0, z0), (s1, 0, z0), (s1, 1, z0), (s0, 1, z0)], [(u0, v0), (u1, v0), (u1, v0), (u0, v0)]),
    ]
    for corners, uv in sides:
        meshes.face(frame, "matte", texture, [(s, -depth_m * back, z) for s, back, z in corners], uv)


def window(meshes: Meshes, rng, frame: Frame, hole, style: Style, *, sill: bool = True) -> None:
    """Pane, wooden frame with bars, sill, surround and shutters of one hole."""
    s0, z0, s1, z1 = hole
    back = -style.reveal_m
    lit = "lit" if rng.random() < 0.22 else "glass"
    meshes.panel(frame, lit, f"pane{rng.integers(24)}", hole, back)
    bar, front = 0.07, back + 0.05
    middle, cross = (s0 + s1) / 2, z0 + 0.68 * (z1 - z0)
    for a0, c0, a1, c1 in (
        (s0, z0, s0 + bar, z1), (s1 - bar, z0, s1, z1), (s0, z0, s1, z0 + bar), (s0, z1 - bar, s1, z1),
        (middle - 0.035, z0, middle + 0.035, z1), (s0, cross - 0.025, s1, cross + 0.025),
    ):  # fmt: skip
        meshes.box(frame, "matte", "white", (a0, back, c0), (a1, front, c1), (0.1, 0.1, 0.9, 0.5))
    if sill:
        meshes.box(frame, "matte", style.trim, (s0 - 0.12, -0.05, z0 - 0.1), (s1 + 0.12, 0.12, z0), random_part(rng))
    if style.surround:
        for a0, c0, a1, c1 in ((s0 - 0.14, z0, s0, z1), (s1, z0, s1 + 0.14, z1), (s0 - 0.2, z1, s1 + 0.2, z1 + 0.2)):
            meshes.box(frame, "matte", style.trim, (a0, -0.02, c0), (a1, 0.045, c1), random_part(rng))
    if style.shutters:
        half = (s1 - s0) / 2
        gap = 0.15 if style.surround else 0.02
        for a0 in (s0 - gap - half, s1 + gap):
            if rng.random() < 0.92:
                meshes.box(frame, "matte", style.shutters, (a0, 0.02, z0), (a0 + half, 0.07, z1))


def door(meshes: Meshes, rng, frame: Frame, hole, style: Style) -> None:
    """A door leaf at the back of its hole, a fanlight above, a step, a stone frame."""
    s0, z0, s1, z1 = hole
    back, top = -style.reveal_m - 0.08, z1 - 0.42
    leaf = f"door{rng.integers(8)}"
    meshes.panel(frame, "matte", leaf, (s0, z0, s1, top), back)
    meshes.panel(frame, "lit", "pane3", (s0, top + 0.06, s1, z1), back)
    meshes.box(frame, "matte", "white", (s0, back, top), (s1, back + 0.06, top + 0.06), (0, 0, 1, 0.2))
    meshes.box(frame, "matte", style.trim, (s0 - 0.1, back, 0), (s1 + 0.1, 0.28, 0.16), random_part(rng))
    for a0, c0, a1, c1 in ((s0 - 0.18, 0.16, s0, z1), (s1, 0.16, s1 + 0.18, z1), (s0 - 0.25, z1, s1 + 0.25, z1 + 0.24)):
        meshes.box(frame, "matte", style.trim, (a0, -0.02, c0), (a1, 0.06, c1), random_part(rng))


def shop(meshes: Meshes, rng, frame: Frame, hole, *, awning: bool) -> None:
    """A shop window with its frame, a signboard with a word, perhaps an awning and a hanging sign."""
    s0, z0, s1, z1 = hole
    width = s1 - s0
    goods = f"goods{rng.integers(8)}"
    meshes.panel(frame, "lit", goods, hole, -0.16)
    paint = f"paint{rng.integers(6)}"
    for a in np.linspace(s0, s1 - 0.08, 2 + round(width / 1.4)):
        meshes.box(frame, "matte", paint, (a, -0.16, z0), (a + 0.08, -0.06, z1), (0, 0, 0.1, 1))
    for c0, c1 in ((z0, z0 + 0.1), (z1 - 0.1, z1), (z1 - 0.62, z1 - 0.55)):
        meshes.box(frame, "matte", paint, (s0, -0.16, c0), (s1, -0.05, c1), (0, 0.1, 1, 0.2))
    board = f"sign{len(meshes.textures)}"
    used = sum(name.startswith("sign") for name in meshes.textures)
    word = painted.WORDS[(7 * used + used // len(painted.WORDS)) % len(painted.WORDS)]
    meshes.textures[board] = painted.sign(rng, (100, int(200 * width)), word)
    meshes.box(frame, "matte", paint, (s0 - 0.08, 0, z1 + 0.02), (s1 + 0.08, 0.1, z1 + 0.6), (0, 0, 1, 0.2))
    meshes.panel(frame, "matte", board, (s0, z1 + 0.06, s1, z1 + 0.56), 0.105)
    if awning:
        cloth = f"awning{rng.integers(4)}"
        reach, low = 1.0, z1 - 0.3
        slope = [(s0, reach, low), (s1, reach, low), (s1, 0.11, z1 + 0.05), (s0, 0.11, z1 + 0.05)]
        meshes.face(frame, "matte", cloth, slope)
        meshes.panel(frame, "matte", cloth, (s0, low - 0.2, s1, low), reach, [(0, 0), (1, 0), (1, 0.2), (0, 0.2)])
    elif rng.random() < 0.6:
        hang = frame.moved(along=s0 - 0.2, out=0.5, up=z1 + 0.55).turned(90)
        meshes.box(hang, "matte", board, (-0.4, -0.03, 0), (0.4, 0.03, 0.45))
        meshes.box(hang, "matte", "iron", (-0.45, -0.015, 0.47), (0.5, 0.015, 0.5), (0, 0, 1, 0.2))


def balcony(meshes: Meshes, rng, frame: Frame, hole, style: Style) -> None:
    """A slab on consoles before a window, with a railing of iron bars and perhaps flowers."""
    s0, z0, s1, _ = hole
    a0, a1, reach, base = s0 - 0.35, s1 + 0.35, 0.75, z0 - 0.02
    meshes.box(frame, "matte", style.trim, (a0, 0, base - 0.16), (a1, reach, base), random_part(rng))
    for a in (a0 + 0.15, a1 - 0.35):
        meshes.box(frame, "matte", style.trim, (a, 0, base - 0.45), (a + 0.2, 0.4, base - 0.16), random_part(rng))
    for c in (base + 0.08, base + 0.95):
        meshes.box(frame, "matte", "iron", (a0, reach - 0.05, c), (a1, reach, c + 0.05), (0, 0, 1, 0.1))
        for a in (a0, a1 - 0.04):
            meshes.box(frame, "matte", "iron", (a, 0, c), (a + 0.04, reach, c + 0.05), (0, 0, 1, 0.1))
    for a in np.arange(a0, a1, 0.13):
        low, high = (a, reach - 0.035, base + 0.1), (a + 0.022, reach - 0.013, base + 0.95)
        meshes.box(frame, "matte", "iron", low, high, (0, 0, 0.1, 1))
    if rng.random() < 0.5:
        for a in np.arange(a0, a1 - 0.3, 0.16):
            u, v = rng.uniform(0, 0.8, 2)
            box = (a, reach, base + 0.5), (a + rng.uniform(0.15, 0.3), reach + 0.22, base + rng.uniform(0.75, 1.05))
            meshes.box(frame, "matte", "flowers", *box, (u, v, u + 0.2, v + 0.2))
