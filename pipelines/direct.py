"""Direct matching: prior leaves only (RT_AP with index.order=gaussian, RT with index.order=abs_value)."""

from localize.roles import Components
from localize.search.prior import Leaves
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
    write_results,
)
from localize.store import Store
from localize.types import InputError, Report, Scene


def run(
    scene: Scene, store: Store, *, workers: int = 1, progress: bool = False, output: str | None = None, **components
) -> Report:
    """Like parallel_search without the frames; retrieval only chooses the reference pairs to match for the map."""
    use, bench = Components(**{"search": Leaves(), **components}), Workbench(store, workers, progress)
    if use.search.uses_frames:
        raise InputError("pipeline direct searches prior leaves only: take search=leaves, or +pipeline=parallel_search")

    scene = place_references(bench, use, scene, output)  # where they have no poses yet
    references = extract_features(bench, use.feature, reference_photos(scene), given_keypoints(bench, use, scene))
    described = describe_references(bench, use, references) if use.compares_photos else None
    points = map_points(bench, use, scene, references, described)
    index = build_index(bench, use.index, points)  # prior leaves

    queries = extract_features(bench, use.feature, query_photos(scene))
    matched = match_points(bench, use, queries, points, index=index)
    poses = estimate_poses(bench, use, matched, points)
    return write_results(bench, use, scene, points, matched, poses, output)
