"""Rigs: generated matches with known answers, and what is said when the relative poses are wrong."""

import dataclasses

import numpy as np
import pytest

from localize.geometry.poses import composed, pose_error
from localize.pose.base import SolvesRigs, unfit_for_rigs
from localize.pose.colmap import Colmap
from localize.pose.poselib import PoseLib
from localize.pose.refinement.none import NoRefinement
from localize.pose.refinement.rig import estimate_rig
from localize.stages.poses import rigs_of
from localize.types import Evidence, Image, Mounted, PoseEstimate
from tests.pose.rig_data import FOV, MOUNTS, PINHOLE, rig_pose, rig_views, turned

SOLVERS = [PoseLib(), Colmap()]


def errors(estimates, rig, mounts=MOUNTS):
    return [pose_error(e.pose, composed(m, rig)) for e, m in zip(estimates, mounts, strict=True)]


@pytest.mark.parametrize("cameras", [(PINHOLE,) * 3, (PINHOLE, FOV, PINHOLE)], ids=["pinhole", "mixed"])
@pytest.mark.parametrize("solver", SOLVERS, ids=str)
def test_a_rig_is_solved_where_each_photo_fails(solver, cameras):
    """Eight right of 48 matches in each photo: no photo has the 12 inliers that count."""
    rig = rig_pose(1)
    views = rig_views(rig, (8, 8, 8), 40, cameras=cameras)
    assert all(solver.estimate(v.matches, v.camera).pose is None for v in views)
    assert isinstance(solver, SolvesRigs)
    found = estimate_rig(views, MOUNTS, None, solver, NoRefinement())
    assert max(m for m, _ in errors(found, rig)) < 0.1
    assert max(d for _, d in errors(found, rig)) < 0.5
    assert [8 <= e.num_inliers <= 12 for e in found] == [True] * 3
    assert [e.num_matches for e in found] == [48] * 3


@pytest.mark.parametrize("mounts", [MOUNTS, [turned(a, (0, 0, 0)) for a in (0, 60, -60)]], ids=["apart", "one centre"])
def test_exact_matches_give_the_exact_pose(mounts):
    rig = rig_pose(2)
    views = rig_views(rig, (30, 0, 12), 0, mounts=mounts)
    views = [dataclasses.replace(v, matches=_exact(v, composed(m, rig))) for v, m in zip(views, mounts, strict=True)]
    found = PoseLib().solve_rig(views, mounts)
    assert np.max(errors(found, rig, mounts)) < 1e-6
    assert [e.notes for e in found] == [(), ("its pose comes from the other photos of its group",), ()]


def _exact(view, pose):
    seen = view.matches.xyz @ pose.rotation.T + pose.translation
    xy = seen[:, :2] / seen[:, 2:] * view.camera.params[:2] + view.camera.params[2:]
    return dataclasses.replace(view.matches, xy=xy)


@pytest.mark.parametrize("solver", SOLVERS, ids=str)
def test_a_contradiction_is_said_and_the_photos_own_pose_given(solver):
    rig = rig_pose(3)
    views = rig_views(rig, (60, 50, 40), 40)
    wrong = [MOUNTS[0], MOUNTS[1], turned(-20, (1, 0, 0))]  # the third camera was moved
    found = estimate_rig(views, wrong, None, solver, NoRefinement())
    assert max(m for m, _ in errors(found, rig)) < 0.1
    assert found[0].notes == found[1].notes == ()
    assert "contradict the relative poses of its group" in found[2].notes[0]


def test_too_few_inliers_in_all_photos_fail_with_the_reason():
    views = rig_views(rig_pose(4), (2, 2, 2), 10)
    found = estimate_rig(views, MOUNTS, None, PoseLib(min_inliers=20), NoRefinement())
    assert [e.pose for e in found] == [None] * 3
    assert all("matches agree in the 3 photos of its group, at least 20 are needed" in e.reason for e in found)
    none = PoseLib().solve_rig(rig_views(rig_pose(4), (1, 0, 1), 0), MOUNTS)
    assert all(e.reason == "no pose agrees with 4 of the 2 matches of the 3 photos of its group" for e in none)


class Refines:
    """Refuses photos of fewer than 10 inliers; believes 20 that were found."""

    VERSION = 1

    def estimate(self, view, seen, solver):
        raise AssertionError

    def refine_from(self, view, seen, solver, first):
        n = first.num_inliers
        told = dataclasses.replace(first, confidence=min(1.0, n / 20), evidence=Evidence(0, len(view.matches), n, n, n))
        return told if n >= 10 else dataclasses.replace(told, pose=None, reason="too few")

    def judge(self, found: PoseEstimate, solver) -> PoseEstimate:
        sure = min(1.0, found.evidence.found / 25)
        found = dataclasses.replace(found, confidence=sure)
        return found if sure >= 0.8 else dataclasses.replace(found, pose=None, reason="too few")


def test_what_is_refused_in_one_photo_is_carried_over_or_judged_together():
    rig, carried = rig_pose(5), "its pose comes from the other photos of its group"
    found = estimate_rig(rig_views(rig, (30, 5, 0), 0), MOUNTS, None, PoseLib(), Refines())
    assert max(m for m, _ in errors(found, rig)) < 0.1
    assert [e.confidence for e in found] == [1.0, 1.0, 1.0]
    assert [carried in e.notes for e in found] == [False, True, True]
    weak = estimate_rig(rig_views(rig, (8, 8, 8), 0), MOUNTS, None, PoseLib(), Refines())
    assert [e.confidence for e in weak] == [24 / 25] * 3
    failed = estimate_rig(rig_views(rig, (5, 5, 5), 0), MOUNTS, None, PoseLib(), Refines())
    assert [(e.pose, e.reason) for e in failed] == [(None, "too few")] * 3


def test_rigs_and_windows():
    def query(name, group, **of_sequence):
        return Image(name, PINHOLE, mounted=Mounted(group, MOUNTS[0], **of_sequence))

    sequence = [query(str(i), "way", at=i, window=3) for i in (4, 0, 1, 2, 3)]
    found = rigs_of([query("a", "x"), query("b", "y"), query("c", "x"), Image("d", PINHOLE), *sequence])
    assert {n: found[n] for n in found if n.isalpha()} == {"a": ("a", "c"), "c": ("a", "c")}
    windows = {"0": "012", "1": "012", "2": "123", "3": "234", "4": "234"}
    assert {n: "".join(found[n]) for n in windows} == windows


def test_a_solver_without_rigs_is_refused_by_name():
    class Single:
        VERSION = 1

    query = Image("q.jpg", PINHOLE, mounted=Mounted("a", MOUNTS[0]))
    (sentence,) = unfit_for_rigs(Single(), [query])
    assert "Single solves for one photo at a time, but q.jpg" in sentence
    assert unfit_for_rigs(Single(), [Image("q.jpg", PINHOLE)]) == []
