"""A small scene made by pycolmap's synthesizer: textured points in a ball, photographed from around it.

It shows that an installation works, in a minute and without any download; it says nothing about real photos.
"""

import json
import pathlib
from dataclasses import asdict, dataclass
from typing import ClassVar

from localize.components import check_component
from localize.datasets.base import Dataset
from localize.geometry.colmap import pycolmap
from localize.io.files import whole_folder
from localize.io.models.colmap import read_colmap_images
from localize.types import Image, ImageList, InputError, Scene


@dataclass(frozen=True)
class Synthetic(Dataset):
    """Photos are made when first asked for, into `root`; each `query_every`-th is a query."""

    root: str = "outputs/synthetic"
    num_photos: int = 24
    num_points: int = 600
    query_every: int = 4
    seed: int = 0

    VERSION: ClassVar[int] = 1
    LIBRARIES: ClassVar[tuple] = ("pycolmap",)
    THRESHOLDS: ClassVar[tuple] = ((0.01, 0.1), (0.02, 0.2), (0.05, 0.5), (0.25, 2.0))

    def __post_init__(self):
        check_component(self, positive=("num_photos", "num_points", "query_every"))

    def scene(self) -> Scene:
        """The scene, exact poses included."""
        root = pathlib.Path(self.root).expanduser().absolute()
        made_from = {k: v for k, v in asdict(self).items() if k not in ("root", "query_every", "holdout")}
        spec = json.dumps({**made_from, "version": self.VERSION, "pycolmap": pycolmap.__version__})
        done = root / "made_from.json"
        if not done.is_file() or done.read_text() != spec:
            if root.exists() and not done.is_file() and any(root.iterdir()):
                raise InputError(f"folder {root} holds other files: choose an empty one with dataset.root=...")
            self._make(root, spec)
        problems: list[str] = []
        images = read_colmap_images(root / "model", problems)
        if problems:
            raise InputError(*problems)
        queries = images[1 :: self.query_every]
        names = {q.name for q in queries}
        return Scene(
            name="synthetic",
            image_root=str(root / "images"),
            references=ImageList(tuple(i for i in images if i.name not in names)),
            queries=ImageList(tuple(Image(q.name, q.camera) for q in queries)),
            ground_truth=ImageList(queries),
            thresholds=self.THRESHOLDS,
        )

    def _make(self, root: pathlib.Path, spec: str) -> None:
        options = pycolmap.SyntheticDatasetOptions()
        options.num_rigs, options.num_cameras_per_rig, options.num_frames_per_rig = 1, 1, self.num_photos
        options.num_points3D, options.num_points2D_without_point3D = self.num_points, 0
        options.camera_width, options.camera_height = 640, 480
        options.camera_params = [1200.0, 320.0, 240.0, 0.02]
        pycolmap.set_random_seed(self.seed)
        with whole_folder(root) as folder:
            for part in ("images", "model"):
                (folder / part).mkdir()
            with pycolmap.Database.open(str(folder / "database.db")) as database:
                model = pycolmap.synthesize_dataset(options, database)
            pycolmap.synthesize_images(pycolmap.SyntheticImageOptions(), model, str(folder / "images"))
            model.write_text(str(folder / "model"))
            (folder / "database.db").unlink()
            (folder / "made_from.json").write_text(spec)
