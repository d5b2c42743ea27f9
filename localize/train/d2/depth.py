"""Pairs of crops of posed photos with depth maps: of MegaDepth, or of a town from +pipeline=render_minitown."""

import pathlib
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from localize.components import check_component
from localize.io.benchmarks.megadepth import MegaDepthScene, read_megadepth
from localize.io.images import open_photo, read_photo
from localize.io.text import read_poses, read_query_list
from localize.train.d2.pairs import DepthCrop, DepthMove, TrainingPair, window
from localize.train.photos.photometric import random_change
from localize.types import Camera, InputError, Pose

GRID = (24, 18)  # positions across and down by which the overlap of two photos is told
MM = 1000


@dataclass(frozen=True, eq=False)
class DepthPhoto:
    """A photo that has a pose and a depth map: .h5 in the model's unit, or .png in millimetres."""

    photo: pathlib.Path
    depth: pathlib.Path
    camera: Camera
    pose: Pose

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """(photo (H, W, 3) uint8, depth (H, W) float32); InputError if their sizes differ."""
        photo, depth = read_photo(self.photo), self.read_depth()
        if photo.shape[:2] != depth.shape:
            sizes = " and ".join(f"{s[1]} x {s[0]} px" for s in (photo.shape, depth.shape))
            raise InputError(f"{self.photo} and its depth map {self.depth} are {sizes}: they must be of one size")
        return photo, depth

    def read_depth(self) -> np.ndarray:
        """(H, W) float32, 0 = unknown."""
        if self.depth.suffix == ".png":
            with open_photo(self.depth) as picture:
                return np.asarray(picture).astype(np.float32) / MM
        return read_megadepth(self.depth)


@dataclass(frozen=True, eq=False)
class DepthScene:
    """Photos of one place, the pairs (P, 2) of them that overlap, and points that both see.

    points: of each photo, {point: (x, y) in COLMAP's pixels}; None: they are looked for in the depth maps.
    """

    photos: list[DepthPhoto]
    pairs: np.ndarray
    points: list[dict] | None = None


@dataclass(frozen=True)
class DepthPairs:
    """Pairs of crops around one point that both photos show (D2-Net's sampling)."""

    scenes: tuple  # of DepthScene, each drawn as often
    size: int = 256  # px, side of a crop
    tolerance: float = 0.05  # see DepthMove
    relative: bool = False
    augment: float = 0.0  # share of the pairs whose second crop is shown in other light

    VERSION: ClassVar[int] = 1

    def __post_init__(self):
        check_component(self, positive=("size", "tolerance"))

    def pair(self, rng: np.random.Generator) -> TrainingPair | None:
        """A pair; None where a photo is smaller than a crop, or no common point is found."""
        scene = self.scenes[rng.integers(len(self.scenes))]
        rows = scene.pairs[rng.integers(len(scene.pairs))]
        views = [scene.photos[i] for i in rows]
        pictures = [view.read() for view in views]
        if min(n for photo, _ in pictures for n in photo.shape[:2]) < self.size:
            return None
        found = self._centers(scene, rows, views, [depth for _, depth in pictures], rng)
        if found is None:
            return None
        crops, moves = [], []
        for view, (photo, depth), center in zip(views, pictures, found, strict=True):
            x, y = window(center, photo.shape[1::-1], self.size)
            inside = slice(y, y + self.size), slice(x, x + self.size)
            crops.append(np.ascontiguousarray(photo[inside]))
            moves.append(DepthCrop(view.camera, view.pose, depth[inside], (x, y)))
        if rng.random() < self.augment:
            crops[1] = random_change(crops[1], rng, night_share=0)
        return TrainingPair(*crops, DepthMove(*moves, self.tolerance, self.relative))

    def _centers(self, scene: DepthScene, rows, views, depths, rng) -> np.ndarray | None:
        """(2, 2): where both photos show one random common point."""
        if scene.points is not None:
            first, second = (scene.points[i] for i in rows)
            common = [p for p in first if p in second]
            if not common:
                return None
            point = common[rng.integers(len(common))]
            return np.array([first[point], second[point]], float)
        whole = [DepthCrop(v.camera, v.pose, d, (0, 0)) for v, d in zip(views, depths, strict=True)]
        xy = rng.uniform((0, 0), np.array(depths[0].shape[::-1]) - 1, (200, 2))
        moved, valid = DepthMove(*whole, self.tolerance, self.relative)(xy)
        if not valid.any():
            return None
        chosen = np.flatnonzero(valid)[rng.integers(valid.sum())]
        return np.stack([xy[chosen], moved[chosen]])


def megadepth_scene(scene: MegaDepthScene, base: pathlib.Path, min_overlap: float = 0.5) -> DepthScene:
    """The usable images of a scene and their pairs; InputError if there is no pair."""
    pairs = scene.pairs(base, min_overlap)
    if not len(pairs):
        raise InputError(
            f"MegaDepth scene {scene.name} has no pair that overlaps by {min_overlap} and whose depth maps are in "
            f"{base}: leave the scene out, or get its depth maps"
        )
    used, rows = np.unique(pairs, return_inverse=True)
    photos = []
    for i in used:
        K, matrix = np.asarray(scene.intrinsics[i], float), np.asarray(scene.poses[i], float)
        params = [K[0, 0], K[1, 1], K[0, 2], K[1, 2]]
        with open_photo(base / scene.image_paths[i]) as picture:
            camera = Camera("PINHOLE", *picture.size, params)
        pose = Pose(matrix[:3, :3], matrix[:3, 3])
        photos.append(DepthPhoto(base / scene.image_paths[i], base / scene.depth_paths[i], camera, pose))
    return DepthScene(photos, rows.reshape(-1, 2), [scene.points[i] for i in used])


def town_scene(folder: pathlib.Path, min_overlap: float, relative_tolerance: float) -> DepthScene:
    """The photos of a rendered town that have a depth map; a pair overlaps if that share of the first is seen in the
    second. InputError if there is no pair."""
    problems: list[str] = []
    images = read_query_list(folder / "cameras.txt", problems)
    poses = read_poses(folder / "poses.txt", problems)
    if problems:
        raise InputError(*problems)
    photos = []
    for image in images:
        depth = folder / "depth" / pathlib.PurePosixPath(image.name).with_suffix(".png")
        if depth.is_file() and (folder / image.name).is_file() and image.name in poses:
            photos.append(DepthPhoto(folder / image.name, depth, image.camera, poses[image.name]))
    pairs = overlapping(photos, min_overlap, relative_tolerance)
    if not len(pairs):
        raise InputError(
            f"{folder} has no two photos with depth maps that overlap: render it with pipeline.depth=true, or take a "
            "smaller pipeline.data.min_overlap"
        )
    return DepthScene(photos, pairs)


def overlapping(photos: list[DepthPhoto], min_overlap: float, relative_tolerance: float) -> np.ndarray:
    """(P, 2): pairs of photos of which the second shows at least this share of what the first shows."""
    whole = [DepthCrop(p.camera, p.pose, p.read_depth(), (0, 0)) for p in photos]
    places, pairs = np.array([p.pose.center for p in photos]), []
    for i, first in enumerate(whole):
        size = first.depth.shape[::-1]
        across, down = (np.linspace(0, n - 1, k) for n, k in zip(size, GRID, strict=True))
        xy = np.stack(np.meshgrid(across, down), -1).reshape(-1, 2)
        world = first.in_world(xy)
        for j, second in enumerate(whole):
            z = (world - places[j]) @ second.pose.rotation[2]
            if i == j or (z > 0).sum() < min_overlap * len(xy):  # a quick look first
                continue
            if DepthMove(first, second, relative_tolerance, True)(xy)[1].mean() >= min_overlap:
                pairs.append((i, j))
    return np.array(pairs, np.int64).reshape(-1, 2)
