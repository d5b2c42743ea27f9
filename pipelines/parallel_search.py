"""Parallel search: prior leaves and prior frames together. With search=leaves or search=frames, one of the two."""

from localize.roles import Components
from localize.stages import (
    Workbench,
    build_index,
    describe_references,
    estimate_poses,
    extract_features,
    given_keypoints,
    map_points,
    match_points,
    place_references,
    query_photos,
    reference_photos,
    retrieve,
    write_results,
)
from localize.store import Store
from localize.types import Report, Scene


def run(
    scene: Scene, store: Store, *, workers: int = 1, progress: bool = False, output: str | None = None, **components
) -> Report:
    """Map the references, localize the queries, score; writes poses.txt and results.json if `output` is given.

    components: any of the fields of `roles.Components`; workers change the time a run takes, never its results.
    """
    use, bench = Components(**components), Workbench(store, workers, progress)

    scene = place_references(bench, use, scene, output)  # where they have no poses yet
    references = extract_features(bench, use.feature, reference_photos(scene), given_keypoints(bench, use, scene))
    described = describe_references(bench, use, references) if use.compares_photos else None
    points = map_points(bench, use, scene, references, described)
    index = build_index(bench, use.index, points) if use.search.uses_leaves else None  # prior leaves

    queries = extract_features(bench, use.feature, query_photos(scene))
    frames = retrieve(bench, use, queries, described) if use.search.uses_frames else None  # prior frames
    matched = match_points(bench, use, queries, points, index=index, frames=frames)  # of their union
    poses = estimate_poses(bench, use, matched, points)
    return write_results(bench, use, scene, points, matched, poses, output)
