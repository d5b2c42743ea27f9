"""A small set in the layout of Revisited Oxford, with distractors: painted facades, seen from here and there.

It shows that an evaluation works, in a minute and without any download; it says nothing about real photos.
"""

import dataclasses
import json
import pathlib
from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np
import PIL.Image
import PIL.ImageDraw

from localize.components import check_component
from localize.datasets.revisited import DISTRACTORS, RetrievalBenchmark, ROxford5k
from localize.io.benchmarks.pixel_retrieval import FOLDER, write_labels
from localize.io.benchmarks.revisited import GradedPhotos, GradedQuery, write_graded_photos
from localize.io.files import whole_folder
from localize.types import InputError

SIZE_PX = 320, 240  # width, height of a photo
FACADE_PX = 200
VIEWS = {"query": 0.15, "easy": 0.2, "hard": 0.45, "junk": 0.6}  # how far a view is from the frontal one


@dataclass(frozen=True)
class RevisitedMiniature(ROxford5k):
    """Photos are made when first asked for: `root`/jpg, `root`/gnd_roxford5k.pkl and `root`/revisitop1m; so are the
    labels of pixel retrieval, `root`/pixel_retrieval_benchmarks."""

    root: str = "outputs/revisited_miniature"
    distractors: str | None = None  # null: `root`/revisitop1m
    num_facades: int = 6
    num_distractors: int = 20
    seed: int = 0

    VERSION: ClassVar[int] = 2
    LIBRARIES: ClassVar[tuple] = ("PIL",)
    manifest: ClassVar[None] = None  # nothing to download
    unjudged: ClassVar[tuple] = (1,)

    def __post_init__(self):
        check_component(self, positive=("num_facades",))

    def benchmark(self) -> RetrievalBenchmark:
        """What is judged, made if it is not there; InputError if `root` holds other files."""
        root = pathlib.Path(self.root).expanduser().absolute()
        made_from = {k: v for k, v in asdict(self).items() if k not in ("root", "distractors")}
        spec, done = json.dumps({**made_from, "version": self.VERSION, "PIL": PIL.__version__}), root / "made_from.json"
        if not done.is_file() or done.read_text() != spec:
            if root.exists() and not done.is_file() and any(root.iterdir()):
                raise InputError(f"folder {root} holds other files: choose an empty one with dataset.root=...")
            with whole_folder(root) as folder:
                self._make(folder)
                (folder / "made_from.json").write_text(spec)
        distractors = self.distractors or str(root / "revisitop1m")
        made = ROxford5k(str(root), distractors if self.num_distractors else None).benchmark()
        return dataclasses.replace(made, name=f"Miniature of {made.name}")

    def _make(self, folder: pathlib.Path) -> None:
        """Two queries of each facade, of the first without easy photos; four easy, three hard ones, and one of junk."""
        rng, names, queries, outlines = np.random.default_rng(self.seed), [], [], []
        for path in ("jpg", "revisitop1m/jpg/0"):
            (folder / path).mkdir(parents=True)
        for number in range(self.num_facades):
            facade, graded = _facade(rng), {"easy": [], "hard": [], "junk": []}
            for grade, count in (("easy", 4), ("hard", 3), ("junk", 1)):
                for _ in range(count):
                    graded[grade].append(len(names))
                    names.append(f"facade{number}_{len(names):06d}")
                    photo, corners = _view(rng, facade, grade)
                    photo.save(folder / "jpg" / f"{names[-1]}.jpg", quality=90)
                    outlines.append(corners)
            if number == 0:
                graded = {"easy": [], "hard": graded["easy"] + graded["hard"], "junk": graded["junk"]}
            for i in range(2):
                photo, corners = _view(rng, facade, "query")
                box = tuple(float(round(v, 1)) for v in (*corners.min(0), *corners.max(0)))
                photo.save(folder / "jpg" / f"facade{number}_query{i}.jpg", quality=90)
                queries.append(GradedQuery(f"facade{number}_query{i}", box, **graded))
        write_graded_photos(folder / "gnd_roxford5k.pkl", GradedPhotos(tuple(names), tuple(queries)))
        pairs = [(q, i) for q, asked in enumerate(queries) for i in (*asked.easy, *asked.hard)]
        write_labels(folder / FOLDER, self.city, {pair: [outlines[pair[1]].round(2)] for pair in pairs})
        listed = [f"0/{i:04d}.jpg" for i in range(self.num_distractors)]
        for name in listed:
            _view(rng, _facade(rng), "easy")[0].save(folder / "revisitop1m" / "jpg" / name, quality=90)
        (folder / "revisitop1m" / DISTRACTORS).write_text("".join(f"{name}\n" for name in listed))


def _facade(rng: np.random.Generator) -> PIL.Image.Image:
    """Windows in rows on a wall, and some ornaments."""
    picture = PIL.Image.new("RGB", (FACADE_PX, FACADE_PX), _colour(rng, 90, 220))
    draw, (rows, columns) = PIL.ImageDraw.Draw(picture), rng.integers(2, 6, 2)
    wide, high, glass = FACADE_PX / columns, FACADE_PX / rows, _colour(rng, 10, 110)
    for row in range(rows):
        inset = rng.uniform(0.12, 0.35)
        for column in range(columns):
            left, top = (column + inset) * wide, (row + inset) * high
            shape = draw.ellipse if (row + rng.integers(2)) % 2 else draw.rectangle
            shape((left, top, left + (1 - 2 * inset) * wide, top + (1 - 2 * inset) * high), glass, _colour(rng, 0, 255))
    for _ in range(12):
        x, y, side = rng.integers((0, 0, 8), (FACADE_PX - 20, FACADE_PX - 20, 40)).tolist()
        draw.polygon([(x, y), (x + side, y + side // 3), (x + side // 2, y + side)], _colour(rng, 0, 255))
    return picture


def _view(rng: np.random.Generator, facade: PIL.Image.Image, kind: str) -> tuple[PIL.Image.Image, np.ndarray]:
    """A photo of the facade, the further from frontal, the darker and the smaller; its corners (4, 2) px there."""
    far, (width, height) = VIEWS[kind], SIZE_PX
    side = height * (1 - far) * rng.uniform(0.85, 1)
    left, top = rng.uniform(0, width - side), rng.uniform(0, height - side)
    square = np.array([(0, 0), (1, 0), (1, 1), (0, 1)])
    corners = np.array([left, top]) + side * (square + far * rng.uniform(-0.25, 0.25, (4, 2))).clip(0, 1)
    sky = PIL.Image.fromarray(rng.integers(60, 190, (6, 8, 3), np.uint8))
    picture = sky.resize(SIZE_PX, PIL.Image.Resampling.BICUBIC)
    warp = _homography(corners, FACADE_PX * square)
    warped = facade.transform(SIZE_PX, PIL.Image.Transform.PERSPECTIVE, warp, PIL.Image.Resampling.BICUBIC)
    mask = PIL.Image.new("L", facade.size, 255).transform(SIZE_PX, PIL.Image.Transform.PERSPECTIVE, warp)
    picture.paste(warped, mask=mask)
    if kind == "junk":  # something stands before it
        x = left + 0.3 * side
        PIL.ImageDraw.Draw(picture).rectangle((x, 0, x + 0.6 * side, height), _colour(rng, 40, 200))
    pixels = np.asarray(picture, np.float32) * rng.uniform(1 - far, 1) + rng.normal(0, 20 * far, (height, width, 3))
    return PIL.Image.fromarray(pixels.clip(0, 255).astype(np.uint8)), corners


def _homography(corners: np.ndarray, sources: np.ndarray) -> list[float]:
    """The eight numbers with which Pillow takes the four corners (4, 2) px of a picture from those of another."""
    rows, wanted = [], []
    for (x, y), (u, v) in zip(corners, sources, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        wanted += [u, v]
    return np.linalg.solve(np.array(rows), np.array(wanted)).tolist()


def _colour(rng: np.random.Generator, low: int, high: int) -> tuple[int, int, int]:
    return tuple(rng.integers(low, high, 3).tolist())
