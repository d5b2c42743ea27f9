"""Which references see the same part of space: their viewing frusta overlap. Poses are known, depths are estimated.

A frustum is what lies in front of a photo between its nearest and farthest depth. These are those of the supplied
model's points in the photo, where there is one; else a guess, see `guessed_depths`.
"""

import logging
from collections.abc import Mapping

import numpy as np
import scipy.spatial

from localize.geometry.colmap import camera_rays
from localize.types import ImageList, Retrieval, SourceModel

log = logging.getLogger(__name__)

GRID, DEPTHS = 3, 4  # samples of a frustum: 3 x 3 in the photo, at four depths
CANDIDATES = 4  # times as many as are asked for are compared
MAX_ANGLE_DEG = 60.0  # between the rays of two photos to a point: beyond, local features do not match
SHARES = 0.1, 0.9  # of the depths of a photo's points: its nearest and farthest depth
MOST_OBSERVATIONS = 5_000_000  # whose depths are computed: evenly chosen ones of a larger model
BLOCK = 50_000  # pairs at a time, about 50 MB


def rank_by_frusta(images: ImageList, depths: np.ndarray, num_neighbours: int) -> Retrieval:
    """For each image up to `num_neighbours` others whose frusta overlap with its own, most first.

    depths: (N, 2) m, nearest and farthest. The score is the overlap: the share of a photo's samples that the other has
    in its own frustum, seen from within `MAX_ANGLE_DEG`; of the two shares the smaller. Ties go to the photo whose view
    is nearer. Candidates are those whose optical axes are nearest, as pairs of points (at both depths' medians), so
    that N references cost O(N log N). A frustum does not know what hides what.
    """
    n = len(images)
    index, score = np.full((n, min(num_neighbours, n)), -1, np.int32), np.full((n, min(num_neighbours, n)), -np.inf)
    first, second, distance = _candidates(images, depths, num_neighbours)
    overlap = overlaps(images, depths, first, second)
    kept = overlap > 0
    one, other = np.concatenate([first[kept], second[kept]]), np.concatenate([second[kept], first[kept]])
    overlap, distance = np.tile(overlap[kept], 2), np.tile(distance[kept], 2)
    order = np.lexsort((other, distance, -overlap, one))
    place = np.arange(len(order)) - np.searchsorted(one[order], one[order])
    order, place = order[place < num_neighbours], place[place < num_neighbours]
    index[one[order], place], score[one[order], place] = other[order], overlap[order]
    if alone := n - len(np.unique(one)):
        log.warning("%d of %d references see nothing that others see, by their poses", alone, n)
    return Retrieval(images.names, images.names, index, score.astype(np.float32))


def _candidates(images: ImageList, depths: np.ndarray, num: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs (P,), (P,) of images, each once, and how far their views are from each other in metres (P,)."""
    axes, centers = np.array([i.pose.rotation[2] for i in images]), np.array([i.pose.center for i in images])
    near, far = np.median(depths, axis=0)
    views = np.hstack([centers + near * axes, centers + far * axes])
    k = min(CANDIDATES * num + 1, len(images))
    distance, others = scipy.spatial.cKDTree(views).query(views, k)
    pairs = np.sort(np.column_stack([np.repeat(np.arange(len(images)), k), others.ravel()]), axis=1)
    pairs, at = np.unique(pairs, axis=0, return_index=True)
    two = pairs[:, 0] < pairs[:, 1]
    return *pairs[two].T, distance.ravel()[at[two]]


def overlaps(images: ImageList, depths: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The overlap (P,) of the frusta of pairs (P,), (P,) of images, 0 to 1."""
    boxes = np.array([_box(image) for image in images])
    rotations, centers = np.array([i.pose.rotation for i in images]), np.array([i.pose.center for i in images])
    steps = (np.arange(GRID) + 0.5) / GRID
    x, y, d = (v.ravel() for v in np.meshgrid(steps, steps, np.linspace(0, 1, DEPTHS)))
    low, size = boxes[:, 0], boxes[:, 1] - boxes[:, 0]
    z = depths[:, :1] * (depths[:, 1:] / depths[:, :1]) ** d  # (N, S): evenly spaced in their logarithms
    seen = np.stack([(low[:, :1] + size[:, :1] * x) * z, (low[:, 1:] + size[:, 1:] * y) * z, z], 2)
    samples = (seen @ rotations + centers[:, None]).astype(np.float32)  # (N, S, 3) in the world

    def share(of: np.ndarray, by: np.ndarray) -> np.ndarray:
        ray = samples[of] - centers[by, None].astype(np.float32)
        in_other = ray @ rotations[by].astype(np.float32).transpose(0, 2, 1)
        depth = np.maximum(in_other[..., 2:], np.float32(1e-9))
        plane = in_other[..., :2] / depth
        inside = ((plane >= boxes[by, None, 0]) & (plane <= boxes[by, None, 1])).all(2)
        inside &= (in_other[..., 2] >= depths[by, :1]) & (in_other[..., 2] <= depths[by, 1:])
        own = samples[of] - centers[of, None].astype(np.float32)
        cosine = (own * ray).sum(2) / np.maximum(np.linalg.norm(own, axis=2) * np.linalg.norm(ray, axis=2), 1e-12)
        return (inside & (cosine >= np.cos(np.radians(MAX_ANGLE_DEG)))).mean(1)

    overlap = np.empty(len(first))
    for at in range(0, len(first), BLOCK):
        a, b = first[at : at + BLOCK], second[at : at + BLOCK]
        overlap[at : at + BLOCK] = np.minimum(share(a, b), share(b, a))
    return overlap


def _box(image) -> np.ndarray:
    """Where the photo lies on the plane z = 1: smallest and largest (x, y), (2, 2)."""
    steps = np.linspace(0, 1, 3)
    x, y = np.meshgrid(steps * image.camera.width, steps * image.camera.height)
    rays = camera_rays(image.camera, np.column_stack([x.ravel(), y.ravel()]))
    rays = rays[np.isfinite(rays).all(1)]  # the middle of the photo has one
    return np.stack([rays.min(0), rays.max(0)])


def guessed_depths(images: ImageList, num_neighbours: int) -> np.ndarray:
    """Nearest and farthest depth (N, 2) m of each image where no point is known: of all the same.

    Who photographs a scene moves, from one photo to those it is to be matched with, by about the scene's depth. So
    depths are a half to four times the median distance from a camera to the `num_neighbours`-th nearest one elsewhere.
    That is too near where photos are much denser than needed, as in a video, and too far where they are sparse.
    """
    centers = np.array([image.pose.center for image in images])
    places = np.unique(centers.round(6), axis=0)  # photos of one place say nothing
    k = min(num_neighbours + 1, len(places))
    spacing = np.median(scipy.spatial.cKDTree(places).query(places, [k])[0]) if k > 1 else 1.0
    return np.tile([spacing / 2, spacing * 4], (len(images), 1))


def depths_in_model(model: SourceModel, images: ImageList, names: Mapping[str, str], num_neighbours: int) -> np.ndarray:
    """Nearest and farthest depth (N, 2) m of the model's points in each image; names: the images' in the model.

    Of an image without points, the medians of the others; guessed ones where no image has any.
    """
    ours = {names.get(image.name): i for i, image in enumerate(images)}
    of_model = np.array([ours.get(name, -1) for name in model.names], np.int64)
    rows = np.arange(0, len(model.image), max(1, -(-len(model.image) // MOST_OBSERVATIONS)))
    rows = rows[of_model[model.image[rows]] >= 0]
    image, point = model.image[rows], np.searchsorted(model.indptr, rows, side="right") - 1
    depth = np.einsum("ij,ij->i", model.rotations[image, 2], model.points[point]) + model.translations[image, 2]
    image, depth = of_model[image][depth > 0], depth[depth > 0]
    if not len(depth):
        return guessed_depths(images, num_neighbours)
    order = np.lexsort((depth, image))
    bounds = np.searchsorted(image[order], np.arange(len(images) + 1))
    count, found = np.diff(bounds), np.full((len(images), 2), np.nan)
    for side, share in enumerate(SHARES):
        at = bounds[:-1] + (share * (count - 1)).astype(int)
        found[count > 0, side] = depth[order[at[count > 0]]]
    found[count == 0] = np.nanmedian(found, axis=0)
    return np.column_stack([found[:, 0], np.maximum(found[:, 1], 1.01 * found[:, 0])])
