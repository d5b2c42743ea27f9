"""From a query's matches to its pose."""

import contextlib
import threading
from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from localize.keys import describe, key_of
from localize.pose.base import unfit_for_rigs
from localize.pose.priors import refuse_unhonoured
from localize.pose.refinement.base import SeenPoints
from localize.pose.refinement.rig import estimate_rig
from localize.stages.mapping import LocalizationMap
from localize.stages.notes import warn_of_focals
from localize.stages.shelved import Shelved
from localize.stages.union import Matched
from localize.stages.workbench import Workbench
from localize.types import Image, InputError, PoseEstimate, View

if TYPE_CHECKING:
    from localize.roles import Components


def estimate_poses(bench: Workbench, use: "Components", matched: Matched, points: LocalizationMap) -> Shelved:
    """PoseEstimate of every query; those of a rig, or of a window of a sequence, together.

    InputError if a query brings a prior, or comes in a rig, that the solver makes no use of.
    """
    queries, matches = matched.queries, matched.matches
    refuse_unhonoured(use.pose, queries.images)
    problems = unfit_for_rigs(use.pose, queries.images)
    if problems:
        raise InputError(*problems)
    spec = {"pose": describe(use.pose), "refinement": describe(use.refinement), "matches": matches.key}
    shelf = bench.store.shelf("poses", spec)
    seen, rigs = SeenPoints(points.references, points.rows), rigs_of(queries.images)
    done, locks = {}, {members: threading.Lock() for members in rigs.values()}

    def told(query: Image) -> list:
        return [matches.item_keys[query.name], describe(query.camera), describe(query.prior)]

    def key(query: Image) -> str:
        if query.name not in rigs:
            return key_of(told(query))
        members = [queries.images.by_name[n] for n in rigs[query.name]]
        return key_of([members.index(query), *([*told(m), describe(m.mounted.cam_from_rig)] for m in members)])

    def view_of(name: str) -> View:
        query = queries.images.by_name[name]
        return View(queries.features[name], matches[name], query.camera, query.prior)

    def estimate(name: str) -> PoseEstimate:
        if name not in rigs:
            return use.refinement.estimate(view_of(name), seen, use.pose)
        members = rigs[name]
        with locks[members]:  # the first of a rig that a worker comes to solves it for all
            if members not in done:
                mounts = [queries.images.by_name[n].mounted.cam_from_rig for n in members]
                done[members] = estimate_rig([view_of(n) for n in members], mounts, seen, use.pose, use.refinement)
        return done[members][members.index(name)]

    keys = {query.name: key(query) for query in queries.images}
    todo = next((name for name in keys if keys[name] not in shelf), None)
    if todo is not None:  # compile the kernels before the clock runs: a query's seconds are its own
        with contextlib.suppress(InputError):  # said below, with those of all
            use.refinement.estimate(view_of(todo), seen, use.pose)
    poses = bench.fill("poses", shelf, keys, estimate)
    warn_of_focals(poses[name] for name in poses.item_keys)
    return poses


def rigs_of(queries: Iterable[Image]) -> dict[str, tuple[str, ...]]:
    """By name of each query that is solved with others the names of all of them, itself among them, in their order.

    Of a sequence a photo stands in the middle of its window, at both ends as near to it as there are photos.
    """
    groups = defaultdict(list)
    for query in queries:
        if query.mounted is not None:
            groups[query.mounted.group].append(query)
    found = {}
    for members in groups.values():
        members.sort(key=lambda q: q.mounted.at)
        for i, query in enumerate(members):
            size = min(query.mounted.window or len(members), len(members))
            start = min(max(0, i - size // 2), len(members) - size)
            if size > 1:
                found[query.name] = tuple(q.name for q in members[start : start + size])
    return found
