"""Queries of one moment through the chain, from the command line and from Python."""

import os

import numpy as np

from localize import Localizer, Store, build_map
from localize.geometry.poses import composed, inverse, pose_error, qvec_from_rotation
from localize.io.text import read_poses
from tests.conftest import FEATURE, RUN, computed


def test_a_rig_from_the_command_line(own_data, run_cli, scene, tmp_path):
    arguments, queries = own_data
    truth = {i.name: i.pose for i in scene.ground_truth}
    first, lines = truth[scene.queries.names[0]], []
    for name in scene.queries.names:
        mount = composed(truth[name], inverse(first))
        numbers = np.concatenate([qvec_from_rotation(mount.rotation), mount.translation])
        lines.append(f"one {name} " + " ".join(map(repr, numbers.tolist())) + "\n")
    rigs = queries.parent / "rigs.txt"
    rigs.write_text("".join(lines))
    code, said = run_cli(*RUN, *arguments, f"dataset.rigs={rigs}")
    assert code == 0, said
    found = read_poses(tmp_path / "run" / "poses.txt", [])
    assert found.keys() == truth.keys()
    relative = [composed(found[n], inverse(found[scene.queries.names[0]])) for n in found]
    wanted = [composed(truth[n], inverse(first)) for n in found]
    assert (
        max(max(pose_error(r, w)) for r, w in zip(relative, wanted, strict=True)) < 0.2
    )  # m, deg: one rig, refined in each photo
    assert max(pose_error(found[n], truth[n])[0] for n in found) < 0.05
    assert computed(tmp_path / "run")["poses"] == len(truth)
    assert run_cli(*RUN, *arguments, f"dataset.rigs={rigs}")[0] == 0
    assert computed(tmp_path / "run")["poses"] == 0
    rigs.write_text("".join(lines[1:]))  # what is known of one photo decides the poses of all
    assert run_cli(*RUN, *arguments, f"dataset.rigs={rigs}")[0] == 0
    assert computed(tmp_path / "run")["poses"] >= len(truth) - 1  # the first is an ordinary query now


def test_a_rig_from_python(scene, warm_store, tmp_path):
    build_map(scene, tmp_path / "map", store=Store(warm_store), feature=FEATURE)
    localizer, truth = Localizer.load(tmp_path / "map"), scene.ground_truth.images[:2]
    photos = [os.path.join(scene.image_root, i.name) for i in truth]
    mounts = [i.pose for i in truth]  # the world is as good a frame of the rig as any
    found = localizer.localize_rig(photos, [i.camera for i in truth], mounts)
    for estimate, image in zip(found, truth, strict=True):
        assert pose_error(estimate.pose, image.pose)[0] < 0.05
