"""Where the photos are taken: reference walks along the streets and around the square, and queries per condition."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from localize.render.layout import Plan, open_at, wall_distance, walls
from localize.render.town import Town
from localize.types import Camera, Pose

CONDITIONS = ("day", "viewpoint", "night", "rain")
QUERIES = 22  # per condition
STEP_M = 3.9
CLEAR_M = 0.85  # no camera nearer to a wall
MOVING = 0.2  # part of the queries with motion blur


@dataclass(frozen=True, eq=False)
class View:
    """One photo to take; `motion` is (metres per exposure (3,), turn in degrees) with the pose at its middle."""

    name: str
    condition: str
    camera: Camera
    pose: Pose
    motion: tuple[np.ndarray, float] | None = None


def camera(width: int, height: int, focal: float, k: float) -> Camera:
    """SIMPLE_RADIAL with its principal point in the middle."""
    return Camera("SIMPLE_RADIAL", width, height, [focal, width / 2, height / 2, k])


REFERENCE_CAMERA = camera(640, 480, 500.0, -0.05)
QUERY_CAMERAS = (camera(640, 480, 560.0, 0.04), camera(640, 480, 430.0, -0.12))
ZOOMS = (camera(640, 480, 700.0, 0.04), camera(640, 480, 620.0, -0.12))


def portrait(c: Camera) -> Camera:
    """The same lens, the camera held upright."""
    return camera(c.height, c.width, c.params[0], c.params[3])


def look(position, yaw_deg: float, pitch_deg: float, roll_deg: float = 0.0) -> Pose:
    """cam_from_world of a camera at `position` looking `yaw_deg` left of east and `pitch_deg` up."""
    yaw, pitch, roll = np.radians([yaw_deg, pitch_deg, roll_deg])
    forward = np.array([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), np.sin(pitch)])
    right = np.array([np.sin(yaw), -np.cos(yaw), 0.0])
    down = np.cross(forward, right)
    R = np.stack([np.cos(roll) * right + np.sin(roll) * down, np.cos(roll) * down - np.sin(roll) * right, forward])
    return Pose(R, -R @ np.asarray(position, float))


def stands_free(town: Town, xy) -> bool:
    """Whether a camera can stand here: in the open, off the walls, not inside a car, a tree or the fountain."""
    xy = np.asarray(xy, float)
    if not open_at(town.plan, xy) or wall_distance(town.plan, xy) < CLEAR_M:
        return False
    return bool((np.hypot(*(town.obstacles[:, :2] - xy).T) > town.obstacles[:, 2] + 0.15).all())


def sight_m(plan: Plan, xy, yaw_deg: float) -> float:
    """Metres to the wall straight ahead."""
    d = np.array([np.cos(np.radians(yaw_deg)), np.sin(np.radians(yaw_deg))])
    best = np.inf
    for p, q in walls(plan):
        e = q - p
        cross = d[0] * e[1] - d[1] * e[0]
        if abs(cross) > 1e-9:
            t = ((p - xy)[0] * e[1] - (p - xy)[1] * e[0]) / cross
            s = ((p - xy)[0] * d[1] - (p - xy)[1] * d[0]) / cross
            if t > 0 and 0 <= s <= 1:
                best = min(best, t)
    return best


def _nudged(town: Town, xy, across, rng) -> np.ndarray | None:
    """The free place nearest to xy along `across`, or None."""
    for shift in sorted(np.arange(-2.6, 2.61, 0.2), key=abs):
        place = xy + (shift + rng.normal(scale=0.05)) * across
        if stands_free(town, place):
            return place
    return None


def _along(line, step: float, start: float):
    """Points and headings in degrees every `step` metres of a polyline."""
    points = np.array(line, float)
    for p, q in pairwise(points):
        length = np.linalg.norm(q - p)
        heading = float(np.degrees(np.arctan2(*(q - p)[::-1])))
        for s in np.arange(start, length, step):
            yield p + s * (q - p) / length, heading


def reference_views(town: Town, seed: int) -> list[View]:
    """Both ways along every street, looking ahead to the left and to the right in turn, and around the square."""
    rng = np.random.default_rng([seed, 100])
    places = []
    for line in town.plan.streets:
        for walk, start in ((line, 0.0), (line[::-1], STEP_M / 2)):
            for i, (xy, heading) in enumerate(_along(walk, STEP_M * 1.06, start)):
                across = np.array([-np.sin(np.radians(heading)), np.cos(np.radians(heading))])
                side = 1 if i % 2 else -1
                places.append((_nudged(town, xy - 0.9 * across, across, rng), heading + side * 30))
    x0, y0, x1, y1 = town.plan.square
    centre, half = np.array([x0 + x1, y0 + y1]) / 2, np.array([x1 - x0, y1 - y0]) / 2 - 3.6
    for k, t in enumerate(np.linspace(0, 2 * np.pi, 25)[:-1]):
        corner = np.array([np.cos(t), np.sin(t)]) * half * 1.1
        towards = np.degrees(np.arctan2(-corner[1], -corner[0])) + (0, 24, 180 - 38, -24, 180 + 38)[k % 5]
        places.append(
            (_nudged(town, centre + corner.clip(-half, half), np.array([np.cos(t), np.sin(t)]), rng), towards)
        )
    views = []
    for xy, yaw in places:
        if xy is not None:
            if sight_m(town.plan, xy, yaw) < 3.0:
                yaw += 40 if sight_m(town.plan, xy, yaw + 40) > sight_m(town.plan, xy, yaw - 40) else -40
            position = [*xy, 1.6 + rng.normal(scale=0.04)]
            pose = look(position, yaw + rng.normal(scale=3), rng.uniform(4, 11), rng.normal(scale=0.8))
            views.append(View(f"db/{len(views) + 1:04d}.jpg", "db", REFERENCE_CAMERA, pose))
    return views


def query_views(town: Town, seed: int, condition: str, num: int = QUERIES) -> list[View]:
    """Photos at places and with lenses of their own."""
    rng = np.random.default_rng([seed, 200 + CONDITIONS.index(condition)])
    views: list[View] = []
    moving = set(rng.permutation(num)[: round(MOVING * num)].tolist())
    while len(views) < num:
        place = _query_place(town, rng, viewpoint=condition == "viewpoint")
        if place is None:
            continue
        position, yaw, pitch = place
        i = len(views)
        lens = ZOOMS[i % 2] if rng.random() < 0.2 else QUERY_CAMERAS[i % 2]
        lens = portrait(lens) if rng.random() < 0.2 else lens
        pose = look(position, yaw, pitch, rng.normal(scale=1.5))
        motion = None
        if i in moving:
            shake = rng.normal(size=3) * [0.02, 0.02, 0.008]
            motion = shake, float(rng.choice((-1, 1)) * rng.uniform(0.3, 0.9))
        views.append(View(f"query/{condition}/{i + 1:03d}.jpg", condition, lens, pose, motion))
    return views


def _query_place(town: Town, rng, *, viewpoint: bool):
    """(position, yaw, pitch) of a query, or None where nobody can stand."""
    in_square = rng.random() < (0.4 if viewpoint else 0.25)
    if in_square:
        x0, y0, x1, y1 = town.plan.square
        xy, heading = rng.uniform((x0 + 1, y0 + 1), (x1 - 1, y1 - 1)), rng.uniform(0, 360)
    else:
        lines = [list(_along(line, 0.5, 0.0)) for line in town.plan.streets]
        at = [p for line in lines for p in line]
        xy, heading = at[rng.integers(len(at))]
        heading += 180 * rng.integers(2)
        across = np.array([-np.sin(np.radians(heading)), np.cos(np.radians(heading))])
        xy = xy + rng.uniform(-2.6, 2.6) * across
    height, yaw, pitch = rng.uniform(1.45, 1.75), heading + rng.uniform(-42, 42), rng.uniform(2, 12)
    if viewpoint:
        kind = rng.random()
        if kind < 0.4:  # from a balcony or a ladder at a lamp
            height, pitch = rng.uniform(3.0, 4.4), rng.uniform(-12, 4)
        elif kind < 0.6:  # held low
            height, pitch = rng.uniform(0.45, 0.8), rng.uniform(8, 18)
        yaw = heading + rng.choice((-1, 1)) * rng.uniform(35, 85)
    if not stands_free(town, xy) or sight_m(town.plan, xy, yaw) < (3.5 if viewpoint else 5.0):
        return None
    return np.array([*xy, height]), yaw, pitch


def all_views(town: Town, seed: int, queries: int = QUERIES) -> list[View]:
    """References, then the queries of every condition."""
    views = reference_views(town, seed)
    for condition in CONDITIONS:
        views += query_views(town, seed, condition, queries)
    return views


def exposure_poses(view: View, num: int) -> list[Pose]:
    """The pose at the middle of the exposure; for a moving camera then `num` poses spread evenly over it."""
    if view.motion is None:
        return [view.pose]
    shift, turn_deg = view.motion
    out = [view.pose]
    for t in (np.arange(num) + 0.5) / num - 0.5:
        a = np.radians(turn_deg * t)
        about_y = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
        R = about_y @ view.pose.rotation
        out.append(Pose(R, -R @ (view.pose.center + t * shift)))
    return out
