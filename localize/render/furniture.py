"""What stands in the streets: the church, the fountain, lamps, cars, trees, bollards, benches; pavements and ground."""

import numpy as np

from localize.render import textures
from localize.render.facades import pierced_wall, reveal
from localize.render.layout import Lot, Plan, open_at, wall_distance
from localize.render.meshes import Frame, Meshes, frame_at
from localize.render.noise import cells, shaded, smooth, spots

KERB_M = 0.11


def church(meshes: Meshes, rng, lot: Lot) -> None:
    """A stone gable with portal, rose and lancets between buttresses, and a bell tower."""
    f, w = lot.frame, lot.width
    t = meshes.textures
    t["nave"] = textures.ashlar(rng, (1100, int(100 * w)), (0.70, 0.64, 0.53), (64, 34))
    t["tower"] = textures.ashlar(rng, (2000, 440), (0.66, 0.60, 0.50), (64, 34))
    tower_w, nave_h, top = 4.0, 8.5, 17.0
    nave = f.moved(along=tower_w)
    n = w - tower_w
    c = n / 2
    holes = [(c - 1.1, 0.3, c + 1.1, 3.6), (0.9, 2.0, 1.6, 6.2), (n - 1.6, 2.0, n - 0.9, 6.2)]
    pierced_wall(meshes, nave, "nave", (n, nave_h), holes)
    for hole in holes:
        reveal(meshes, nave, "nave", hole, 0.5, (n, nave_h))
    meshes.face(nave, "matte", "door0", [(c - 1.1, -0.5, 0.3), (c + 1.1, -0.5, 0.3), (c + 1.1, -0.5, 3.6), (c - 1.1, -0.5, 3.6)])
    for s0, z0, s1, z1 in holes[1:]:
        meshes.face(nave, "lit", "stained", [(s0, -0.4, z0), (s1, -0.4, z0), (s1, -0.4, z1), (s0, -0.4, z1)])
    for k, r in enumerate((1.6, 1.45, 1.3)):
        _arch(meshes, nave, "stone", c, 3.0, r, 0.16, 0.1 + 0.08 * (2 - k))
        for s in (-1, 1):
            meshes.box(nave, "matte", "stone", (c + s * r - 0.09, 0, 0.3), (c + s * r + 0.09, 0.1 + 0.08 * (2 - k), 3.0), (0.1, 0, 0.2, 1))
    _rose(meshes, nave, c, 6.2, 1.15)
    ridge = nave_h + 3.4
    gable = [(0, 0, nave_h), (n, 0, nave_h), (c, 0, ridge), (c, 0, ridge)]
    meshes.face(nave, "matte", "nave", gable, [(0, 0), (1, 0), (0.5, 0.4), (0.5, 0.4)])
    for a, b in (((-0.1, nave_h - 0.1), (c, ridge)), ((n + 0.1, nave_h - 0.1), (c, ridge))):
        edge = [(a[0], -7, a[1]), (a[0], 0.25, a[1]), (b[0], 0.25, b[1]), (b[0], -7, b[1])]
        meshes.face(nave, "matte", "roof1", edge, [(0, 0), (0.8, 0), (0.8, 1), (0, 1)])
    for z in (1.2, nave_h - 0.35):
        meshes.box(nave, "matte", "stone", (0, 0, z), (c - 1.7, 0.12, z + 0.22), (0, 0.1, 1, 0.2))
        meshes.box(nave, "matte", "stone", (c + 1.7, 0, z), (n, 0.12, z + 0.22), (0, 0.1, 1, 0.2))
    for s in (0.0, n - 0.6):
        meshes.box(nave, "matte", "stone", (s, 0, 0), (s + 0.6, 0.55, 5.0), (0.3, 0, 0.5, 1))
        meshes.box(nave, "matte", "stone", (s, 0, 5.0), (s + 0.6, 0.3, 7.6), (0.3, 0, 0.5, 1))
    for k in range(2):
        meshes.box(nave, "matte", "stone", (c - 2 + 0.3 * k, 0, 0.15 * k), (c + 2 - 0.3 * k, 1.2 - 0.4 * k, 0.15 * k + 0.15), (0, 0, 1, 0.3))
    meshes.box(f, "matte", "tower", (0, -tower_w, 0), (tower_w, 0.35, top))
    for z in (4.6, 9.0, 13.0, top - 0.3):
        meshes.box(f, "matte", "stone", (-0.14, -tower_w - 0.14, z), (tower_w + 0.14, 0.5, z + 0.26), (0, 0.1, 1, 0.25))
    for s in (tower_w / 2 - 0.7, tower_w / 2 + 0.7):
        meshes.box(f, "matte", "iron", (s - 0.42, 0.3, 13.6), (s + 0.42, 0.37, 15.8))
        _arch(meshes, f.moved(out=0.35), "stone", s, 15.7, 0.5, 0.15, 0.12)
    meshes.face(f, "matte", "clock", [(tower_w / 2 - 0.9, 0.38, 10.2), (tower_w / 2 + 0.9, 0.38, 10.2), (tower_w / 2 + 0.9, 0.38, 12), (tower_w / 2 - 0.9, 0.38, 12)])
    tip = (tower_w / 2, -tower_w / 2 + 0.2, top + 5.5)
    base = [(-0.3, -tower_w - 0.3), (-0.3, 0.65), (tower_w + 0.3, 0.65), (tower_w + 0.3, -tower_w - 0.3)]
    for a, b in zip(base, base[1:] + base[:1], strict=True):
        meshes.face(f, "matte", "roof2", [(*a, top), (*b, top), tip, tip], [(0, 0), (0.4, 0), (0.2, 1), (0.2, 1)])


def _arch(meshes, frame, texture, s, z, radius, wide, out, until=np.pi) -> None:
    """A ring of stones on a wall, from the right upwards; half of it unless said otherwise."""
    angle = np.linspace(0, until, 14 if until < 4 else 27)
    for a, b in zip(angle[:-1], angle[1:], strict=True):
        p = [(s + r * np.cos(t), out, z + r * np.sin(t)) for r, t in ((radius, a), (radius + wide, a), (radius + wide, b), (radius, b))]
        u = a / 4
        meshes.face(frame, "matte", texture, p, [(u, 0.1), (u + 0.08, 0.1), (u + 0.08, 0.3), (u, 0.3)])
        q = [(x, y - out, c) for x, y, c in p]
        for i, j in ((1, 2), (3, 0)):
            meshes.face(frame, "matte", texture, [q[i], p[i], p[j], q[j]], [(u, 0.1), (u + 0.05, 0.1), (u + 0.05, 0.3), (u, 0.3)])


def _rose(meshes, frame, s, z, radius) -> None:
    """A round window with twelve spokes."""
    angle = np.linspace(0, 2 * np.pi, 25)
    for a, b in zip(angle[:-1], angle[1:], strict=True):
        ring = [(s + r * np.cos(t), 0.02, z + r * np.sin(t)) for r, t in ((0.05, a), (radius, a), (radius, b), (0.05, b))]
        meshes.face(frame, "lit", "stained", ring, [(0, 0), (1, 0), (1, 0.6), (0, 0.6)])
    _arch(meshes, frame, "stone", s, z, radius, 0.2, 0.14, 2 * np.pi)
    for t in np.linspace(0, 2 * np.pi, 13)[:-1]:
        c, d = np.cos(t), np.sin(t)
        across = (-0.04 * d, 0.04 * c)
        p = [(s + r * c + k * across[0], 0.06, z + r * d + k * across[1]) for r, k in ((0.15, -1), (radius, -1), (radius, 1), (0.15, 1))]
        meshes.face(frame, "matte", "stone", p, [(0, 0), (0.3, 0), (0.3, 0.05), (0, 0.05)])


def fountain(meshes: Meshes, at) -> None:
    """An eight-sided basin with water, a column with a bowl, and a figure."""
    f = frame_at(*at, 12)
    stone = "stone"
    meshes.lathe(f, "matte", stone, [(2.5, 0), (2.5, 0.18), (2.25, 0.18), (2.25, 0.3), (2.15, 0.35), (2.15, 0.62), (2.3, 0.66), (2.3, 0.78), (1.95, 0.78), (1.95, 0.3)], 8)
    ring = [(1.97 * np.cos(t), 1.97 * np.sin(t), 0.6) for t in np.linspace(0, 2 * np.pi, 9)[:-1]]
    for i in range(0, 8, 2):
        meshes.face(f, "water", "water", [(0, 0, 0.6), ring[i], ring[(i + 1) % 8], ring[(i + 2) % 8]])
    column = [(0.5, 0.3), (0.5, 0.8), (0.3, 0.9), (0.24, 1.3), (0.34, 1.5), (0.95, 1.75), (1.05, 1.9), (0.9, 1.9), (0.3, 1.7), (0.2, 1.9), (0.2, 2.4), (0.34, 2.45), (0.3, 2.6)]
    meshes.lathe(f, "matte", stone, column, 14)
    figure = [(0.28, 2.6), (0.3, 2.9), (0.2, 3.3), (0.27, 3.7), (0.24, 3.85), (0.08, 3.95), (0.13, 4.05), (0.13, 4.2), (0.0, 4.28)]
    meshes.lathe(f, "matte", "bronze", figure, 12)


def lamp(meshes: Meshes, x: float, y: float) -> None:
    """A cast-iron street lamp 4 m high."""
    f = frame_at(x, y)
    meshes.lathe(f, "matte", "iron", [(0.17, 0), (0.17, 0.3), (0.09, 0.45), (0.06, 0.9), (0.045, 3.3), (0.1, 3.4), (0.05, 3.45)], 8)
    meshes.lathe(f, "lamp", "white", [(0.0, 3.45), (0.1, 3.5), (0.18, 3.85), (0.0, 3.86)], 8)
    meshes.lathe(f, "matte", "iron", [(0.22, 3.85), (0.13, 4.0), (0.02, 4.12), (0.0, 4.2)], 8)


def car(meshes: Meshes, rng, x: float, y: float, degrees: float) -> None:
    """A parked car: body in two tiers with rounded outline, windows, wheels, lights, number plate."""
    f = frame_at(x, y, degrees)
    paint = f"car{rng.integers(6)}"
    length, half = rng.uniform(3.7, 4.3), 0.86
    k = length / 4
    side = [(-2.0, 0.32), (2.0, 0.32), (2.02, 0.62), (1.9, 0.8), (1.0, 0.93), (0.45, 1.42), (-0.95, 1.46), (-1.6, 0.98), (-1.98, 0.9), (-2.05, 0.6)]
    side = [(a * k, c) for a, c in side]
    for out, order in ((half, 1), (-half, -1)):
        for p, q in zip(side, side[1:] + side[:1], strict=True):
            corners = [(0.0, out, 0.75), (p[0], out * (1 if p[1] < 1 else 0.84), p[1]), (q[0], out * (1 if q[1] < 1 else 0.84), q[1]), (0.0, out, 0.75)]
            meshes.face(f, "paint", paint, corners[::order])
        glass = [(-1.4, 0.97), (0.95, 0.94), (0.42, 1.36), (-0.92, 1.4)]
        corners = [(a * k, out * (1.012 if c < 1 else 0.872), c) for a, c in glass]
        meshes.face(f, "glass", "pane4", corners[::order])
        meshes.box(f, "paint", paint, (-0.3, min(out * 0.86, out * 1.02), 0.92), (-0.22, max(out * 0.86, out * 1.02), 1.4))
        for a in (-1.25, 1.25):
            wheel = f.moved(along=a * k, out=out * 0.9, up=0.31)
            for i in range(12):
                t0, t1 = 2 * np.pi * i / 12, 2 * np.pi * (i + 1) / 12
                for r, name, o in ((0.31, "iron", 0.1), (0.19, "white", 0.115)):
                    y0 = o * np.sign(out) * 0.86
                    rim = [(0, y0, 0), (r * np.cos(t0), y0, r * np.sin(t0)), (r * np.cos(t1), y0, r * np.sin(t1)), (0, y0, 0)]
                    meshes.face(wheel, "matte", name, rim[::order])
    for p, q in zip(side, side[1:] + side[:1], strict=True):
        w0, w1 = (half * (1 if c < 1 else 0.84) for _, c in (p, q))
        glazed = p[1] > 0.9 and q[1] > 0.9 and abs(p[1] - q[1]) > 0.2
        corners = [(p[0], -w0, p[1]), (q[0], -w1, q[1]), (q[0], w1, q[1]), (p[0], w0, p[1])]
        meshes.face(f, "glass" if glazed else "paint", "pane4" if glazed else paint, corners)
    for end in (-1, 1):
        a = 2.03 * k * end
        for s in (-0.62, 0.62):
            meshes.box(f, "paint", "white" if end > 0 else "car1", (a - 0.03, s - 0.14, 0.62), (a + 0.03, s + 0.14, 0.76))
        meshes.box(f, "matte", f"plate{rng.integers(6)}", (a - 0.035, -0.26, 0.42), (a + 0.035, 0.26, 0.54))


def tree(meshes: Meshes, rng, x: float, y: float) -> None:
    """A trunk in an iron ring and a crown of some 2500 leaves."""
    f = frame_at(x, y)
    meshes.lathe(f, "matte", "bark", [(0.2, 0), (0.14, 0.4), (0.12, 1.6), (0.1, 2.4), (0.05, 3.4)], 9)
    meshes.lathe(f, "matte", "iron", [(0.6, 0.0), (0.6, 0.06), (0.5, 0.06)], 16)
    centres = np.array([0, 0, 3.5]) + rng.normal(size=(16, 3)) * [0.75, 0.75, 0.6]
    for centre in centres:
        meshes.quad("matte", "bark", [(x, y, 2.2), (x + 0.05, y, 2.2), (x + centre[0] + 0.02, y + centre[1], centre[2]), (x + centre[0], y + centre[1], centre[2])])
        leaves = centre + rng.normal(size=(190, 3)).clip(-2, 2) * 0.34
        for p in leaves:
            a, b = rng.normal(size=(2, 3)).clip(-1.5, 1.5) * 0.05
            u, v = rng.uniform(0, 0.96, 2)
            q = np.array([x, y, 0]) + p
            meshes.quad("matte", "leaves", [q - a, q + b, q + a, q - b], [(u, v), (u + 0.03, v), (u + 0.03, v + 0.03), (u, v + 0.03)])


def bollard(meshes: Meshes, x: float, y: float) -> None:
    """A stone bollard."""
    meshes.lathe(frame_at(x, y), "matte", "stone", [(0.16, 0), (0.14, 0.6), (0.18, 0.66), (0.16, 0.78), (0.0, 0.86)], 10)


def bench(meshes: Meshes, x: float, y: float, degrees: float) -> None:
    """A bench of slats."""
    f = frame_at(x, y, degrees)
    for k in range(4):
        meshes.box(f, "matte", "wood", (-0.9, -0.2 + 0.12 * k, 0.42), (0.9, -0.1 + 0.12 * k, 0.46), (0, 0.2 * k, 1, 0.2 * k + 0.2))
    for k in range(3):
        meshes.box(f, "matte", "wood", (-0.9, -0.26, 0.55 + 0.13 * k), (0.9, -0.22, 0.65 + 0.13 * k), (0, 0.3 * k, 1, 0.3 * k + 0.2))
    for a in (-0.75, 0.7):
        meshes.box(f, "matte", "iron", (a, -0.26, 0), (a + 0.05, 0.25, 0.42))
        meshes.box(f, "matte", "iron", (a, -0.29, 0), (a + 0.05, -0.26, 0.9))
