"""What adapters of data sets have in common beside their checks: references held out as queries, masks."""

import dataclasses
import logging
import pathlib
from dataclasses import dataclass

from localize.datasets.shared.checks import check_query_names
from localize.io.masks import Masks
from localize.types import ImageList, InputError, Scene

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """An adapter that reads its data set in `scene`; it need not be one: whatever has `load` will do."""

    holdout: int | None = None  # every n-th reference becomes a query with its own pose as the ground truth
    masks: str | None = None  # folder of NAME.png, or one picture for all photos: black is ignored

    @property
    def supplies_keypoints(self) -> bool:
        """Whether a 3D model comes with it, and the keypoints that this counts."""
        return False

    def load(self) -> Scene:
        """The scene; InputError with all problems if a file, a line or a photo cannot be used."""
        return masked(held_out(self.scene(), self.holdout), self.masks)

    def scene(self) -> Scene:
        """The scene as it is distributed."""
        raise NotImplementedError


def held_out(scene: Scene, every: int | None) -> Scene:
    """Every n-th reference, from the first, as a query with its own pose as the ground truth; None: the scene itself.

    References whose photos are missing are not counted. This scores where the true queries have no public poses. The
    dataset's own queries are left out. Where the references have no poses yet, the truth is found with these.
    """
    if every is None:
        return scene
    if every < 2:
        raise InputError(f"dataset.holdout is {every}, but must be at least 2: every n-th reference becomes a query")
    root = pathlib.Path(scene.image_root)
    truth = [image for image in scene.references if (root / image.name).exists()][::every]
    problems: list[str] = []
    check_query_names(truth, problems)
    if problems:
        raise InputError(*problems)
    queries = tuple(dataclasses.replace(image, pose=None) for image in truth)
    names = {image.name for image in truth}
    return dataclasses.replace(
        scene,
        name=f"{scene.name} (one reference in {every} held out)",
        references=ImageList(tuple(image for image in scene.references if image.name not in names)),
        queries=ImageList(queries),
        query_root=None,
        ground_truth=None if scene.unposed else ImageList(truth),
        submission=None,
        unposed=scene.unposed and dataclasses.replace(scene.unposed, held_out=True),
    )


def masked(scene: Scene, masks: str | None) -> Scene:
    """The scene with masks for its photos, COLMAP's form; InputError with all that cannot be used. None: as it is."""
    if masks is None:
        return scene
    path = pathlib.Path(masks).expanduser().absolute()
    if not path.exists():
        raise InputError(f"dataset.masks={path} is missing: name a folder of masks, or one picture for all photos")
    images = list({image.name: image for image in (*scene.references, *scene.queries)}.values())
    found = Masks(path)
    problems = found.problems(images)
    if problems:
        raise InputError(*problems)
    without = sum(found.of(image.name) is None for image in images)
    if without:
        log.warning("%d of %d photos have no mask in %s: all of them counts", without, len(images), path)
    return dataclasses.replace(scene, masks=str(path))
