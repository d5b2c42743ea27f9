"""Map once, query many, from Python: no configuration, no dataset adapter, no files but the map's own folder."""

import dataclasses
import json
import os
import pathlib
import shutil
import tempfile
from dataclasses import dataclass
from typing import Any

import numpy as np
import PIL.Image

from localize.io.images import read_photo
from localize.io.records import load_record, record_from_json, record_to_json, save_record
from localize.retrieval.ranking import rank
from localize.stages import BuiltIndex, global_vector, match_query
from localize.store import Store
from localize.types import (
    Camera,
    Features,
    Image,
    ImageList,
    InputError,
    Matches2D3D,
    PointRows,
    PoseEstimate,
    Scene,
)

FORMAT = 1  # of the folder; raise it when old folders can no longer be read


@dataclass(frozen=True, eq=False)
class Localizer:
    """A map and the components that answer a query; everything is in memory or memory-mapped."""

    feature: Any
    retrieval: Any
    search: Any
    matching: Any
    pose: Any
    references: ImageList
    rows: PointRows
    index: BuiltIndex | None
    learned: Any  # by the global descriptor
    vectors: np.ndarray  # (I, D) float32, global descriptors of the references

    def localize(self, image: str | os.PathLike | np.ndarray, camera: Camera) -> PoseEstimate:
        """Pose of one photo: a path, or pixels (H, W) or (H, W, 3) uint8 RGB.

        PoseEstimate.pose is None, and .reason says why, if it cannot be localized. InputError if the photo cannot be
        read or its size is not the camera's.
        """
        return self.pose.estimate(self.match(image, camera), camera)

    def match(self, image: str | os.PathLike | np.ndarray, camera: Camera) -> Matches2D3D:
        """The 2D-3D matches behind the pose."""
        photo = _pixels(image, grey=self.feature.grey)
        if photo.shape[1::-1] != (camera.width, camera.height):
            size = f"{photo.shape[1]} x {photo.shape[0]}"
            raise InputError(f"the photo is {size} px, but its camera is for {camera.width} x {camera.height} px")
        features = self.feature.extract(photo)
        frames = self._frames(image, features, camera) if self.search.uses_frames else None
        return match_query(features, self.rows, self.index, frames, self.search, self.matching)

    def _frames(self, image, features: Features, camera: Camera) -> np.ndarray:
        pixels = _pixels(image, grey=False) if self.retrieval.needs == "pixels" else None
        vector = global_vector(self.retrieval, self.learned, features, pixels)
        query = ImageList((Image("", camera),))
        return rank(query, vector[None], self.references, self.vectors, self.search.num_frames).index[0]

    def save(self, folder: str | os.PathLike) -> None:
        """Write the map into a folder of its own, whole or not at all; an older map there is replaced."""
        final = pathlib.Path(folder).expanduser().absolute()
        if final.exists() and not (final / "localizer.json").is_file() and any(final.iterdir()):
            raise InputError(f"folder {final} holds other files: choose an empty one for the map")
        final.parent.mkdir(parents=True, exist_ok=True)
        partial = pathlib.Path(tempfile.mkdtemp(prefix=final.name + ".", suffix=".partial", dir=final.parent))
        try:
            save_record(partial / "rows", self.rows)
            save_record(partial / "learned", self.learned)
            save_record(partial / "references", self.references)
            np.save(partial / "vectors.npy", self.vectors)
            if self.index is not None:
                save_record(partial / "index", self.index.built)
            components = {n: getattr(self, n) for n in ("feature", "retrieval", "search", "matching", "pose")}
            components["index"] = self.index and self.index.component
            text = {"format": FORMAT, **{n: c and record_to_json(c) for n, c in components.items()}}
            (partial / "localizer.json").write_text(json.dumps(text, indent=1))
            if final.exists():
                shutil.rmtree(final)
            os.replace(partial, final)
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    @classmethod
    def load(cls, folder: str | os.PathLike, **changed) -> "Localizer":
        """The map in a folder; `changed` replaces components, e.g. pose=PoseLib(max_error_px=4.0)."""
        folder = pathlib.Path(folder).expanduser().absolute()
        head = folder / "localizer.json"
        if not head.is_file():
            raise InputError(f"{folder} holds no map: build one with localize.build_map or +pipeline=build_map")
        text = json.loads(head.read_text())
        if text.pop("format") != FORMAT:
            raise InputError(f"the map {folder} was written by another version of localize: build it again")
        components = {n: c and record_from_json(c) for n, c in text.items()}
        index = components.pop("index")
        localizer = cls(
            **components,
            references=load_record(folder / "references"),
            rows=load_record(folder / "rows"),
            index=index and BuiltIndex(index, load_record(folder / "index"), ""),
            learned=load_record(folder / "learned"),
            vectors=np.load(folder / "vectors.npy"),
        )
        return dataclasses.replace(localizer, **changed)


def _pixels(image, *, grey: bool) -> np.ndarray:
    """The pixels a feature wants, from a path or from pixels."""
    if not isinstance(image, np.ndarray):
        return read_photo(image, grey=grey)
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3):
        raise InputError(f"pixels of shape {image.shape} {image.dtype}, but expected (H, W) or (H, W, 3) uint8")
    return np.ascontiguousarray(PIL.Image.fromarray(image).convert("L" if grey else "RGB"))


def build_map(scene: Scene, folder: str | os.PathLike, *, store: Store | None = None, **components) -> Localizer:
    """Build the map of a scene's references, save it into `folder`, and return it ready for queries.

    components: feature, retrieval, index, ... as in localize.pipelines.steps.Components. Without a store nothing but
    the map is kept on disk.
    """
    from localize.pipelines import build_map as pipeline

    if store is not None:
        return pipeline.run(scene, store, output=folder, **components)
    with tempfile.TemporaryDirectory(prefix="localize-store-") as temporary:
        pipeline.run(scene, Store(temporary), output=folder, **components)
    return Localizer.load(folder)
