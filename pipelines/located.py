"""Photos whose poses are asked for in a map that the same run made."""

from localize.pipelines.mapped_scene import MappedScene
from localize.roles import Components
from localize.stages import (
    BuiltIndex,
    PhotoList,
    Workbench,
    estimate_poses,
    extract_features,
    match_points,
    retrieve,
)
from localize.types import PoseEstimate


def located(
    bench: Workbench, use: Components, mapped: MappedScene, index: BuiltIndex | None, photos: PhotoList
) -> dict[str, PoseEstimate]:
    """What the chain makes of the photos that can be read, by name."""
    queries = extract_features(bench, use.feature, photos)
    frames = retrieve(bench, use, queries, mapped.described) if use.search.uses_frames else None
    matched = match_points(bench, use, queries, mapped.points, index=index, frames=frames)
    poses = estimate_poses(bench, use, matched, mapped.points)
    return {name: poses[name] for name in poses.item_keys}
