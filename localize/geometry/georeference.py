"""The frame that photos themselves speak of: level, metric, north.

The cameras of people and vehicles are held level, so that the pictures' horizontal axes lie in the horizontal plane
(Szeliski and Shum, SIGGRAPH 1997, straighten panoramas alike). GPS is good to metres along the ground and worse in
height, so it turns a level frame about the vertical alone.
"""

from dataclasses import dataclass

import numpy as np

from localize.geometry.similarity import Similarity

EARTH_M, FLATTENING = 6378137.0, 1 / 298.257223563  # WGS 84
TRIALS = 1000  # pairs and triples of cameras
APART = 0.1  # of the largest extent, how far they are apart at least
WORSE = 0.3  # the residuals of a free turn, as a share of a level one's, from which the cameras were not level
LEVEL_TURN = 0.05  # share of the horizontal axes' spread in their second direction, from which they span a plane
ONE_PLACE_M = 0.01  # positions that spread less are one
NEAR = 2.5  # robust standard deviations within which a position agrees


def similarity_between(source: np.ndarray, target: np.ndarray) -> Similarity:
    """The one that brings source (N, 3) nearest to target (N, 3) in least squares (Umeyama, PAMI 1991)."""
    a, b = source - source.mean(0), target - target.mean(0)
    u, s, vt = np.linalg.svd(b.T @ a)
    sign = np.array([1, 1, np.sign(np.linalg.det(u @ vt))])
    rotation = u @ np.diag(sign) @ vt
    scale = float((s * sign).sum() / max((a**2).sum(), 1e-300))
    return Similarity(scale, rotation, target.mean(0) - scale * rotation @ source.mean(0))


def extent(centers: np.ndarray) -> float:
    """Diagonal of the box around points (N, 3)."""
    return float(np.linalg.norm(np.ptp(centers, axis=0)))


def up_direction(rotations: np.ndarray, down: np.ndarray) -> np.ndarray:
    """Up (3,) in the world of cameras (N, 3, 3) cam_from_world; down (N, 2): where that is in each photo's pixels.

    The axes to the right of level cameras span the horizontal plane. Where all look the same way, or are held at odds,
    the photos' own down is taken, which is as good as they are level.
    """
    down = np.asarray(down, np.float64)
    flat = np.zeros(len(down))
    right = np.einsum("nij,ni->nj", rotations, np.column_stack([down[:, 1], -down[:, 0], flat]))
    below = np.einsum("nij,ni->nj", rotations, np.column_stack([down, flat]))
    weight = np.ones(len(right))
    for _ in range(10):  # a few photos that are held otherwise count less and less
        values, vectors = np.linalg.eigh((weight[:, None] * right).T @ right)
        up = vectors[:, 0]
        weight = 1 / (0.03 + np.abs(right @ up))
    if values[1] < LEVEL_TURN * values[2]:
        mean = -below.sum(0)
        return mean / max(np.linalg.norm(mean), 1e-12)
    towards = (below + rotations[:, 2]).sum(0)  # the ground lies below, or before a camera that looks straight down
    return -up if up @ towards > 0 else up


def levelled(up: np.ndarray) -> np.ndarray:
    """The rotation (3, 3) by the smallest angle that makes `up` the z axis."""
    z = np.array([0.0, 0.0, 1.0])
    v, c = np.cross(up, z), float(up @ z)
    if c < -1 + 1e-9:
        return np.diag([1.0, -1.0, -1.0])
    K = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
    return np.eye(3) + K + K @ K / (1 + c)


def local_metres(positions: np.ndarray) -> np.ndarray:
    """(N, 3) m east, north and up of the median of positions (N, 3): latitude, longitude (deg), altitude (m or NaN).

    Exact to a thousandth within some tens of kilometres; an altitude that is not known is the median of the others.
    """
    latitude, longitude, altitude = np.asarray(positions, np.float64).T
    middle = np.radians(np.median(latitude))
    e2 = FLATTENING * (2 - FLATTENING)
    w = np.sqrt(1 - e2 * np.sin(middle) ** 2)
    east = (longitude - np.median(longitude) + 180) % 360 - 180
    known = np.isfinite(altitude)
    height = np.where(known, altitude, np.median(altitude[known]) if known.any() else 0.0)
    return np.column_stack([
        np.radians(east) * EARTH_M / w * np.cos(middle),
        np.radians(latitude - np.median(latitude)) * EARTH_M * (1 - e2) / w**3,
        height - np.median(height),
    ])  # fmt: skip


@dataclass(frozen=True, eq=False)
class Georeference:
    """How a frame lies in metres east, north, up."""

    similarity: Similarity
    residual_m: np.ndarray  # (N,) of each position, along the ground where the frame is level
    agreeing: np.ndarray  # (N,) bool
    scale_sd: float  # relative
    level: bool  # whether the frame was turned about the vertical alone


def georeferenced(centers: np.ndarray, metres: np.ndarray, seed: int = 0) -> Georeference | None:
    """Level camera centres (N, 3) onto positions (N, 3) m, up to half of which may be wrong; None: they say too little.

    Least median of squares (Rousseeuw, JASA 1984) over pairs finds scale, heading and place, least squares of the
    agreeing ones refines them. Only where that fits badly, as where the cameras were not level, triples turn the frame
    freely.
    """
    rng = np.random.default_rng(seed)
    flat = _fitted(_flat_similarity, centers * (1, 1, 0), metres * (1, 1, 0), _samples(rng, centers * (1, 1, 0), 2))
    free = _fitted(similarity_between, centers, metres, _samples(rng, centers, 3)) if len(centers) > 3 else None
    if flat is None or (free is not None and np.median(free[1]) < WORSE * np.median(flat[1])):
        return free and _as_georeference(*free, centers, level=False)
    found = _as_georeference(*flat, centers * (1, 1, 0), level=True)
    if found is None:  # half of the positions are one
        return None
    up = found.similarity.scale * centers[found.agreeing, 2]
    found.similarity.translation[2] = np.median(metres[found.agreeing, 2] - up)
    return found


def _samples(rng, centers: np.ndarray, size: int) -> np.ndarray:
    """Random rows (K, size) of points that lie apart from one another, and three not on a line."""
    if len(centers) < 3:
        return np.zeros((0, size), int)
    rows = rng.integers(len(centers), size=(TRIALS, size))
    first, *others = (centers[rows[:, i]] for i in range(size))
    apart = [np.linalg.norm(other - first, axis=1) for other in others]
    wide = np.linalg.norm(np.cross(others[0] - first, others[-1] - first), axis=1) ** 0.5 if size == 3 else apart[0]
    return rows[np.minimum(wide, np.min(apart, axis=0)) > APART * np.ptp(centers, axis=0).max()]


def _flat_similarity(source: np.ndarray, target: np.ndarray) -> Similarity:
    """The same as `similarity_between` with a turn about z alone."""
    a, b = (xyz[:, 0] + 1j * xyz[:, 1] for xyz in (source - source.mean(0), target - target.mean(0)))
    factor = (a.conj() @ b) / max((a.conj() @ a).real, 1e-300)
    c, s = factor.real / max(abs(factor), 1e-300), factor.imag / max(abs(factor), 1e-300)
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
    return Similarity(abs(factor), turn, target.mean(0) - abs(factor) * turn @ source.mean(0))


def _fitted(fit, source: np.ndarray, target: np.ndarray, samples: np.ndarray):
    """(similarity, residuals (N,), agreeing (N,)) of the sample with the least median, refined; None without any."""
    residual, best = None, np.inf
    for rows in samples:
        apart = np.linalg.norm(fit(source[rows], target[rows]).of_points(source) - target, axis=1)
        median = np.median(apart)
        if median < best:
            residual, best = apart, median
    if residual is None:
        return None
    for _ in range(3):
        near = residual <= max(NEAR * 1.4826 * np.median(residual), 1e-6)
        found = fit(source[near], target[near])
        residual = np.linalg.norm(found.of_points(source) - target, axis=1)
    return found, residual, near


def _as_georeference(found: Similarity, residual, near, source: np.ndarray, *, level: bool) -> Georeference | None:
    spread = np.linalg.norm(source[near] - source[near].mean(0))
    if not found.scale * spread > ONE_PLACE_M:
        return None
    sd = np.sqrt((residual[near] ** 2).sum() / max(1, near.sum() - 2)) / (found.scale * spread)
    return Georeference(found, residual, near, float(sd), level)
