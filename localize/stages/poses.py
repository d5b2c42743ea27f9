"""From a query's matches to its pose."""

from typing import TYPE_CHECKING

from localize.keys import describe, key_of
from localize.pose.refinement.base import SeenPoints
from localize.stages.mapping import LocalizationMap
from localize.stages.notes import warn_of_focals
from localize.stages.union import Matched
from localize.stages.workbench import Workbench
from localize.store import Shelved
from localize.types import PoseEstimate, View

if TYPE_CHECKING:
    from localize.roles import Components


def estimate_poses(bench: Workbench, use: "Components", matched: Matched, points: LocalizationMap) -> Shelved:
    """PoseEstimate of every query."""
    queries, matches = matched.queries, matched.matches
    spec = {"pose": describe(use.pose), "refinement": describe(use.refinement), "matches": matches.key}
    shelf = bench.store.shelf("poses", spec)
    keys = {
        query.name: key_of([matches.item_keys[query.name], describe(query.camera), describe(query.prior)])
        for query in queries.images
    }
    seen = SeenPoints(points.references, points.rows)

    def estimate(name: str) -> PoseEstimate:
        query = queries.images.by_name[name]
        view = View(queries.features[name], matches[name], query.camera, query.prior)
        return use.refinement.estimate(view, seen, use.pose)

    poses = bench.fill("poses", shelf, keys, estimate)
    warn_of_focals(poses[name] for name in poses.item_keys)
    return poses
