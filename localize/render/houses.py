"""Whole houses on their lots: facade, free side wall, roof, chimneys; the arcade and the church."""

import numpy as np

from localize.render import textures
from localize.render.facades import GROUND_M, Style, balcony, door, pierced_wall, reveal, shop, wall_texture, window
from localize.render.layout import Lot
from localize.render.meshes import Frame, Meshes

PALETTES = {
    "benchmark": [(0.80, 0.67, 0.45), (0.74, 0.49, 0.37), (0.82, 0.77, 0.67), (0.66, 0.67, 0.60), (0.78, 0.60, 0.52), (0.60, 0.64, 0.70)],
    "training": [(0.58, 0.68, 0.58), (0.83, 0.73, 0.57), (0.68, 0.58, 0.62), (0.84, 0.82, 0.78), (0.55, 0.62, 0.72), (0.72, 0.58, 0.40)],
}  # fmt: skip
BRICKS = {"benchmark": [(0.62, 0.31, 0.22), (0.70, 0.45, 0.32)], "training": [(0.50, 0.26, 0.21), (0.66, 0.56, 0.42)]}


def styles(rng, palette: str, num: int = 14) -> list[Style]:
    """The designs the town's houses are chosen from; fewer than houses, so that some stand twice or more."""
    out = []
    for i in range(num):
        wall = ("plaster", "plaster", "plaster", "brick", "plaster", "ashlar", "brick")[i % 7]
        colours = BRICKS[palette] if wall == "brick" else PALETTES[palette]
        rgb = (0.68, 0.62, 0.52) if wall == "ashlar" else colours[(i * 5 + i // 7) % len(colours)]
        window_w = rng.uniform(0.9, 1.15)
        shuttered = wall == "plaster" and rng.random() < 0.6
        out.append(
            Style(
                wall, rgb, trim=f"trim{rng.integers(3)}", floors=int(rng.choice([2, 3, 3, 4])),
                floor_m=rng.uniform(2.75, 3.15), bay_m=rng.uniform(2.2, 2.7), window_m=(window_w, rng.uniform(1.45, 1.8)),
                shutters=f"shutter{rng.integers(4)}" if shuttered else None, balcony=rng.random() < 0.5,
                surround=rng.random() < 0.6, roof=f"roof{rng.integers(3)}", rise_m=rng.uniform(1.5, 2.6),
                reveal_m=rng.uniform(0.14, 0.26),
            )
        )  # fmt: skip
    return out


def house(meshes: Meshes, rng, lot: Lot, style: Style, arcade: bool = False) -> None:
    """One house; `rng` decides only what twins need not share: dirt, shops, flowers, curtains."""
    size = (lot.width, style.height_m)
    texture = wall_texture(meshes, rng, style, *size)
    _front(meshes, rng, lot.frame, texture, size, style, arcade)
    if lot.free_left:
        turned = Frame(lot.frame.world((0, -lot.depth, 0)), lot.frame.out, -lot.frame.along)
        side_size = (lot.depth, style.height_m)
        _front(meshes, rng, turned, wall_texture(meshes, rng, style, *side_size), side_size, style, False)
        _bands(meshes, rng, turned, *side_size, style)
    _bands(meshes, rng, lot.frame, *size, style, plinth=not arcade)
    _shell(meshes, lot, style)
    _roof(meshes, rng, lot, style)


def _front(meshes, rng, frame, texture, size, style: Style, arcade: bool) -> None:
    """Wall with all its openings."""
    width, height = size
    bays = max(1, round(width / style.bay_m))
    step = width / bays
    w, h = style.window_m
    holes, made = [], []
    if not arcade:
        for kind, first, num in _ground_floor(rng, bays):
            s0, s1 = (first + 0.5 * num) * step - 0.5, (first + 0.5 * num) * step + 0.5
            hole = (s0 - 0.03, 0.0, s1 + 0.03, 2.65)
            if kind == "shop":
                hole = (first * step + 0.3, 0.55, (first + num) * step - 0.3, 2.55)
            elif kind == "window":
                hole = ((first + 0.5) * step - w / 2, 1.05, (first + 0.5) * step + w / 2, 1.05 + min(h, 1.6))
            holes.append(hole)
            made.append(kind)
    for floor in range(1, style.floors):
        for bay in range(bays):
            z0 = GROUND_M + (floor - 1) * style.floor_m + 0.62
            s = (bay + 0.5) * step
            with_balcony = style.balcony and floor == 1 and bay % 2 == bays // 2 % 2
            holes.append((s - w / 2, z0 - (0.55 if with_balcony else 0), s + w / 2, z0 + h))
            made.append("balcony" if with_balcony else "window")
    walls = holes + ([(0.0, 0.0, width, GROUND_M)] if arcade else [])
    pierced_wall(meshes, frame, texture, size, walls)
    for hole, kind in zip(holes, made, strict=True):
        reveal(meshes, frame, texture, hole, style.reveal_m + (0.08 if kind == "door" else 0), size)
        if kind == "door":
            door(meshes, rng, frame, hole, style)
        elif kind == "shop":
            shop(meshes, rng, frame, hole, awning=rng.random() < 0.5)
        else:
            window(meshes, rng, frame, hole, style, sill=kind == "window")
            if kind == "balcony":
                balcony(meshes, rng, frame, hole, style)
    if arcade:
        _arcade(meshes, rng, frame, texture, size, style, bays)
    else:
        _posters(meshes, rng, frame, width, holes)


def _ground_floor(rng, bays: int):
    """(kind, first bay, number of bays) from left to right: one door, shops of two bays, windows."""
    at, door_bay, out = 0, int(rng.integers(bays)), []
    while at < bays:
        if at == door_bay:
            out.append(("door", at, 1))
            at += 1
        elif at + 2 <= bays and door_bay != at + 1 and rng.random() < 0.6:
            out.append(("shop", at, 2))
            at += 2
        else:
            out.append(("window", at, 1))
            at += 1
    return out


def _posters(meshes, rng, frame, width, holes) -> None:
    """Posters where the ground floor's wall is free."""
    edges = sorted((h[0] - 0.3, h[2] + 0.3) for h in holes if h[1] < GROUND_M)
    gaps = zip([0.1] + [e[1] for e in edges], [e[0] for e in edges] + [width - 0.1], strict=True)
    for a, b in gaps:
        if b - a > 0.62 and rng.random() < 0.75:
            w = min(b - a, rng.uniform(0.55, 0.8))
            s, z = (a + b - w) / 2, rng.uniform(1.0, 1.5)
            name = f"poster{rng.integers(18)}"
            meshes.face(frame, "matte", name, [(s, 0.012, z), (s + w, 0.012, z), (s + w, 0.012, z + 1.4 * w), (s, 0.012, z + 1.4 * w)])


def _arcade(meshes, rng, frame, texture, size, style: Style, bays: int) -> None:
    """Round arches on piers, a vault 2.6 m deep, shops behind."""
    width, height = size
    step, pier, spring, deep = width / bays, 0.5, 1.95, 2.6

    def piece(corners):
        uv = [(max(0, min(1, s / width)), z / height) for s, _, z in corners]
        meshes.face(frame, "matte", texture, corners, uv)

    for bay in range(bays):
        s0, s1 = bay * step + pier / 2, (bay + 1) * step - pier / 2
        angle = np.linspace(np.pi, 0, 15)
        xs, zs = (s0 + s1) / 2 + (s1 - s0) / 2 * np.cos(angle), spring + (s1 - s0) / 2 * np.sin(angle)
        zs = np.minimum(zs, GROUND_M - 0.12)
        for a0, c0, a1, c1 in zip(xs[:-1], zs[:-1], xs[1:], zs[1:], strict=True):
            piece([(a0, 0, c0), (a1, 0, c1), (a1, 0, GROUND_M), (a0, 0, GROUND_M)])
            piece([(a0, 0, c0), (a0, -0.5, c0), (a1, -0.5, c1), (a1, 0, c1)])
    for k in range(bays + 1):
        low, high = max(0, k * step - pier / 2), min(width, k * step + pier / 2)
        meshes.box(frame, "matte", "stone", (low, -0.5, 0), (high, 0.0, GROUND_M), (0.1 + 0.05 * k, 0, 0.25 + 0.05 * k, 1))
        meshes.box(frame, "matte", style.trim, (low - 0.06, -0.56, spring - 0.2), (high + 0.06, 0.06, spring), _part(rng))
        meshes.box(frame, "matte", style.trim, (low - 0.05, -0.55, 0), (high + 0.05, 0.05, 0.4), _part(rng))
    meshes.face(frame, "matte", "white", [(0, 0, GROUND_M), (width, 0, GROUND_M), (width, -deep, GROUND_M), (0, -deep, GROUND_M)])
    meshes.face(frame, "matte", "stone", [(0, 0, 0.02), (width, 0, 0.02), (width, -deep, 0.02), (0, -deep, 0.02)])
    back = frame.moved(out=-deep)
    holes = [(b * step + 0.4, 0.5, (b + 1) * step - 0.4, 2.5) for b in range(bays)]
    wall = wall_texture(meshes, rng, style, width, GROUND_M)
    pierced_wall(meshes, back, wall, (width, GROUND_M), holes)
    for hole in holes:
        reveal(meshes, back, wall, hole, 0.16, (width, GROUND_M))
        shop(meshes, rng, back, hole, awning=False)
    for s in (0.01, width - 0.01):  # not in the plane of the neighbour's wall
        meshes.face(frame, "matte", wall, [(s, 0, 0), (s, -deep, 0), (s, -deep, GROUND_M), (s, 0, GROUND_M)])


def _bands(meshes, rng, frame, width, height, style: Style, plinth: bool = True) -> None:
    """Cornices between floors and under the eaves, corner quoins, a drainpipe."""
    trim = style.trim
    meshes.box(frame, "matte", trim, (0, 0, GROUND_M - 0.1), (width, 0.09, GROUND_M + 0.08), (0, 0, 1, 0.4))
    for k, (low, high, out) in enumerate(((0.5, 0.36, 0.07), (0.36, 0.16, 0.16), (0.16, 0.0, 0.27))):
        meshes.box(frame, "matte", trim, (0, -0.05, height - low), (width, out, height - high), (0, 0.1 * k, 1, 0.1 * k + 0.3))
    for a in np.arange(0.2, width - 0.15, 0.42):
        meshes.box(frame, "matte", trim, (a, 0.05, height - 0.36), (a + 0.14, 0.24, height - 0.16), _part(rng))
    if style.wall != "ashlar" and plinth:
        for k, z in enumerate(np.arange(0.0, height - 0.8, 0.32)):
            wide = 0.34 if k % 2 else 0.22
            meshes.box(frame, "matte", "stone", (0, -0.02, z), (wide, 0.03, z + 0.3), _part(rng, 0.12))
    at = width - 0.14
    meshes.box(frame, "matte", "iron", (at - 0.05, 0.03, 0.1 if plinth else GROUND_M), (at + 0.05, 0.12, height - 0.4), (0, 0, 0.2, 1))


def _part(rng, size: float = 0.3):
    u, v = rng.uniform(0, 1 - size, 2)
    return u, v, u + size, v + size


def _shell(meshes, lot: Lot, style: Style) -> None:
    """Party walls and the back, seen above lower neighbours."""
    w, d, h = lot.width, -lot.depth, style.height_m
    part = [(0, 0), (0.6, 0), (0.6, 1), (0, 1)]
    sides = [[(w, 0, 0), (w, d, 0), (w, d, h), (w, 0, h)], [(w, d, 0), (0, d, 0), (0, d, h), (w, d, h)]]
    sides[1] = [(w, d, 0), (0, d, 0), (0, d, h), (w, d, h)]
    if not lot.free_left:
        sides.append([(0, d, 0), (0, 0, 0), (0, 0, h), (0, d, h)])
    if lot.kind == "arcade":
        sides[0] = [(w, 0, GROUND_M), (w, d, GROUND_M), (w, d, h), (w, 0, h)]
        if not lot.free_left:
            sides[2] = [(0, d, GROUND_M), (0, 0, GROUND_M), (0, 0, h), (0, d, h)]
    for side in sides:
        meshes.face(lot.frame, "matte", "party", side, part)


def _roof(meshes, rng, lot: Lot, style: Style) -> None:
    """A gable roof along the street with chimneys and dormers."""
    w, d, h, rise = lot.width, lot.depth, style.height_m, style.rise_m
    over, f = 0.38, lot.frame
    slope = rise / (d / 2)
    eave = h - slope * over + 0.16
    u, v = rng.uniform(0, 0.3), rng.uniform(0, 0.3)
    uv = [(u, v), (u + w / 12, v), (u + w / 12, v + 0.6), (u, v + 0.6)]
    ridge = h + rise + 0.16
    meshes.face(f, "matte", style.roof, [(0, over, eave), (w, over, eave), (w, -d / 2, ridge), (0, -d / 2, ridge)], uv)
    meshes.face(f, "matte", style.roof, [(w, -d - over, eave), (0, -d - over, eave), (0, -d / 2, ridge), (w, -d / 2, ridge)], uv)
    meshes.face(f, "matte", "trim0", [(0, 0, h - 0.01), (w, 0, h - 0.01), (w, over, eave - 0.02), (0, over, eave - 0.02)])
    meshes.box(f, "matte", "iron", (0, over - 0.04, eave - 0.1), (w, over + 0.08, eave + 0.02), (0, 0, 1, 0.2))
    for s in (0, w):
        meshes.face(f, "matte", "party", [(s, 0, h), (s, -d, h), (s, -d / 2, ridge - 0.02), (s, -d / 2, ridge - 0.02)])
    for s in rng.uniform(0.4, 0.6, 1) * w if w < 4 else rng.uniform(0.8, w - 0.8, rng.integers(1, 3)):
        meshes.box(f, "matte", "chimney", (s - 0.35, -d / 2 - 0.3, h), (s + 0.35, -d / 2 + 0.3, ridge + rng.uniform(0.6, 1.2)), (0, 0, 0.5, 1))
    if style.floors < 4:
        for s in np.arange(1.6, w - 1.5, 2.6):
            _dormer(meshes, rng, f.moved(along=s, out=-0.5, up=h + slope * 0.5), slope)


def _dormer(meshes, rng, f: Frame, slope: float) -> None:
    """A dormer window standing on the roof; the origin is the middle of its foot."""
    long = 1.15 / slope
    meshes.box(f, "matte", "white", (-0.55, -long, 0.1), (0.55, 0, 1.2), (0, 0, 1, 1))
    meshes.face(f, "lit", f"pane{rng.integers(24)}", [(-0.4, 0.01, 0.35), (0.4, 0.01, 0.35), (0.4, 0.01, 1.1), (-0.4, 0.01, 1.1)])
    meshes.box(f, "matte", "white", (-0.03, 0, 0.35), (0.03, 0.03, 1.1), (0, 0, 0.1, 1))
    for s in (-1, 1):
        roof = [(s * 0.7, 0.15, 1.1), (s * 0.7, -long - 0.4, 1.1), (0, -long - 0.4, 1.6), (0, 0.15, 1.6)]
        meshes.face(f, "matte", "chimney", roof, [(0, 0), (0.3, 0), (0.3, 0.3), (0, 0.3)])
    meshes.face(f, "matte", "white", [(-0.6, 0.02, 1.15), (0.6, 0.02, 1.15), (0, 0.02, 1.58), (0, 0.02, 1.58)])


def shared_textures(meshes: Meshes, rng) -> None:
    """The textures that many houses share."""
    t = meshes.textures
    for i in range(3):
        t[f"trim{i}"] = textures.plain(rng, (120, 600), [(0.72, 0.68, 0.6), (0.62, 0.57, 0.5), (0.8, 0.77, 0.72)][i], 0.06)
        t[f"roof{i}"] = textures.roof_tiles(rng, (600, 1200), [(0.5, 0.26, 0.18), (0.42, 0.3, 0.25), (0.3, 0.31, 0.34)][i])
    t["stone"] = textures.ashlar(rng, (350, 900), (0.66, 0.61, 0.53))
    t["party"] = textures.plaster(rng, (1300, 900), (0.66, 0.62, 0.55))
    t["chimney"] = textures.brick(rng, (300, 300), (0.55, 0.3, 0.23))
    t["white"] = textures.plain(rng, (150, 150), (0.76, 0.75, 0.7), 0.03)
    t["iron"] = textures.plain(rng, (100, 200), (0.07, 0.075, 0.08), 0.1)
