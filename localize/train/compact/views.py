"""Views of photos with what a teacher saw in them, in a folder of arrays."""

import json
import pathlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import PIL.Image
import torch

from localize.components import check_component
from localize.io.files import writing
from localize.io.images import read_photo
from localize.progress import counted
from localize.train.compact.places import PlacedPhotos
from localize.train.compact.teacher import CELLS, CHANNELS, SPREAD, MainComponents, Teacher, main_components
from localize.train.loop.machine import Machine
from localize.train.photos.homographies import random_homography, warp

SIZE = (320, 240)  # px of a view
STRIDES = (4, 8, 16)  # px, of the teacher's maps
AT_ONCE = 8  # views that the teacher sees at a time


@dataclass(frozen=True)
class Cut:
    """How views are cut from a photo: the whole of it, then parts seen from elsewhere; the odd ones mirrored.

    A mirrored photo is one of another place, of which there are never enough.
    """

    versions: int = 12  # of each photo
    max_zoom: float = 2.0  # of a photo of 640 px, so that a view has the scale of photos of 320 to 640 px
    rotation_deg: float = 4.0
    perspective: float = 0.15
    seed: int = 0

    VERSION: ClassVar[int] = 1

    def __post_init__(self):
        check_component(self, positive=("versions", "max_zoom"))

    def views(self, photo: np.ndarray, number: int) -> np.ndarray:
        """(versions, 240, 320, 3) uint8 of an RGB photo; `number` is the photo's, for the seed."""
        rng = np.random.default_rng((self.seed, number))
        found = []
        for version in range(self.versions):
            shown = _box(photo, 0.5 if version < 2 else rng.random())
            if version >= 2:
                scale = (1.05, self.max_zoom)
                how = {"rotation_deg": self.rotation_deg, "shear": 0.05, "perspective": self.perspective}
                shown = warp(shown, random_homography(rng, shown.shape[1::-1], scale=scale, **how))
            small = np.asarray(PIL.Image.fromarray(shown).resize(SIZE, PIL.Image.Resampling.BILINEAR, reducing_gap=3))
            found.append(small[:, ::-1] if version % 2 else small)
        return np.stack(found)


def _box(photo: np.ndarray, place: float) -> np.ndarray:
    """The largest part of SIZE's shape, `place` of 0 ... 1 along the longer side, at 640 x 480 px."""
    height, width = photo.shape[:2]
    wide = min(width, round(height * SIZE[0] / SIZE[1]))
    high = min(height, round(wide * SIZE[1] / SIZE[0]))
    left, top = (width - wide) * place, (height - high) * place
    box = (left, top, left + wide, top + high)
    size = (2 * SIZE[0], 2 * SIZE[1])
    return np.asarray(PIL.Image.fromarray(photo).resize(size, PIL.Image.Resampling.LANCZOS, box=box))


@dataclass(frozen=True, eq=False)
class Views:
    """Views, row photo * versions + version: pixels (N, 240, 320, 3) uint8; maps (N, K, h, w) float16 per stage;
    vectors (N, D) float32 of unit length. Arrays lie on disk."""

    pixels: np.ndarray
    maps: list[np.ndarray]
    vectors: np.ndarray
    versions: int


def make_views(
    folder: pathlib.Path,
    places: PlacedPhotos,
    cut: Cut,
    teacher: Callable[[], Teacher],
    machine: Machine,
    dim: int,
    spread: float,
    made_from: dict[str, str],
    progress: bool = False,
) -> Views:
    """The views of all photos; those in the folder, if they were made from the same (`made_from`).

    dim, spread: of the teacher's vectors, which become their main components.
    """
    done, files = folder / "views.json", ["pixels", *(f"map{i}" for i in range(len(STRIDES))), "pooled"]
    if not (done.is_file() and json.loads(done.read_text(encoding="utf-8")) == made_from):
        folder.mkdir(parents=True, exist_ok=True)
        done.unlink(missing_ok=True)
        with writing(folder), torch.inference_mode():
            _Making(folder, places, cut, teacher().to(machine.device), machine, progress).run()
            done.write_text(json.dumps(made_from), encoding="utf-8")
    pixels, *maps, pooled = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in files)
    vectors = main_components(pooled, dim, spread)(pooled)
    return Views(pixels, maps, vectors / np.linalg.norm(vectors, axis=1, keepdims=True), cut.versions)


class _Making:
    """The arrays while they are made."""

    def __init__(self, folder, places: PlacedPhotos, cut: Cut, teacher: Teacher, machine: Machine, progress: bool):
        self.folder, self.places, self.cut, self.teacher, self.machine = folder, places, cut, teacher, machine
        self.progress = progress

    def run(self) -> None:
        components = self._components()
        num = len(self.places) * self.cut.versions
        pixels = self._array("pixels", (num, SIZE[1], SIZE[0], 3), np.uint8)
        sizes = [(SIZE[1] // stride, SIZE[0] // stride) for stride in STRIDES]
        maps = [self._array(f"map{i}", (num, CHANNELS[i], *size), np.float16) for i, size in enumerate(sizes)]
        pooled = []
        for i, path in enumerate(counted(self.places.paths, "teacher", shown=self.progress)):
            views = self.cut.views(read_photo(path), i)
            rows = slice(i * len(views), (i + 1) * len(views))
            pixels[rows] = views
            seen, vectors = self._see(views)
            pooled.append(vectors)
            for out, component, values in zip(maps, components, seen, strict=True):
                n, channels, h, w = values.shape
                main = component(values.transpose(0, 2, 3, 1).reshape(-1, channels))
                out[rows] = main.reshape(n, h, w, -1).transpose(0, 3, 1, 2)
        np.save(self.folder / "pooled.npy", np.concatenate(pooled))

    def _components(self) -> list[MainComponents]:
        """Of the maps of each photo's first view, CELLS of each map at random."""
        rng, samples = np.random.default_rng(self.cut.seed), [[] for _ in STRIDES]
        for i, path in enumerate(self.places.paths):
            whole = Cut(versions=1, seed=self.cut.seed).views(read_photo(path), i)
            for sample, values in zip(samples, self._see(whole)[0], strict=True):
                cells = values[0].reshape(values.shape[1], -1)
                sample.append(cells[:, rng.permutation(cells.shape[1])[:CELLS]].T)
        return [main_components(np.concatenate(s), k, SPREAD) for s, k in zip(samples, CHANNELS, strict=True)]

    def _see(self, views: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
        parts = []
        for at in range(0, len(views), AT_ONCE):
            images = torch.from_numpy(np.ascontiguousarray(views[at : at + AT_ONCE].transpose(0, 3, 1, 2)))
            with self.machine.autocast():
                maps, vectors = self.teacher(images.float().to(self.machine.device))
            parts.append([t.cpu().numpy() for t in (*maps, vectors)])
        *maps, vectors = (np.concatenate(p) for p in zip(*parts, strict=True))
        return maps, vectors

    def _array(self, name: str, shape: tuple, dtype) -> np.ndarray:
        return np.lib.format.open_memmap(self.folder / f"{name}.npy", "w+", dtype, shape)
