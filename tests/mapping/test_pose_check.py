"""A map's matches notice poses of another convention, of another photo or without a baseline, and nothing else."""

import dataclasses

import numpy as np
import pytest

from localize.geometry.colmap import to_pycolmap_camera
from localize.geometry.conventions import AXES, FORMS, Convention, conventions
from localize.geometry.poses import qvec_from_rotation, rotation_from_qvec
from localize.mapping.observed import reprojection, track_matches
from localize.mapping.pose_check import judge_poses
from localize.mapping.triangulation import Triangulation
from localize.types import ImageList, PairMatches, Pose
from tests.conftest import random_pose
from tests.mapping.test_triangulation import generated_scene

OPENGL = next(name for name in AXES if "OpenGL" in name)
MIRROR = np.diag([1.0, -1, 1])


def matched(wrong: int = 100, num_images: int = 6):
    """Images, keypoints and matches of a generated scene, of 300 matches of a pair so many wrong."""
    _, images, _, keypoints, matches = generated_scene(num_points=300, num_images=num_images)
    rng = np.random.default_rng(0)
    keypoints = {n: xy + 0.5 * rng.normal(size=xy.shape) for n, xy in keypoints.items()}
    for pair, m in matches.items():
        rows = m.rows[rng.permutation(300)]
        rows[:wrong, 1] = rng.permutation(rows[:wrong, 1])
        matches[pair] = PairMatches(rows[np.argsort(rows[:, 0])])
    return images, keypoints, matches


def judged(images, keypoints, matches, change=None, **settings):
    """The verdict where `change` makes other poses of (name, pose)."""
    told = [dataclasses.replace(i, pose=change(i.name, i.pose)) if change else i for i in images]
    return judge_poses(ImageList(told), matches, keypoints.__getitem__, matches.__getitem__, **settings)


def unity(_, pose: Pose) -> Pose:
    """Camera to world with the y axes of both turned over."""
    return Pose(MIRROR @ pose.rotation.T @ MIRROR, MIRROR @ pose.center)


WRITTEN = {  # what others write in place of our poses
    Convention("camera to world"): lambda _, p: Pose(p.rotation.T, p.center),
    Convention(list(FORMS)[2]): lambda _, p: Pose(p.rotation, p.center),
    Convention(axes=OPENGL): lambda _, p: Pose(AXES[OPENGL] @ p.rotation, AXES[OPENGL] @ p.translation),
    Convention("camera to world", OPENGL): lambda _, p: Pose(p.rotation.T @ AXES[OPENGL], p.center),
    Convention(xyzw=True): lambda _, p: Pose(
        rotation_from_qvec(np.roll(qvec_from_rotation(p.rotation), -1)), p.translation
    ),
    Convention("camera to world", left_handed=True): unity,
}


@pytest.mark.parametrize("convention", WRITTEN, ids=str)
def test_another_convention_is_refused_by_name(convention):
    verdict = judged(*matched(), WRITTEN[convention])
    assert f"Read as {convention} they fit" in verdict.refusal
    assert verdict.fitting < 0.5


def test_poses_of_the_next_photo_are_named_too():
    images, keypoints, matches = matched()
    shifted = dict(zip(images.names, [i.pose for i in images][-1:] + [i.pose for i in images][:-1], strict=True))
    verdict = judged(images, keypoints, matches, lambda name, _: shifted[name])
    assert "Read as each photo with the pose of the one before it they fit" in verdict.refusal


def test_right_poses_are_not_doubted_however_many_matches_are_wrong():
    for wrong, share in ((0, 1.0), (100, 0.67), (200, 0.34), (300, 0.02)):
        verdict = judged(*matched(wrong))
        assert abs(verdict.share - share) < 0.05
        assert (verdict.refusal, verdict.warnings, verdict.still) == ("", (), 0)


def test_poses_that_fit_nothing_are_refused_and_inexact_ones_named():
    rng = np.random.default_rng(3)
    verdict = judged(*matched(), lambda *_: random_pose(rng))
    assert "check that they are world to camera" in verdict.refusal
    rng = np.random.default_rng(3)
    noisy = judged(
        *matched(), lambda _, p: Pose(rotation_from_qvec([1, *0.02 * rng.normal(size=3)]) @ p.rotation, p.translation)
    )
    assert "check that they are" in noisy.warnings[0]
    assert not noisy.refusal


def test_a_single_reference_that_disagrees_with_its_neighbours_is_named():
    rng = np.random.default_rng(4)
    other = random_pose(rng)
    verdict = judged(*matched(), lambda name, pose: other if name == "2.jpg" else pose)
    (sentence,) = verdict.warnings
    assert sentence.startswith("the pose of reference 2.jpg contradicts the photos that look like it: 2")
    assert next(iter(verdict.worst)) == "2.jpg"
    assert not verdict.refusal
    assert judged(*matched(), lambda n, p: other if n == "2.jpg" else p, name_single=False).warnings == ()


def test_facades_that_look_alike_do_not_speak_against_right_poses():
    """Most pairs show another place that looks the same, by fewer matches than neighbours have, but for 0.jpg's one."""
    images, keypoints, matches = matched(0, num_images=16)
    rng = np.random.default_rng(5)
    facade = rng.uniform(-1, 1, (150, 3))
    for image in images:
        seen_from = random_pose(rng)
        in_camera = facade @ seen_from.rotation.T + seen_from.translation
        shown = np.asarray(to_pycolmap_camera(image.camera).img_from_cam(in_camera))
        keypoints[image.name] = np.concatenate([keypoints[image.name], shown])
    number = {name: i for i, name in enumerate(images.names)}
    alike = PairMatches(np.repeat(np.arange(300, 450)[:, None], 2, 1))
    for a, b in matches:
        apart = abs(number[a] - number[b])
        if apart > 3 or (apart > 1 and "0.jpg" in (a, b)):
            matches[a, b] = alike
    matches["0.jpg", "1.jpg"] = PairMatches(matches["0.jpg", "1.jpg"].rows[:120])
    matches = dict(sorted(matches.items(), key=lambda m: -abs(number[m[0][0]] - number[m[0][1]])))
    verdict = judged(images, keypoints, matches)
    assert verdict.share < 0.5
    assert verdict.fitting > 0.9
    assert (verdict.refusal, verdict.warnings) == ("", ())


def test_cameras_without_a_baseline_are_named():
    images, keypoints, matches = matched(0)
    at = images.images[0].pose
    verdict = judge_poses(
        ImageList(dataclasses.replace(i, pose=at) for i in images),
        matches,
        dict.fromkeys(images.names, keypoints["0.jpg"]).__getitem__,
        lambda pair: PairMatches(np.repeat(np.arange(300)[:, None], 2, 1)),
        min_angle_deg=1.5,
    )
    assert verdict.share == 1
    assert "meet at less than 1.5 degrees (typically 0.00, the cameras 0 apart)" in verdict.warnings[0]


def test_a_map_is_judged_by_its_own_tracks():
    images, keypoints, matches = matched(0)
    town = Triangulation().build(images, {n: np.float32(xy) for n, xy in keypoints.items()}, matches)
    tracks = track_matches(town)
    assert sum(len(m.rows) for m in tracks.values()) == len(town.image) - len(town.points)
    few = track_matches(town, 4)
    every = [list(tracks)[i] for i in np.linspace(0, len(tracks) - 1, 4).astype(int)]
    assert list(few) == every
    assert all((few[pair].rows == tracks[pair].rows).all() for pair in few)
    assert judged(images, keypoints, tracks).share > 0.99
    assert reprojection(town, keypoints.__getitem__).median_px < 1
    assert "camera to world" in judged(images, keypoints, tracks, WRITTEN[Convention("camera to world")]).refusal


def test_reading_back_what_was_written():
    images = matched()[0]
    assert len(set(map(str, conventions()))) == len(conventions())
    for convention, write in WRITTEN.items():
        written = [write(i.name, i.pose) for i in images]
        R, t = convention.read([p.rotation for p in written], [p.translation for p in written])
        np.testing.assert_allclose(R, [i.pose.rotation for i in images], atol=1e-9)
        np.testing.assert_allclose(t, [i.pose.translation for i in images], atol=1e-9)
