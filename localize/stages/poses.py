"""From a query's matches to its pose."""

from typing import TYPE_CHECKING

from localize.keys import describe, key_of
from localize.stages.union import Matched
from localize.stages.workbench import Workbench
from localize.store import Shelved
from localize.types import PoseEstimate

if TYPE_CHECKING:
    from localize.roles import Components


def estimate_poses(bench: Workbench, use: "Components", matched: Matched) -> Shelved:
    """PoseEstimate of every query."""
    queries, matches = matched.queries.images, matched.matches
    shelf = bench.store.shelf("poses", {"pose": describe(use.pose), "matches": matches.key})
    keys = {query.name: key_of([matches.item_keys[query.name], describe(query.camera)]) for query in queries}

    def estimate(name: str) -> PoseEstimate:
        return use.pose.estimate(matches[name], queries.by_name[name].camera)

    return bench.fill("poses", shelf, keys, estimate)
