"""What stands in the streets besides cars: the fountain, lamps, trees, bollards, benches."""

import numpy as np

from localize.render.meshes import Meshes, frame_at

BASIN = [
    (2.5, 0), (2.5, 0.18), (2.25, 0.18), (2.25, 0.3), (2.15, 0.35), (2.15, 0.62), (2.3, 0.66), (2.3, 0.78),
    (1.95, 0.78), (1.95, 0.3),
]  # fmt: skip
COLUMN = [
    (0.5, 0.3), (0.5, 0.8), (0.3, 0.9), (0.24, 1.3), (0.34, 1.5), (0.95, 1.75), (1.05, 1.9), (0.9, 1.9), (0.3, 1.7),
    (0.2, 1.9), (0.2, 2.4), (0.34, 2.45), (0.3, 2.6),
]  # fmt: skip
FIGURE = [
    (0.28, 2.6), (0.3, 2.9), (0.2, 3.3), (0.27, 3.7), (0.24, 3.85), (0.08, 3.95), (0.13, 4.05), (0.13, 4.2),
    (0.0, 4.28),
]  # fmt: skip
POST = [(0.17, 0), (0.17, 0.3), (0.09, 0.45), (0.06, 0.9), (0.045, 3.3), (0.1, 3.4), (0.05, 3.45)]


def fountain(meshes: Meshes, at) -> None:
    """An eight-sided basin with water, a column with a bowl, and a figure."""
    f = frame_at(*at, 12)
    meshes.lathe(f, "matte", "stone", BASIN, 8)
    ring = [(1.97 * np.cos(t), 1.97 * np.sin(t), 0.6) for t in np.linspace(0, 2 * np.pi, 9)[:-1]]
    for i in range(0, 8, 2):
        meshes.face(f, "water", "water", [(0, 0, 0.6), ring[i], ring[(i + 1) % 8], ring[(i + 2) % 8]])
    meshes.lathe(f, "matte", "stone", COLUMN, 14)
    meshes.lathe(f, "matte", "bronze", FIGURE, 12)


def lamp(meshes: Meshes, x: float, y: float) -> None:
    """A cast-iron street lamp 4 m high."""
    f = frame_at(x, y)
    meshes.lathe(f, "matte", "iron", POST, 8)
    meshes.lathe(f, "lamp", "white", [(0.0, 3.45), (0.1, 3.5), (0.18, 3.85), (0.0, 3.86)], 8)
    meshes.lathe(f, "matte", "iron", [(0.22, 3.85), (0.13, 4.0), (0.02, 4.12), (0.0, 4.2)], 8)


def tree(meshes: Meshes, rng, x: float, y: float) -> None:
    """A trunk in an iron ring and a crown of some 2500 leaves."""
    f = frame_at(x, y)
    meshes.lathe(f, "matte", "bark", [(0.2, 0), (0.14, 0.4), (0.12, 1.6), (0.1, 2.4), (0.05, 3.4)], 9)
    meshes.lathe(f, "matte", "iron", [(0.6, 0.0), (0.6, 0.06), (0.5, 0.06)], 16)
    centres = np.array([0, 0, 3.5]) + rng.normal(size=(16, 3)) * [0.75, 0.75, 0.6]
    for centre in centres:
        dx, dy, z = centre
        bough = [(x, y, 2.2), (x + 0.05, y, 2.2), (x + dx + 0.02, y + dy, z), (x + dx, y + dy, z)]
        meshes.quad("matte", "bark", bough)
        leaves = centre + rng.normal(size=(190, 3)).clip(-2, 2) * 0.34
        for p in leaves:
            a, b = rng.normal(size=(2, 3)).clip(-1.5, 1.5) * 0.05
            u, v = rng.uniform(0, 0.96, 2)
            q = np.array([x, y, 0]) + p
            meshes.quad(
                "matte",
                "leaves",
                [q - a, q + b, q + a, q - b],
                [(u, v), (u + 0.03, v), (u + 0.03, v + 0.03), (u, v + 0.03)],
            )


def bollard(meshes: Meshes, x: float, y: float) -> None:
    """A stone bollard."""
    meshes.lathe(
        frame_at(x, y), "matte", "stone", [(0.16, 0), (0.14, 0.6), (0.18, 0.66), (0.16, 0.78), (0.0, 0.86)], 10
    )


def bench(meshes: Meshes, x: float, y: float, degrees: float) -> None:
    """A bench of slats."""
    f = frame_at(x, y, degrees)
    for k in range(4):
        meshes.box(
            f,
            "matte",
            "wood",
            (-0.9, -0.2 + 0.12 * k, 0.42),
            (0.9, -0.1 + 0.12 * k, 0.46),
            (0, 0.2 * k, 1, 0.2 * k + 0.2),
        )
    for k in range(3):
        meshes.box(
            f,
            "matte",
            "wood",
            (-0.9, -0.26, 0.55 + 0.13 * k),
            (0.9, -0.22, 0.65 + 0.13 * k),
            (0, 0.3 * k, 1, 0.3 * k + 0.2),
        )
    for a in (-0.75, 0.7):
        meshes.box(f, "matte", "iron", (a, -0.26, 0), (a + 0.05, 0.25, 0.42))
        meshes.box(f, "matte", "iron", (a, -0.29, 0), (a + 0.05, -0.26, 0.9))
