"""Whole houses on their lots: designs, openings of a facade, cornices, posters."""

import numpy as np

from localize.render.arcade import arcade_front
from localize.render.facades import (
    GROUND_M,
    Style,
    balcony,
    door,
    pierced_wall,
    random_part,
    reveal,
    shop,
    wall_texture,
    window,
)
from localize.render.layout import Lot
from localize.render.meshes import Frame, Meshes
from localize.render.roofs import roof, shell

PALETTES = {
    "benchmark": [
        (0.80, 0.67, 0.45), (0.74, 0.49, 0.37), (0.82, 0.77, 0.67), (0.66, 0.67, 0.60), (0.78, 0.60, 0.52),
        (0.60, 0.64, 0.70),
    ],
    "training": [
        (0.58, 0.68, 0.58), (0.83, 0.73, 0.57), (0.68, 0.58, 0.62), (0.84, 0.82, 0.78), (0.55, 0.62, 0.72),
        (0.72, 0.58, 0.40),
    ],
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
                wall=wall,
                rgb=rgb,
                trim=f"trim{rng.integers(3)}",
                floors=int(rng.choice([2, 3, 3, 4])),
                floor_m=rng.uniform(2.75, 3.15),
                bay_m=rng.uniform(2.2, 2.7),
                window_m=(window_w, rng.uniform(1.45, 1.8)),
                shutters=f"shutter{rng.integers(4)}" if shuttered else None,
                balcony=rng.random() < 0.5,
                surround=rng.random() < 0.6,
                roof=f"roof{rng.integers(3)}",
                rise_m=rng.uniform(1.5, 2.6),
                reveal_m=rng.uniform(0.14, 0.26),
            )
        )
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
    shell(meshes, lot, style)
    roof(meshes, rng, lot, style)


def _front(meshes, rng, frame, texture, size, style: Style, arcade: bool) -> None:
    """Wall with all its openings."""
    width, height = size
    bays = max(1, round(width / style.bay_m))
    openings = [] if arcade else _ground_openings(rng, style, width / bays, bays)
    openings += _upper_openings(style, width / bays, bays)
    holes = [hole for hole, _ in openings]
    pierced_wall(meshes, frame, texture, size, holes + ([(0.0, 0.0, width, GROUND_M)] if arcade else []))
    for hole, kind in openings:
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
        arcade_front(meshes, rng, frame, texture, (width, height), style, bays)
    else:
        _posters(meshes, rng, frame, width, holes)


def _ground_openings(rng, style: Style, step: float, bays: int) -> list:
    """((s0, z0, s1, z1), kind) of the ground floor."""
    w, h = style.window_m
    out = []
    for kind, first, num in _ground_floor(rng, bays):
        s0, s1 = (first + 0.5 * num) * step - 0.5, (first + 0.5 * num) * step + 0.5
        hole = (s0 - 0.03, 0.0, s1 + 0.03, 2.65)
        if kind == "shop":
            hole = (first * step + 0.3, 0.55, (first + num) * step - 0.3, 2.55)
        elif kind == "window":
            hole = ((first + 0.5) * step - w / 2, 1.05, (first + 0.5) * step + w / 2, 1.05 + min(h, 1.6))
        out.append((hole, kind))
    return out


def _upper_openings(style: Style, step: float, bays: int) -> list:
    """((s0, z0, s1, z1), kind) of the other floors: the same window everywhere, balconies on the first."""
    w, h = style.window_m
    out = []
    for floor in range(1, style.floors):
        for bay in range(bays):
            z0 = GROUND_M + (floor - 1) * style.floor_m + 0.62
            s = (bay + 0.5) * step
            with_balcony = style.balcony and floor == 1 and bay % 2 == bays // 2 % 2
            hole = (s - w / 2, z0 - (0.55 if with_balcony else 0), s + w / 2, z0 + h)
            out.append((hole, "balcony" if with_balcony else "window"))
    return out


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
            meshes.panel(frame, "matte", name, (s, z, s + w, z + 1.4 * w), 0.012)


def _bands(meshes, rng, frame, width, height, style: Style, plinth: bool = True) -> None:
    """Cornices between floors and under the eaves, corner quoins, a drainpipe."""
    trim = style.trim
    meshes.box(frame, "matte", trim, (0, 0, GROUND_M - 0.1), (width, 0.09, GROUND_M + 0.08), (0, 0, 1, 0.4))
    for k, (low, high, out) in enumerate(((0.5, 0.36, 0.07), (0.36, 0.16, 0.16), (0.16, 0.0, 0.27))):
        part = (0, 0.1 * k, 1, 0.1 * k + 0.3)
        meshes.box(frame, "matte", trim, (0, -0.05, height - low), (width, out, height - high), part)
    for a in np.arange(0.2, width - 0.15, 0.42):
        low, high = (a, 0.05, height - 0.36), (a + 0.14, 0.24, height - 0.16)
        meshes.box(frame, "matte", trim, low, high, random_part(rng, 0.3, 0.3))
    if style.wall != "ashlar" and plinth:
        for k, z in enumerate(np.arange(0.0, height - 0.8, 0.32)):
            wide = 0.34 if k % 2 else 0.22
            meshes.box(frame, "matte", "stone", (0, -0.02, z), (wide, 0.03, z + 0.3), random_part(rng, 0.12, 0.12))
    pipe = (width - 0.14 - 0.05, 0.03, 0.1 if plinth else GROUND_M), (width - 0.14 + 0.05, 0.12, height - 0.4)
    meshes.box(frame, "matte", "iron", *pipe, (0, 0, 0.2, 1))
