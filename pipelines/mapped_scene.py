"""The map of a scene's references, for the pipelines that go on from there."""

from dataclasses import dataclass

from localize.roles import Components
from localize.stages import (
    DescribedReferences,
    LocalizationMap,
    PhotoList,
    Photos,
    Workbench,
    describe_references,
    extract_features,
    given_keypoints,
    map_points,
    reference_photos,
)
from localize.types import Scene


@dataclass(frozen=True, eq=False)
class MappedScene:
    """The references with their features, their global descriptors where something asks for them, and the map."""

    references: Photos
    described: DescribedReferences | None
    points: LocalizationMap


def map_scene(
    bench: Workbench, use: Components, scene: Scene, *, describe: bool = False, photos: PhotoList | None = None
) -> MappedScene:
    """What the chain makes of the references. describe: make global descriptors also where nothing asks for them.

    photos: the references, where they do not all lie in the scene's folder.
    """
    photos = photos or reference_photos(scene)
    references = extract_features(bench, use.feature, photos, given_keypoints(bench, use, scene))
    described = describe_references(bench, use, references) if describe or use.compares_photos else None
    return MappedScene(references, described, map_points(bench, use, scene, references, described))
