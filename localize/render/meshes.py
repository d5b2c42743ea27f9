"""Triangles gathered by material, each with a place in a texture; and the atlas all textures are packed into."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

UNIT = ((0, 0), (1, 0), (1, 1), (0, 1))  # corners of a whole texture, counter-clockwise from the lower left


@dataclass(frozen=True, eq=False)
class Frame:
    """A place to build on: `along` to the right, `out` towards the viewer, z up; metres, world coordinates."""

    origin: np.ndarray  # (3,)
    along: np.ndarray  # (3,) unit
    out: np.ndarray  # (3,) unit

    def world(self, local) -> np.ndarray:
        """World points of local ones (..., 3): along, out, up."""
        p = np.asarray(local, np.float64)
        return self.origin + p[..., :1] * self.along + p[..., 1:2] * self.out + p[..., 2:] * np.array([0, 0, 1.0])

    def moved(self, along=0.0, out=0.0, up=0.0) -> "Frame":
        """The same axes at another origin."""
        return Frame(self.world((along, out, up)), self.along, self.out)

    def turned(self, degrees: float) -> "Frame":
        """Turned about its z axis."""
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        return Frame(self.origin, c * self.along + s * self.out, -s * self.along + c * self.out)


def frame_at(x: float, y: float, degrees: float = 0.0) -> Frame:
    """A frame on the ground whose `along` points `degrees` left of east."""
    return Frame(np.array([x, y, 0.0]), np.array([1.0, 0, 0]), np.array([0, -1.0, 0])).turned(-degrees)


class Meshes:
    """Collects quadrilaterals; `textures` are pictures by name, `parts` hold what was built per material."""

    def __init__(self, px_per_m: int = 100):
        self.px_per_m = px_per_m  # of walls painted whole
        self.textures: dict[str, np.ndarray] = {}
        self.parts: dict[str, list] = {}

    def quad(self, material: str, texture: str, corners, uv=UNIT) -> None:
        """Four world corners, counter-clockwise seen from the front; uv (4, 2) in 0..1, v up."""
        self.parts.setdefault(material, []).append((texture, np.asarray(corners, float), np.asarray(uv, float)))

    def face(self, frame: Frame, material: str, texture: str, corners, uv=UNIT) -> None:
        """The same with corners in a frame."""
        self.quad(material, texture, frame.world(np.asarray(corners, float)), uv)

    def panel(self, frame: Frame, material: str, texture: str, hole, out: float = 0.0, uv=UNIT) -> None:
        """An upright rectangle (s0, z0, s1, z1) facing the viewer, `out` metres before the frame."""
        s0, z0, s1, z1 = hole
        self.face(frame, material, texture, [(s0, out, z0), (s1, out, z0), (s1, out, z1), (s0, out, z1)], uv)

    def box(self, frame: Frame, material: str, texture: str, low, high, uv=None) -> None:
        """A box between two local corners; `uv` (u0, v0, u1, v1) is the part of the texture each side shows."""
        (a0, b0, c0), (a1, b1, c1) = low, high
        part = UNIT if uv is None else [(uv[0], uv[1]), (uv[2], uv[1]), (uv[2], uv[3]), (uv[0], uv[3])]
        sides = [
            [(a0, b1, c0), (a1, b1, c0), (a1, b1, c1), (a0, b1, c1)],
            [(a1, b0, c0), (a0, b0, c0), (a0, b0, c1), (a1, b0, c1)],
            [(a0, b0, c0), (a0, b1, c0), (a0, b1, c1), (a0, b0, c1)],
            [(a1, b1, c0), (a1, b0, c0), (a1, b0, c1), (a1, b1, c1)],
            [(a0, b1, c1), (a1, b1, c1), (a1, b0, c1), (a0, b0, c1)],
            [(a0, b0, c0), (a1, b0, c0), (a1, b1, c0), (a0, b1, c0)],
        ]
        for side in sides:
            self.face(frame, material, texture, side, part)

    def lathe(self, frame: Frame, material: str, texture: str, profile, sides: int = 12) -> None:
        """A turned body about the frame's z axis; `profile` lists (radius, height) from below."""
        angle = np.linspace(0, 2 * np.pi, sides + 1)
        ring = np.stack([np.cos(angle), -np.sin(angle)], 1)
        steps = len(profile) - 1
        for k, ((r0, z0), (r1, z1)) in enumerate(pairwise(profile)):
            for i in range(sides):
                p, q = ring[i], ring[i + 1]
                corners = [(*(r0 * p), z0), (*(r0 * q), z0), (*(r1 * q), z1), (*(r1 * p), z1)]
                u0, u1, v0, v1 = i / sides, (i + 1) / sides, k / steps, (k + 1) / steps
                self.face(frame, material, texture, corners, [(u0, v0), (u1, v0), (u1, v1), (u0, v1)])

    def baked(self, atlas: "Atlas") -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Per material: vertices (V, 3) float32, uv in the atlas (V, 2) float32, triangles (T, 3) uint32."""
        out = {}
        for material, quads in self.parts.items():
            vertices = np.concatenate([q[1] for q in quads]).astype(np.float32)
            place = np.array([atlas.place[q[0]] for q in quads])
            uv = np.stack([q[2] for q in quads])
            uv = ((place[:, None, :2] + uv * place[:, None, 2:]).reshape(-1, 2)).astype(np.float32)
            first = 4 * np.arange(len(quads), dtype=np.uint32)[:, None]
            triangles = np.concatenate([first + np.uint32([0, 1, 2]), first + np.uint32([0, 2, 3])])
            out[material] = vertices, uv, triangles
        return out


class Atlas:
    """One picture of all textures, packed in shelves; `place` is (u0, v0, du, dv) per name.

    In the atlas v runs down from the top row (Mitsuba's way), so dv is negative for textures whose v runs up.
    """

    PAD = 4

    def __init__(self, textures: dict[str, np.ndarray], width: int = 8192):
        order = sorted(textures, key=lambda n: (-textures[n].shape[0], n))
        x = y = shelf = 0
        corner = {}
        for name in order:
            h, w = (s + 2 * self.PAD for s in textures[name].shape[:2])
            if x + w > width:
                x, y, shelf = 0, y + shelf, 0
            corner[name], x, shelf = (x, y), x + w, max(shelf, h)
        height = y + shelf
        self.pixels = np.zeros((height, width, 3), np.uint8)
        self.place = {}
        for name, (x0, y0) in corner.items():
            t = np.pad(textures[name], ((self.PAD, self.PAD), (self.PAD, self.PAD), (0, 0)), mode="edge")
            self.pixels[y0 : y0 + t.shape[0], x0 : x0 + t.shape[1]] = t
            h, w = textures[name].shape[:2]
            left, bottom = x0 + self.PAD + 0.5, y0 + self.PAD + h - 0.5
            self.place[name] = (left / width, bottom / height, (w - 1) / width, -(h - 1) / height)
