"""The street side of a house: a wall with recessed windows, doors, shops, balconies, cornices, signs and awnings."""

from dataclasses import dataclass

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
    """Paint one wall of its own, 1 cm per pixel; returns its name."""
    name = f"wall{len(meshes.textures)}"
    shape = (int(height_m * 100), int(width_m * 100))
    meshes.textures[name] = {"plaster": textures.plaster, "brick": textures.brick, "ashlar": textures.ashlar}[style.wall](
        rng, shape, style.rgb
    )
    return name


def pierced_wall(meshes: Meshes, frame: Frame, texture: str, size_m, holes) -> None:
    """A wall (width, height) with rectangular holes (s0, z0, s1, z1)."""
    width, height = size_m
    s = np.unique(np.round([0, width, *(h[0] for h in holes), *(h[2] for h in holes)], 4))
    z = np.unique(np.round([0, height, *(h[1] for h in holes), *(h[3] for h in holes)], 4))
    for a0, a1 in zip(s[:-1], s[1:], strict=True):
        for c0, c1 in zip(z[:-1], z[1:], strict=True):
            a, c = (a0 + a1) / 2, (c0 + c1) / 2
            if any(h[0] < a < h[2] and h[1] < c < h[3] for h in holes):
                continue
            uv = [(a0 / width, c0 / height), (a1 / width, c0 / height), (a1 / width, c1 / height), (a0 / width, c1 / height)]
            meshes.face(frame, "matte", texture, [(a0, 0, c0), (a1, 0, c0), (a1, 0, c1), (a0, 0, c1)], uv)


def reveal(meshes: Meshes, frame: Frame, texture: str, hole, depth_m: float, size_m) -> None:
    """The four sides of a hole in the wall."""
    s0, z0, s1, z1 = hole
    u0, u1, v0, v1 = s0 / size_m[0], s1 / size_m[0], z0 / size_m[1], z1 / size_m[1]
    du = depth_m / size_m[0]
    for corners, uv in (
        ([(s0, 0, z0), (s0, -depth_m, z0), (s0, -depth_m, z1), (s0, 0, z1)], [(u0, v0), (u0 + du, v0), (u0 + du, v1), (u0, v1)]),
        ([(s1, -depth_m, z0), (s1, 0, z0), (s1, 0, z1), (s1, -depth_m, z1)], [(u1 - du, v0), (u1, v0), (u1, v1), (u1 - du, v1)]),
        ([(s0, -depth_m, z1), (s1, -depth_m, z1), (s1, 0, z1), (s0, 0, z1)], [(u0, v1), (u1, v1), (u1, v1), (u0, v1)]),
        ([(s0, 0, z0), (s1, 0, z0), (s1, -depth_m, z0), (s0, -depth_m, z0)], [(u0, v0), (u1, v0), (u1, v0), (u0, v0)]),
    ):
        meshes.face(frame, "matte", texture, corners, uv)


def window(meshes: Meshes, rng, frame: Frame, hole, style: Style, *, sill: bool = True) -> None:
    """Pane, wooden frame with bars, sill, surround and shutters of one hole."""
    s0, z0, s1, z1 = hole
    back = -style.reveal_m
    lit = "lit" if rng.random() < 0.22 else "glass"
    meshes.face(frame, lit, f"pane{rng.integers(24)}", [(s0, back, z0), (s1, back, z0), (s1, back, z1), (s0, back, z1)])
    bar, front = 0.07, back + 0.05
    middle, cross = (s0 + s1) / 2, z0 + 0.68 * (z1 - z0)
    for a0, c0, a1, c1 in (
        (s0, z0, s0 + bar, z1), (s1 - bar, z0, s1, z1), (s0, z0, s1, z0 + bar), (s0, z1 - bar, s1, z1),
        (middle - 0.035, z0, middle + 0.035, z1), (s0, cross - 0.025, s1, cross + 0.025),
    ):  # fmt: skip
        meshes.box(frame, "matte", "white", (a0, back, c0), (a1, front, c1), (0.1, 0.1, 0.9, 0.5))
    if sill:
        meshes.box(frame, "matte", style.trim, (s0 - 0.12, -0.05, z0 - 0.1), (s1 + 0.12, 0.12, z0), _part(rng))
    if style.surround:
        for a0, c0, a1, c1 in ((s0 - 0.14, z0, s0, z1), (s1, z0, s1 + 0.14, z1), (s0 - 0.2, z1, s1 + 0.2, z1 + 0.2)):
            meshes.box(frame, "matte", style.trim, (a0, -0.02, c0), (a1, 0.045, c1), _part(rng))
    if style.shutters:
        half = (s1 - s0) / 2
        gap = 0.15 if style.surround else 0.02
        for a0 in (s0 - gap - half, s1 + gap):
            if rng.random() < 0.92:
                meshes.box(frame, "matte", style.shutters, (a0, 0.02, z0), (a0 + half, 0.07, z1))


def _part(rng, size: float = 0.35):
    """A random part of a texture, so that equal pieces do not look stamped."""
    u, v = rng.uniform(0, 1 - size, 2)
    return u, v, u + size, v + size / 4


def door(meshes: Meshes, rng, frame: Frame, hole, style: Style) -> None:
    """A door leaf at the back of its hole, a fanlight above, a step, a stone frame."""
    s0, z0, s1, z1 = hole
    back, top = -style.reveal_m - 0.08, z1 - 0.42
    leaf = f"door{rng.integers(8)}"
    meshes.face(frame, "matte", leaf, [(s0, back, z0), (s1, back, z0), (s1, back, top), (s0, back, top)])
    meshes.face(frame, "lit", "pane3", [(s0, back, top + 0.06), (s1, back, top + 0.06), (s1, back, z1), (s0, back, z1)])
    meshes.box(frame, "matte", "white", (s0, back, top), (s1, back + 0.06, top + 0.06), (0, 0, 1, 0.2))
    meshes.box(frame, "matte", style.trim, (s0 - 0.1, back, 0), (s1 + 0.1, 0.28, 0.16), _part(rng))
    for a0, c0, a1, c1 in ((s0 - 0.18, 0.16, s0, z1), (s1, 0.16, s1 + 0.18, z1), (s0 - 0.25, z1, s1 + 0.25, z1 + 0.24)):
        meshes.box(frame, "matte", style.trim, (a0, -0.02, c0), (a1, 0.06, c1), _part(rng))


def shop(meshes: Meshes, rng, frame: Frame, hole, *, awning: bool) -> None:
    """A shop window with its frame, a signboard with a word, perhaps an awning and a hanging sign."""
    s0, z0, s1, z1 = hole
    width = s1 - s0
    goods = f"goods{rng.integers(8)}"
    meshes.face(frame, "lit", goods, [(s0, -0.16, z0), (s1, -0.16, z0), (s1, -0.16, z1), (s0, -0.16, z1)])
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
    b = 0.105
    meshes.face(frame, "matte", board, [(s0, b, z1 + 0.06), (s1, b, z1 + 0.06), (s1, b, z1 + 0.56), (s0, b, z1 + 0.56)])
    if awning:
        cloth = f"awning{rng.integers(4)}"
        reach, low = 1.0, z1 - 0.3
        meshes.face(frame, "matte", cloth, [(s0, reach, low), (s1, reach, low), (s1, 0.11, z1 + 0.05), (s0, 0.11, z1 + 0.05)])
        hem = [(s0, reach, low - 0.2), (s1, reach, low - 0.2), (s1, reach, low), (s0, reach, low)]
        meshes.face(frame, "matte", cloth, hem, [(0, 0), (1, 0), (1, 0.2), (0, 0.2)])
    elif rng.random() < 0.6:
        hang = frame.moved(along=s0 - 0.2, out=0.5, up=z1 + 0.55).turned(90)
        meshes.box(hang, "matte", board, (-0.4, -0.03, 0), (0.4, 0.03, 0.45))
        meshes.box(hang, "matte", "iron", (-0.45, -0.015, 0.47), (0.5, 0.015, 0.5), (0, 0, 1, 0.2))


def balcony(meshes: Meshes, rng, frame: Frame, hole, style: Style) -> None:
    """A slab on consoles before a window, with a railing of iron bars and perhaps flowers."""
    s0, z0, s1, _ = hole
    a0, a1, reach, base = s0 - 0.35, s1 + 0.35, 0.75, z0 - 0.02
    meshes.box(frame, "matte", style.trim, (a0, 0, base - 0.16), (a1, reach, base), _part(rng))
    for a in (a0 + 0.15, a1 - 0.35):
        meshes.box(frame, "matte", style.trim, (a, 0, base - 0.45), (a + 0.2, 0.4, base - 0.16), _part(rng))
    for c in (base + 0.08, base + 0.95):
        meshes.box(frame, "matte", "iron", (a0, reach - 0.05, c), (a1, reach, c + 0.05), (0, 0, 1, 0.1))
        for a in (a0, a1 - 0.04):
            meshes.box(frame, "matte", "iron", (a, 0, c), (a + 0.04, reach, c + 0.05), (0, 0, 1, 0.1))
    for a in np.arange(a0, a1, 0.13):
        meshes.box(frame, "matte", "iron", (a, reach - 0.035, base + 0.1), (a + 0.022, reach - 0.013, base + 0.95), (0, 0, 0.1, 1))
    if rng.random() < 0.5:
        for a in np.arange(a0, a1 - 0.3, 0.16):
            u, v = rng.uniform(0, 0.8, 2)
            box = (a, reach, base + 0.5), (a + rng.uniform(0.15, 0.3), reach + 0.22, base + rng.uniform(0.75, 1.05))
            meshes.box(frame, "matte", "flowers", *box, (u, v, u + 0.2, v + 0.2))
