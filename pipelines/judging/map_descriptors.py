"""The real descriptors of a scene's map as a set to search in, with queries whose true points are known."""

from localize.evaluate.search.descriptor_sets import DescriptorSet
from localize.evaluate.search.scene_descriptors import map_descriptors, with_queries
from localize.pipelines.mapped_scene import map_scene
from localize.roles import Components
from localize.stages import Workbench, extract_features, query_photos
from localize.stages.shelved import Shelved
from localize.store import Store
from localize.train.patches.from_map import Tracks, near_points
from localize.types import Scene

CLEAR_PX = 5.0  # no other point of the map projects nearer to a query keypoint
UNSURE_PX = 3.0  # a reference's keypoint as near as that to a point may show it, and is no distractor


def descriptors_of_scene(
    scene: Scene, store: Store, components: dict, workers: int, progress: bool, num_queries: int, seed: int
) -> DescriptorSet:
    """The map of the references with one observation of some points left out, and the references' other keypoints.

    Queries are the observations left out and, where the scene's queries have known poses and keypoints have scales and
    orientations, their keypoints within 2 px and their own scale of the projection of one point alone, with its scale
    and orientation, whatever the descriptors say.
    """
    use, bench = Components(**components), Workbench(store, workers, progress)
    mapped = map_scene(bench, use, scene)
    points, features = mapped.points.model, mapped.references.features
    tracks = Tracks(max_error_px=2.0, seed=seed)
    unsure = {image.name: near_points(points, image, features[image.name], UNSURE_PX) for image in points.images}
    found = map_descriptors(points, features, unsure, num_queries, seed, scene.name)
    shaped = features[points.images.names[0]].orientations is not None
    if scene.ground_truth is None or not shaped:
        return found
    queries = extract_features(bench, use.feature, query_photos(scene, scene.ground_truth))
    asked = queries.features
    seen = tracks.seen_by(points, queries.images, _Both(features, asked), CLEAR_PX)
    return with_queries(found, queries.images, asked, seen, num_queries, seed)


class _Both:
    """Features of the references and of the queries by name."""

    def __init__(self, references: Shelved, queries: Shelved):
        self.references, self.queries = references, queries

    def __getitem__(self, name: str):
        return self.queries[name] if name in self.queries else self.references[name]
