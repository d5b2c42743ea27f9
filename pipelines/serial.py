"""Image retrieval, then matching: prior frames only (IR)."""

from localize.roles import Components
from localize.search.prior import Frames
from localize.stages import (
    Workbench,
    describe_references,
    estimate_poses,
    extract_features,
    map_points,
    match_union,
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

    references = extract_features(bench, use.feature, reference_photos(scene, use))
    described = describe_references(bench, use, references)
    points = map_points(bench, use, scene, references, described)

    queries = extract_features(bench, use.feature, query_photos(scene))
    frames = retrieve(bench, use, queries, described)
    matched = match_union(bench, use, queries, points, None, frames)
    poses = estimate_poses(bench, use.pose, matched)
    return write_results(bench, scene, points, matched, poses, use.submission, output)
