"""A supplied model as the map: only what the references see, and only if its keypoints are ours."""

import dataclasses
import logging

import numpy as np
import pytest

from localize.mapping.imported import Imported
from localize.stages.mapping import collect_rows
from localize.stages.workbench import Workbench
from localize.store import Store
from localize.types import Features, Image, ImageList, InputError, Pose, SourceModel
from tests.conftest import PINHOLE

POSE = Pose(np.eye(3), np.zeros(3))
REFERENCES = ImageList((Image("b.jpg", PINHOLE, POSE), Image("c.jpg", PINHOLE, POSE)))
NAMES = {"a.jpg": "./a.png", "b.jpg": "./b.png", "c.jpg": "./c.png"}
KEYPOINTS = {"b.jpg": np.array([[10, 20], [30, 40]], np.float32), "c.jpg": np.array([[50, 60]], np.float32)}


@pytest.fixture
def model() -> SourceModel:
    """Point 0 is seen in all three images, point 1 in a and b, point 2 twice in b and once in c."""
    return SourceModel(
        names=("./c.png", "./a.png", "./b.png"),
        focal_px=np.ones(3),
        radial=np.zeros(3),
        rotations=np.tile(np.eye(3), (3, 1, 1)),
        translations=np.zeros((3, 3)),
        points=np.arange(9.0).reshape(3, 3),
        indptr=[0, 3, 5, 8],
        image=[0, 1, 2, 1, 2, 2, 2, 0],
        keypoint=[0, 7, 1, 8, 0, 0, 1, 0],
        xy=[[50, 60], [0, 0], [30, 40], [0, 0], [10, 20], [10, 20], [30, 40], [50, 60]],
    )


def test_only_what_the_references_see(model):
    town = Imported().import_model(model, REFERENCES, NAMES, KEYPOINTS)
    assert town.points.tolist() == [[0, 1, 2], [6, 7, 8]]  # point 1 is left with one observation
    assert town.indptr.tolist() == [0, 2, 5]
    assert town.image.tolist() == [1, 0, 0, 0, 1]  # into b, c
    assert town.keypoint.tolist() == [0, 1, 0, 1, 0]
    assert len(Imported(min_observations=3).import_model(model, REFERENCES, NAMES, KEYPOINTS).points) == 1
    with pytest.raises(InputError, match="no point of the supplied model is seen 4 times"):
        Imported(min_observations=4).import_model(model, REFERENCES, NAMES, KEYPOINTS)


def test_keypoints_of_another_kind_are_refused(model):
    shifted = {name: xy + np.array([3, 0]) for name, xy in KEYPOINTS.items()}
    with pytest.raises(InputError, match=r"typically -3.00, \+0.00 px"):
        Imported().import_model(model, REFERENCES, NAMES, shifted)
    fewer = {**KEYPOINTS, "b.jpg": KEYPOINTS["b.jpg"][:1]}
    with pytest.raises(InputError, match=r"counts keypoint 1 of b.jpg, which has 1"):
        Imported().import_model(model, REFERENCES, NAMES, fewer)
    rounded = {name: xy + 0.4 for name, xy in KEYPOINTS.items()}  # as half precision rounds
    assert len(Imported().import_model(model, REFERENCES, NAMES, rounded).points) == 2


def test_a_reference_must_be_in_the_model(model):
    more = ImageList((*REFERENCES, Image("d.jpg", PINHOLE, POSE)))
    with pytest.raises(InputError, match=r"1 references, such as d.jpg, are not in the supplied model"):
        Imported().import_model(model, more, NAMES, KEYPOINTS)
    other = dataclasses.replace(model, names=("./c.png", "./a.png", "./x.png"))
    with pytest.raises(InputError, match=r"1 references, such as b.jpg"):
        Imported().import_model(other, REFERENCES, NAMES, KEYPOINTS)


class Described(dict):
    """Features by photo name, under a key."""

    key = "described"


def test_observations_that_could_not_be_described_are_not_searched(model, tmp_path, caplog):
    """Keypoint 0 of b, which sees points 1 and 2, and keypoint 0 of c, which sees 0 and 2, are zeros."""
    town = Imported(min_observations=1).import_model(model, REFERENCES, NAMES, KEYPOINTS)
    unit = np.array([[0, 0, 0], [0, 0.6, -0.8]], np.float16)
    found = Described(
        {n: Features(xy, d, np.ones(len(xy))) for (n, xy), d in zip(KEYPOINTS.items(), (unit, unit[:1]), strict=True)}
    )
    with caplog.at_level(logging.INFO):
        rows = collect_rows(Workbench(Store(tmp_path)), town, "key", found).rows
    assert rows.point.tolist() == [0, 2]
    assert rows.image_indptr.tolist() == [0, 2, 2]
    np.testing.assert_array_equal(rows.descriptors, unit[[1, 1]])
    assert len(rows.points) == 3  # rows count them
    assert "4 of 6 observations could not be described" in caplog.text
    assert "1 of 3 points are left without any" in caplog.text
    nothing = Described({n: dataclasses.replace(f, descriptors=0 * f.descriptors) for n, f in found.items()})
    with pytest.raises(InputError, match="no observation of the map could be described"):
        collect_rows(Workbench(Store(tmp_path)), town, "other key", nothing)
