"""The 3D model that came with the dataset as the map: its points, and its observations as rows of our features."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from localize.components import check_component, query_field
from localize.mapping.used_keypoints import OTHERS
from localize.types import ImageList, InputError, Map, SourceModel

AGREE_PX = 1.0  # hloc rounds its keypoints by up to half a pixel


@dataclass(frozen=True)
class Imported:
    """Nothing is matched or triangulated. The model must count the keypoints the features were described at."""

    min_observations: int = 2  # of a point, in the references; held-out and unreadable photos do not count
    trust_poses: bool = query_field(False)  # map references all the same whose poses contradict their photos

    VERSION: ClassVar[int] = 1

    def __post_init__(self):
        check_component(self, positive=("min_observations",))

    def import_model(
        self, model: SourceModel, images: ImageList, names: Mapping[str, str], keypoints: Mapping[str, np.ndarray]
    ) -> Map:
        """Map of the images; names: theirs in the model; keypoints (N, 2) px by image name.

        InputError if an image is not in the model, or its observations do not fit the keypoints.
        """
        row = {name: i for i, name in enumerate(model.names)}
        absent = [image.name for image in images if names.get(image.name) not in row]
        if absent:
            raise InputError(f"{len(absent)} references, such as {absent[0]}, are not in the supplied model")
        ours = np.full(len(model.names), -1, np.int32)
        ours[[row[names[image.name]] for image in images]] = np.arange(len(images))
        image = ours[model.image]
        _check_keypoints(model, images, image, keypoints)
        point = np.repeat(np.arange(len(model.points), dtype=np.int32), np.diff(model.indptr))
        kept = image >= 0
        kept &= np.bincount(point[kept], minlength=len(model.points))[point] >= self.min_observations
        lengths = np.bincount(point[kept], minlength=len(model.points))
        if not kept.any():
            raise InputError(f"no point of the supplied model is seen {self.min_observations} times in the references")
        return Map(
            images=images,
            points=model.points[lengths > 0],
            indptr=np.concatenate([[0], np.cumsum(lengths[lengths > 0])]),
            image=image[kept],
            keypoint=model.keypoint[kept],
        )


def _check_keypoints(model: SourceModel, images: ImageList, image: np.ndarray, keypoints: Mapping) -> None:
    """The observations are where the keypoints they count are: else the two are not of one kind."""
    order = np.argsort(image, kind="stable")
    bounds = np.searchsorted(image[order], np.arange(len(images) + 1))
    apart = []
    for i, name in enumerate(images.names):
        rows = order[bounds[i] : bounds[i + 1]]
        xy = keypoints[name]
        if len(rows) and model.keypoint[rows].max() >= len(xy):
            last = model.keypoint[rows].max()
            raise InputError(f"the supplied model counts keypoint {last} of {name}, which has {len(xy)}: {OTHERS}")
        apart.append(model.xy[rows] - xy[model.keypoint[rows]])
    apart = np.concatenate(apart) if apart else np.zeros((0, 2))
    if len(apart) and np.median(np.linalg.norm(apart, axis=1)) > AGREE_PX:
        dx, dy = np.median(apart, axis=0)
        raise InputError(
            f"the supplied model's observations are not where the keypoints are (typically {dx:+.2f}, {dy:+.2f} px "
            f"away): {OTHERS}"
        )
