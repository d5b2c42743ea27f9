"""The arcade: a ground floor of round arches with shops behind."""

from itertools import pairwise

import numpy as np

from localize.render.facades import GROUND_M, Style, pierced_wall, random_part, reveal, shop, wall_texture


def arcade_front(meshes, rng, frame, texture, size, style: Style, bays: int) -> None:
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
        for (a0, c0), (a1, c1) in pairwise(zip(xs, zs, strict=True)):
            piece([(a0, 0, c0), (a1, 0, c1), (a1, 0, GROUND_M), (a0, 0, GROUND_M)])
            piece([(a0, 0, c0), (a0, -0.5, c0), (a1, -0.5, c1), (a1, 0, c1)])
    for k in range(bays + 1):
        low, high = max(0, k * step - pier / 2), min(width, k * step + pier / 2)
        courses = (0.1 + 0.05 * k, 0, 0.25 + 0.05 * k, 1)
        meshes.box(frame, "matte", "stone", (low, -0.5, 0), (high, 0.0, GROUND_M), courses)
        for wider, z0, z1 in ((0.06, spring - 0.2, spring), (0.05, 0, 0.4)):  # capital and foot
            corners = (low - wider, -0.5 - wider, z0), (high + wider, wider, z1)
            meshes.box(frame, "matte", style.trim, *corners, random_part(rng, 0.3, 0.3))
    for texture_of, z in (("white", GROUND_M), ("stone", 0.02)):  # ceiling and floor
        meshes.face(frame, "matte", texture_of, [(0, 0, z), (width, 0, z), (width, -deep, z), (0, -deep, z)])
    back = frame.moved(out=-deep)
    holes = [(b * step + 0.4, 0.5, (b + 1) * step - 0.4, 2.5) for b in range(bays)]
    wall = wall_texture(meshes, rng, style, width, GROUND_M)
    pierced_wall(meshes, back, wall, (width, GROUND_M), holes)
    for hole in holes:
        reveal(meshes, back, wall, hole, 0.16, (width, GROUND_M))
        shop(meshes, rng, back, hole, awning=False)
    for s in (0.01, width - 0.01):  # not in the plane of the neighbour's wall
        meshes.face(frame, "matte", wall, [(s, 0, 0), (s, -deep, 0), (s, -deep, GROUND_M), (s, 0, GROUND_M)])
