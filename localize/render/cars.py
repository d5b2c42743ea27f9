"""Parked cars."""

from itertools import pairwise

import numpy as np

from localize.render.meshes import Frame, Meshes, frame_at

# the outline from the side, from the rear bumper around: metres along a car of 4 m, and height
OUTLINE = [
    (-2.0, 0.32), (2.0, 0.32), (2.02, 0.62), (1.9, 0.8), (1.0, 0.93), (0.45, 1.42), (-0.95, 1.46), (-1.6, 0.98),
    (-1.98, 0.9), (-2.05, 0.6),
]  # fmt: skip
GLASS = [(-1.4, 0.97), (0.95, 0.94), (0.42, 1.36), (-0.92, 1.4)]
HALF_M, ROOF = 0.86, 0.84  # half the width; the roof's width in parts of the body's


def car(meshes: Meshes, rng, x: float, y: float, degrees: float) -> None:
    """A body tapered to the roof, windows, wheels, lights, number plates."""
    f = frame_at(x, y, degrees)
    paint = f"car{rng.integers(6)}"
    k = rng.uniform(3.7, 4.3) / 4
    side = [(a * k, c) for a, c in OUTLINE]
    for out, order in ((HALF_M, 1), (-HALF_M, -1)):
        _side(meshes, f, paint, side, out, order)
        glass = [(a * k, out * (1.012 if c < 1 else 0.872), c) for a, c in GLASS]
        meshes.face(f, "glass", "pane4", glass[::order])
        low, high = sorted((out * 0.86, out * 1.02))
        meshes.box(f, "paint", paint, (-0.3, low, 0.92), (-0.22, high, 1.4))
        for a in (-1.25, 1.25):
            _wheel(meshes, f.moved(along=a * k, out=out * 0.9, up=0.31), np.sign(out), order)
    for p, q in pairwise([*side, side[0]]):
        w0, w1 = (HALF_M * (1 if c < 1 else ROOF) for _, c in (p, q))
        glazed = p[1] > 0.9 and q[1] > 0.9 and abs(p[1] - q[1]) > 0.2
        corners = [(p[0], -w0, p[1]), (q[0], -w1, q[1]), (q[0], w1, q[1]), (p[0], w0, p[1])]
        meshes.face(f, "glass" if glazed else "paint", "pane4" if glazed else paint, corners)
    for end, lights in ((-1, "car1"), (1, "white")):
        a = 2.03 * k * end
        for s in (-0.62, 0.62):
            meshes.box(f, "paint", lights, (a - 0.03, s - 0.14, 0.62), (a + 0.03, s + 0.14, 0.76))
        meshes.box(f, "matte", f"plate{rng.integers(6)}", (a - 0.035, -0.26, 0.42), (a + 0.035, 0.26, 0.54))


def _side(meshes: Meshes, f: Frame, paint: str, side, out: float, order: int) -> None:
    """Triangles from the middle of the door to the outline."""
    middle = (0.0, out, 0.75)
    rim = [(a, out * (1 if c < 1 else ROOF), c) for a, c in side]
    for p, q in pairwise([*rim, rim[0]]):
        meshes.face(f, "paint", paint, [middle, p, q, middle][::order])


def _wheel(meshes: Meshes, wheel: Frame, outwards: float, order: int) -> None:
    """A tyre and its hub."""
    for t0, t1 in pairwise(2 * np.pi * i / 12 for i in range(13)):
        for r, name, o in ((0.31, "iron", 0.1), (0.19, "white", 0.115)):
            out = o * outwards * 0.86
            hub = (0, out, 0)
            rim = [(r * np.cos(t), out, r * np.sin(t)) for t in (t0, t1)]
            meshes.face(wheel, "matte", name, [hub, *rim, hub][::order])
