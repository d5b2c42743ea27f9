"""Plans of the two towns: where one can walk, and the lots along every wall. Metres, x east, y north."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from localize.render.meshes import Frame


@dataclass(frozen=True)
class Plan:
    """Walls as closed loops of right angles with the open space on their left, and the paths along the streets."""

    loops: tuple[tuple[tuple[float, float], ...], ...]
    square: tuple[float, float, float, float]  # x0, y0, x1, y1
    streets: tuple[tuple[tuple[float, float], ...], ...]  # centre lines
    church: tuple[tuple[float, float], tuple[float, float]]  # the part of a wall that is the church
    arcade: tuple[tuple[float, float], tuple[float, float]]
    fountain: tuple[float, float]


PLANS = {
    "benchmark": Plan(
        loops=(
            (
                (-34, 3.5), (-13, 3.5), (-13, -30), (-6, -30), (-6, -10), (34, -10), (34, -3), (30, -3), (30, 26),
                (13, 26), (13, 31.4), (6, 31.4), (6, 10), (-34, 10),
            ),
            ((13, -3), (13, 20), (24, 20), (24, -3)),
        ),
        square=(-13, -10, 13, 10),
        streets=(
            ((9.5, 4), (9.5, 28.5)),
            ((5, -6.5), (31, -6.5)),
            ((-9.5, -4), (-9.5, -27.5)),
            ((-6, 6.8), (-31, 6.8)),
            ((11, 23), (27, 23), (27, -5)),
        ),
        church=((-13, -1.9), (-13, -12.5)),
        arcade=((0.6, 10), (-13, 10)),
        fountain=(1.5, 0.5),
    ),
    "training": Plan(
        loops=(
            (
                (-12, -9), (-12, -28), (-4, -28), (-4, -9), (12, -9), (12, 1), (33, 1), (33, 8), (12, 8), (12, 12),
                (3, 12), (3, 32), (-5, 32), (-5, 12), (-16, 12), (-16, 5), (-36, 5), (-36, -2), (-16, -2), (-16, -9),
            ),
        ),
        square=(-16, -9, 12, 12),
        streets=(
            ((-1, 6), (-1, 29.5)),
            ((6, 4.5), (30, 4.5)),
            ((-8, -5), (-8, -25.5)),
            ((-10, 1.5), (-33.5, 1.5)),
        ),
        church=((1.4, -9), (12, -9)),
        arcade=((-10.4, 12), (-16, 12)),
        fountain=(-2.0, 2.0),
    ),
}  # fmt: skip


def walls(plan: Plan) -> np.ndarray:
    """All walls as segments (W, 2, 2), the open space on their left."""
    return np.array([(p, q) for loop in plan.loops for p, q in zip(loop, loop[1:] + loop[:1], strict=True)], float)


def open_at(plan: Plan, xy: np.ndarray) -> np.ndarray:
    """Whether points (..., 2) lie in the streets or the square: crossings of a ray to the east are odd."""
    xy = np.asarray(xy, float)
    p, q = walls(plan)[:, 0], walls(plan)[:, 1]
    x, y = xy[..., 0, None], xy[..., 1, None]
    crosses = (p[:, 1] > y) != (q[:, 1] > y)
    return (crosses & (p[:, 0] > x)).sum(-1) % 2 == 1  # walls are parallel to the axes


def wall_distance(plan: Plan, xy: np.ndarray) -> np.ndarray:
    """Distance in metres of points (..., 2) to the nearest wall."""
    p, q = walls(plan)[:, 0], walls(plan)[:, 1]
    d = q - p
    away = np.asarray(xy, float)[..., None, :] - p
    t = ((away * d).sum(-1) / (d * d).sum(-1)).clip(0, 1)
    return np.linalg.norm(away - t[..., None] * d, axis=-1).min(-1)


@dataclass(frozen=True, eq=False)
class Lot:
    """One house's place in a wall: its frame (origin at the left foot of the facade), width and depth."""

    frame: Frame
    width: float
    depth: float
    kind: str  # house, church or arcade
    free_left: bool = False  # its left side stands free


def lots(plan: Plan, rng: np.random.Generator, depth: float = 5.4) -> list[Lot]:
    """Every wall divided into lots of 5 to 9 m. A house at an outer corner also takes the corner's other side."""
    out = []
    for loop in plan.loops:
        n = len(loop)
        points = np.array(loop, float)
        steps = np.roll(points, -1, 0) - points
        length = np.linalg.norm(steps, axis=1)
        direction = steps / length[:, None]
        turn = [_cross(direction[i - 1], direction[i]) < 0 for i in range(n)]  # an outer corner of the houses
        for i in range(n):
            start = depth if turn[i] else 0.0  # the previous wall's house stands at this corner
            cuts = _cuts(rng, start, length[i], _special(plan, points[i], direction[i], length[i]))
            for a, b, kind in cuts:
                at = points[i] + a * direction[i]
                # seen from the street the wall runs to the left: a frame's `along` points to the viewer's right
                along, out_of = -direction[i], np.array([-direction[i][1], direction[i][0]])
                origin = np.append(at + (b - a) * direction[i], 0.0)
                frame = Frame(origin, np.append(along, 0.0), np.append(out_of, 0.0))
                at_corner = abs(b - length[i]) < 1e-6 and turn[(i + 1) % n]
                out.append(Lot(frame, b - a, depth, kind, free_left=bool(at_corner)))
    return out


def _special(plan: Plan, start, direction, length):
    """(from, to, kind) of the church and the arcade on this wall."""
    for (p, q), kind in ((plan.church, "church"), (plan.arcade, "arcade")):
        a, b = sorted((np.dot(np.subtract(p, start), direction), np.dot(np.subtract(q, start), direction)))
        off = abs(_cross(direction, np.subtract(p, start)))
        if off < 1e-6 and a > -1e-6 and b < length + 1e-6 and abs(np.dot(np.subtract(q, p), direction)) > 1:
            yield a, b, kind


def _cuts(rng, start: float, end: float, special):
    free, out = [(start, end)] if end - start > 0.5 else [], []
    for a, b, kind in special:
        a = max(a, start)
        num = 2 if kind == "arcade" and b - a > 10 else 1
        inner = np.linspace(a, b, num + 1)
        out += [(lo, hi, kind) for lo, hi in pairwise(inner)]
        free = [(lo, hi) for s, e in free for lo, hi in ((s, min(a, e)), (max(b, s), e)) if hi - lo > 0.5]
    for s, e in free:
        num = max(1, round((e - s) / rng.uniform(6.2, 7.6)))
        inner = np.linspace(s, e, num + 1)
        inner[1:-1] += rng.uniform(-0.7, 0.7, num - 1)
        out += [(a, b, "house") for a, b in pairwise(inner)]
    return sorted(out)


def _cross(a, b) -> float:
    return float(a[0] * b[1] - a[1] * b[0])
