"""Image retrieval, then matching: prior frames only (IR)."""

from localize.roles import Components
from localize.search.prior import Frames
from localize.stages import (
    Workbench,
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
from localize.types import InputError, Report, Scene


def run(
    scene: Scene, store: Store, *, workers: int = 1, progress: bool = False, output: str | None = None, **components
) -> Report:
    """Like parallel_search without the index, which is accepted and not built."""
    use, bench = Components(**{"search": Frames(), **components}), Workbench(store, workers, progress)
    if use.search.uses_leaves:
        raise InputError("pipeline serial searches prior frames only: take search=frames, or +pipeline=parallel_search")

    scene = place_references(bench, use, scene, output)  # where they have no poses yet
    references = extract_features(bench, use.feature, reference_photos(scene), given_keypoints(bench, use, scene))
    described = describe_references(bench, use, references)
    points = map_points(bench, use, scene, references, described)

    queries = extract_features(bench, use.feature, query_photos(scene))
    frames = retrieve(bench, use, queries, described)  # prior frames
    matched = match_points(bench, use, queries, points, frames=frames)
    poses = estimate_poses(bench, use, matched, points)
    return write_results(bench, use, scene, points, matched, poses, output)
