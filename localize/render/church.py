"""The church: a stone gable with portal, rose and lancets between buttresses, and a bell tower."""

from itertools import pairwise

import numpy as np

from localize.render import textures
from localize.render.facades import pierced_wall, reveal
from localize.render.layout import Lot
from localize.render.meshes import Frame, Meshes

TOWER_M, TOWER_TOP_M, NAVE_M = 4.0, 17.0, 8.5  # width and height of the tower, height of the nave's walls


def church(meshes: Meshes, rng, lot: Lot) -> None:
    """Tower on the left of the lot, nave on its right."""
    t, nave_w = meshes.textures, lot.width - TOWER_M
    t["nave"] = textures.ashlar(rng, (1100, int(100 * lot.width)), (0.70, 0.64, 0.53), (64, 34))
    t["tower"] = textures.ashlar(rng, (2000, 440), (0.66, 0.60, 0.50), (64, 34))
    nave = lot.frame.moved(along=TOWER_M)
    _openings(meshes, nave, nave_w)
    _rose(meshes, nave, nave_w / 2, 6.2, 1.15)
    _gable(meshes, nave, nave_w)
    _mouldings(meshes, nave, nave_w)
    _tower(meshes, lot.frame)


def _openings(meshes, nave: Frame, n: float) -> None:
    """Portal with three rings of stones, and two lancets."""
    c = n / 2
    holes = [(c - 1.1, 0.3, c + 1.1, 3.6), (0.9, 2.0, 1.6, 6.2), (n - 1.6, 2.0, n - 0.9, 6.2)]
    pierced_wall(meshes, nave, "nave", (n, NAVE_M), holes)
    for hole in holes:
        reveal(meshes, nave, "nave", hole, 0.5, (n, NAVE_M))
    meshes.panel(nave, "matte", "door0", holes[0], -0.5)
    for hole in holes[1:]:
        meshes.panel(nave, "lit", "stained", hole, -0.4)
    for k, r in enumerate((1.6, 1.45, 1.3)):
        out = 0.1 + 0.08 * (2 - k)
        _arch(meshes, nave, "stone", c, 3.0, r, 0.16, out)
        for s in (c - r, c + r):
            meshes.box(nave, "matte", "stone", (s - 0.09, 0, 0.3), (s + 0.09, out, 3.0), (0.1, 0, 0.2, 1))


def _gable(meshes, nave: Frame, n: float) -> None:
    c, ridge = n / 2, NAVE_M + 3.4
    gable = [(0, 0, NAVE_M), (n, 0, NAVE_M), (c, 0, ridge), (c, 0, ridge)]
    meshes.face(nave, "matte", "nave", gable, [(0, 0), (1, 0), (0.5, 0.4), (0.5, 0.4)])
    for s in (-0.1, n + 0.1):
        slope = [(s, -7, NAVE_M - 0.1), (s, 0.25, NAVE_M - 0.1), (c, 0.25, ridge), (c, -7, ridge)]
        meshes.face(nave, "matte", "roof1", slope, [(0, 0), (0.8, 0), (0.8, 1), (0, 1)])


def _mouldings(meshes, nave: Frame, n: float) -> None:
    """String courses, buttresses, steps."""
    c = n / 2
    for z in (1.2, NAVE_M - 0.35):
        for s0, s1 in ((0, c - 1.7), (c + 1.7, n)):
            meshes.box(nave, "matte", "stone", (s0, 0, z), (s1, 0.12, z + 0.22), (0, 0.1, 1, 0.2))
    for s in (0.0, n - 0.6):
        meshes.box(nave, "matte", "stone", (s, 0, 0), (s + 0.6, 0.55, 5.0), (0.3, 0, 0.5, 1))
        meshes.box(nave, "matte", "stone", (s, 0, 5.0), (s + 0.6, 0.3, 7.6), (0.3, 0, 0.5, 1))
    for k in range(2):
        low, high = (c - 2 + 0.3 * k, 0, 0.15 * k), (c + 2 - 0.3 * k, 1.2 - 0.4 * k, 0.15 * k + 0.15)
        meshes.box(nave, "matte", "stone", low, high, (0, 0, 1, 0.3))


def _tower(meshes, f: Frame) -> None:
    """Shaft with string courses, belfry openings, a clock and a pointed roof."""
    w, top, c = TOWER_M, TOWER_TOP_M, TOWER_M / 2
    meshes.box(f, "matte", "tower", (0, -w, 0), (w, 0.35, top))
    for z in (4.6, 9.0, 13.0, top - 0.3):
        meshes.box(f, "matte", "stone", (-0.14, -w - 0.14, z), (w + 0.14, 0.5, z + 0.26), (0, 0.1, 1, 0.25))
    for s in (c - 0.7, c + 0.7):
        meshes.box(f, "matte", "iron", (s - 0.42, 0.3, 13.6), (s + 0.42, 0.37, 15.8))
        _arch(meshes, f.moved(out=0.35), "stone", s, 15.7, 0.5, 0.15, 0.12)
    meshes.panel(f, "matte", "clock", (c - 0.9, 10.2, c + 0.9, 12), 0.38)
    tip = (c, 0.2 - c, top + 5.5)
    base = [(-0.3, -w - 0.3), (-0.3, 0.65), (w + 0.3, 0.65), (w + 0.3, -w - 0.3)]
    for a, b in pairwise([*base, base[0]]):
        meshes.face(f, "matte", "roof2", [(*a, top), (*b, top), tip, tip], [(0, 0), (0.4, 0), (0.2, 1), (0.2, 1)])


def _sector(s, z, out, r0, r1, a, b):
    """Corners of a piece of a ring about (s, z)."""
    rim = ((r0, a), (r1, a), (r1, b), (r0, b))
    return [(s + r * np.cos(t), out, z + r * np.sin(t)) for r, t in rim]


def _arch(meshes, frame, texture, s, z, radius, wide, out, until=np.pi) -> None:
    """A ring of stones on a wall, from the right upwards; half of it unless said otherwise."""
    for a, b in pairwise(np.linspace(0, until, 14 if until < 4 else 27)):
        p, u = _sector(s, z, out, radius, radius + wide, a, b), a / 4
        meshes.face(frame, "matte", texture, p, [(u, 0.1), (u + 0.08, 0.1), (u + 0.08, 0.3), (u, 0.3)])
        q = [(x, y - out, c) for x, y, c in p]
        for i, j in ((1, 2), (3, 0)):
            uv = [(u, 0.1), (u + 0.05, 0.1), (u + 0.05, 0.3), (u, 0.3)]
            meshes.face(frame, "matte", texture, [q[i], p[i], p[j], q[j]], uv)


def _rose(meshes, frame, s, z, radius) -> None:
    """A round window with twelve spokes."""
    for a, b in pairwise(np.linspace(0, 2 * np.pi, 25)):
        ring = _sector(s, z, 0.02, 0.05, radius, a, b)
        meshes.face(frame, "lit", "stained", ring, [(0, 0), (1, 0), (1, 0.6), (0, 0.6)])
    _arch(meshes, frame, "stone", s, z, radius, 0.2, 0.14, 2 * np.pi)
    for t in np.linspace(0, 2 * np.pi, 13)[:-1]:
        c, d = np.cos(t), np.sin(t)
        rim = ((0.15, -0.04), (radius, -0.04), (radius, 0.04), (0.15, 0.04))
        spoke = [(s + r * c - k * d, 0.06, z + r * d + k * c) for r, k in rim]
        meshes.face(frame, "matte", "stone", spoke, [(0, 0), (0.3, 0), (0.3, 0.05), (0, 0.05)])
