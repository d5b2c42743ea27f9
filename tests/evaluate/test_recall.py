"""Recall: failed queries count, and every condition has its own."""

import dataclasses

import numpy as np

from localize.evaluate.recall import evaluate_poses
from localize.evaluate.tables import recall_table
from localize.types import Image, ImageList, Pose, Scene
from tests.conftest import EMPTY, PINHOLE


def test_recall_counts_failed_queries_and_splits_conditions():
    truth = [
        Image(f"{i}", PINHOLE, Pose(np.eye(3), np.zeros(3)), tags)
        for i, tags in enumerate([(), ("night",), ("night",), ()])
    ]
    queries = ImageList(tuple(Image(i.name, i.camera, None, i.tags) for i in truth))
    estimates = {
        "0": Pose(np.eye(3), [0.005, 0, 0]),
        "1": Pose(np.eye(3), [0, 0.03, 0]),
        "3": Pose(np.eye(3), [0, 0, 9]),
    }
    judged = {"queries": queries, "ground_truth": ImageList(truth)}
    scene = Scene("", "", EMPTY, thresholds=[(0.01, 0.1), (0.05, 1)], **judged)
    report = evaluate_poses(estimates, scene)
    assert report.conditions == ("all", "night")
    assert report.recall.tolist() == [[0.25, 0.5], [0, 0.5]]
    assert report.num_queries.tolist() == [4, 2]
    assert report.num_localized.tolist() == [3, 1]
    assert report.error_m[2] == np.inf
    assert report.median_m[1] == np.inf  # of 0.03 and a failure
    table = recall_table(report)
    assert "25.0 %" in table
    assert "3 of 4" in table
    at_the_bound = evaluate_poses({"0": Pose(np.eye(3), [0.01, 0, 0])}, scene)
    assert at_the_bound.recall[0, 0] == 0  # strictly below
    night_is_easier = dataclasses.replace(scene, tag_thresholds={"night": [(0.05, 1), (1, 10)]})
    report = evaluate_poses(estimates, night_is_easier)
    assert report.recall.tolist() == [[0.25, 0.5], [0.5, 0.5]]
    assert recall_table(report).count("condition") == 2  # each table under its own thresholds
