"""What lies behind a facade: party walls, roof, chimneys, dormers."""

import numpy as np

from localize.render.facades import GROUND_M, Style
from localize.render.layout import Lot
from localize.render.meshes import Frame


def shell(meshes, lot: Lot, style: Style) -> None:
    """Party walls and the back, seen above lower neighbours."""
    w, d, h = lot.width, -lot.depth, style.height_m
    part = [(0, 0), (0.6, 0), (0.6, 1), (0, 1)]
    sides = [[(w, 0, 0), (w, d, 0), (w, d, h), (w, 0, h)], [(w, d, 0), (0, d, 0), (0, d, h), (w, d, h)]]
    if not lot.free_left:
        sides.append([(0, d, 0), (0, 0, 0), (0, 0, h), (0, d, h)])
    if lot.kind == "arcade":
        sides[0] = [(w, 0, GROUND_M), (w, d, GROUND_M), (w, d, h), (w, 0, h)]
        if not lot.free_left:
            sides[2] = [(0, d, GROUND_M), (0, 0, GROUND_M), (0, 0, h), (0, d, h)]
    for side in sides:
        meshes.face(lot.frame, "matte", "party", side, part)


def roof(meshes, rng, lot: Lot, style: Style) -> None:
    """A gable roof along the street with chimneys and dormers."""
    w, d, h, rise = lot.width, lot.depth, style.height_m, style.rise_m
    over, f = 0.38, lot.frame
    slope = rise / (d / 2)
    eave = h - slope * over + 0.16
    u, v = rng.uniform(0, 0.3), rng.uniform(0, 0.3)
    uv = [(u, v), (u + w / 12, v), (u + w / 12, v + 0.6), (u, v + 0.6)]
    ridge = h + rise + 0.16
    for s0, s1, foot in ((0, w, over), (w, 0, -d - over)):
        meshes.face(
            f, "matte", style.roof, [(s0, foot, eave), (s1, foot, eave), (s1, -d / 2, ridge), (s0, -d / 2, ridge)], uv
        )
    soffit = [(0, 0, h - 0.01), (w, 0, h - 0.01), (w, over, eave - 0.02), (0, over, eave - 0.02)]
    meshes.face(f, "matte", "trim0", soffit)
    meshes.box(f, "matte", "iron", (0, over - 0.04, eave - 0.1), (w, over + 0.08, eave + 0.02), (0, 0, 1, 0.2))
    for s in (0, w):
        meshes.face(f, "matte", "party", [(s, 0, h), (s, -d, h), (s, -d / 2, ridge - 0.02), (s, -d / 2, ridge - 0.02)])
    for s in rng.uniform(0.4, 0.6, 1) * w if w < 4 else rng.uniform(0.8, w - 0.8, rng.integers(1, 3)):
        low, high = (s - 0.35, -d / 2 - 0.3, h), (s + 0.35, -d / 2 + 0.3, ridge + rng.uniform(0.6, 1.2))
        meshes.box(f, "matte", "chimney", low, high, (0, 0, 0.5, 1))
    if style.floors < 4:
        for s in np.arange(1.6, w - 1.5, 2.6):
            _dormer(meshes, rng, f.moved(along=s, out=-0.5, up=h + slope * 0.5), slope)


def _dormer(meshes, rng, f: Frame, slope: float) -> None:
    """A dormer window standing on the roof; the origin is the middle of its foot."""
    long = 1.15 / slope
    meshes.box(f, "matte", "white", (-0.55, -long, 0.1), (0.55, 0, 1.2), (0, 0, 1, 1))
    meshes.panel(f, "lit", f"pane{rng.integers(24)}", (-0.4, 0.35, 0.4, 1.1), 0.01)
    meshes.box(f, "matte", "white", (-0.03, 0, 0.35), (0.03, 0.03, 1.1), (0, 0, 0.1, 1))
    for s in (-1, 1):
        roof = [(s * 0.7, 0.15, 1.1), (s * 0.7, -long - 0.4, 1.1), (0, -long - 0.4, 1.6), (0, 0.15, 1.6)]
        meshes.face(f, "matte", "chimney", roof, [(0, 0), (0.3, 0), (0.3, 0.3), (0, 0.3)])
    meshes.face(f, "matte", "white", [(-0.6, 0.02, 1.15), (0.6, 0.02, 1.15), (0, 0.02, 1.58), (0, 0.02, 1.58)])
