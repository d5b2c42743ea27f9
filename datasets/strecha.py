"""Strecha et al. (CVPR 2008): photos with LIDAR camera poses, in images/ and gt_dense_cameras/."""

from dataclasses import dataclass
from typing import ClassVar

from localize.components import check_component
from localize.datasets.base import Dataset
from localize.datasets.shared.checks import existing_folder, query_folder, refuse_photos
from localize.io.images import list_photos
from localize.io.text import read_strecha_camera
from localize.types import Image, ImageList, InputError, Scene


@dataclass(frozen=True)
class Strecha(Dataset):
    """Every `query_every`-th of the sorted photos is a query, the rest are references."""

    root: str
    query_every: int = 3
    query_offset: int = 1  # the first query
    reference_every: int = 1  # keep every n-th reference, from the first
    query_image_root: str | None = None  # another folder with pictures of the same names for the queries

    VERSION: ClassVar[int] = 1
    THRESHOLDS: ClassVar[tuple] = ((0.01, 0.1), (0.02, 0.2), (0.05, 0.5), (0.25, 2.0))

    def __post_init__(self):
        check_component(self, positive=("query_every", "reference_every"))

    def scene(self) -> Scene:
        """The scene; InputError with all problems if a photo or a camera file cannot be used."""
        problems, images = [], {}
        root = existing_folder(self.root, "dataset.root", "a folder with images/ and gt_dense_cameras/", problems)
        photos = root / "images"
        query_root = query_folder(self.query_image_root, photos, problems)
        names = list_photos(photos)
        if not names and root.is_dir():
            problems.append(f"folder {photos} holds no photos: put the scene's photos there")
        for name in names:
            path = root / "gt_dense_cameras" / f"{name}.camera"
            try:
                camera, pose = read_strecha_camera(path)
                images[name] = Image(name, camera, pose)
            except InputError as e:
                problems.append(f"{e}: photo {name} needs its camera")
            except ValueError as e:
                problems.append(f"camera file {path} cannot be used: {e}")
        is_query = {name: i % self.query_every == self.query_offset for i, name in enumerate(names)}
        truth = [images[n] for n in names if is_query[n] and n in images]
        references = [images[n] for n in names if not is_query[n] and n in images][:: self.reference_every]
        refuse_photos(photos, references, query_root, truth, problems)
        return Scene(
            name=root.name,
            image_root=str(photos),
            query_root=str(query_root),
            references=ImageList(references),
            queries=ImageList(tuple(Image(i.name, i.camera) for i in truth)),
            ground_truth=ImageList(truth),
            thresholds=self.THRESHOLDS,
        )
