"""Masks hide keypoints of every feature, in references and queries, and a changed mask is another result."""

import dataclasses

import numpy as np
import PIL.Image
import pytest

from localize.datasets.base import masked
from localize.features.sift import Sift
from localize.io.masks import seen
from localize.stages import Workbench, extract_features, query_photos, reference_photos
from localize.store import Store
from localize.types import Camera, Features, Image, ImageList, InputError, Pose, Scene
from tests.generated_photos import textured

CAMERA = Camera("SIMPLE_PINHOLE", 240, 200, [200.0, 120, 100])


@dataclasses.dataclass(frozen=True)
class Stored:
    """Features of a file: a keypoint in each corner."""

    VERSION = 1

    def read(self, name: str, width: int, height: int) -> Features:
        corners = [(0, 0), (width, 0), (0, height), (width, height)]
        return Features(corners, np.tile(np.float32([0.6, 0.8]), (4, 1)), np.ones(4))


@pytest.fixture
def scene(tmp_path) -> Scene:
    (tmp_path / "masks" / "day").mkdir(parents=True)
    (tmp_path / "day").mkdir()
    images = []
    for i, name in enumerate(("day/a.png", "day/b.png", "q.png")):
        PIL.Image.fromarray(textured(i)).save(tmp_path / name)
        images.append(Image(name, CAMERA, Pose(np.eye(3), np.zeros(3))))
        save_mask(tmp_path, name, slice(150, None))
    queries = ImageList((dataclasses.replace(images[2], pose=None),))
    return Scene("small", str(tmp_path), ImageList(images[:2]), queries)


def save_mask(root, name, hidden):
    mask = np.full((200, 240), 255, np.uint8)
    mask[hidden] = 0
    PIL.Image.fromarray(mask).save(root / "masks" / f"{name}.png")


def test_every_feature_sees_only_what_the_mask_shows(scene, tmp_path):
    bench, sift = Workbench(Store(tmp_path / "store")), Sift(max_keypoints=300)
    plain = extract_features(bench, sift, reference_photos(scene)).features
    hidden = masked(scene, str(tmp_path / "masks"))
    for photos in (reference_photos(hidden), query_photos(hidden)):
        for name in photos.images.names:
            found = extract_features(bench, sift, photos).features[name]
            assert len(found) > 0
            assert found.keypoints[:, 1].max() < 150
            stored = extract_features(bench, Stored(), photos).features[name]  # rows that a model may count stay
            assert stored.descriptors.any(1).tolist() == [True, True, False, False]
    both = extract_features(bench, sift, reference_photos(hidden)).features
    whole = plain["day/a.png"]
    np.testing.assert_array_equal(both["day/a.png"].keypoints, whole.keypoints[whole.keypoints[:, 1] < 150])
    save_mask(tmp_path, "day/a.png", slice(100, None))
    changed = extract_features(bench, sift, reference_photos(hidden)).features
    assert changed["day/a.png"].keypoints[:, 1].max() < 100
    assert [changed.item_keys[n] == both.item_keys[n] for n in hidden.references.names] == [False, True]


def test_one_mask_may_do_for_all_photos(scene, tmp_path):
    one = masked(scene, str(tmp_path / "masks" / "q.png.png"))
    found = extract_features(Workbench(Store(tmp_path / "store")), Stored(), reference_photos(one)).features
    assert not found["day/b.png"].descriptors[2:].any()


def test_masks_that_cannot_be_used_are_named_at_the_start(scene, tmp_path, caplog):
    with pytest.raises(InputError, match=r"dataset.masks=.* is missing"):
        masked(scene, str(tmp_path / "gone"))
    with pytest.raises(InputError, match=r"holds no mask of the 3 photos: it must be a folder with day/a.png.png for"):
        masked(scene, str(tmp_path / "day"))
    (tmp_path / "masks" / "q.png.png").unlink()
    assert masked(scene, str(tmp_path / "masks")).masks
    assert "1 of 3 photos have no mask" in caplog.text
    PIL.Image.new("L", (200, 240)).save(tmp_path / "masks" / "q.png.png")
    (tmp_path / "masks" / "day" / "b.png.png").write_text("no picture")
    with pytest.raises(InputError) as e:
        masked(scene, str(tmp_path / "masks"))
    assert ["cannot be opened" in p for p in e.value.problems] == [True, False]
    assert "is 200 x 240 px, but the photo q.png 240 x 200 px" in e.value.problems[1]


def test_a_keypoint_belongs_to_the_pixel_it_lies_in():
    mask = np.array([[True, False], [False, True]])
    assert seen(mask, np.array([[0.9, 0.9], [1.0, 0.2], [2.0, 2.0]])).tolist() == [True, False, True]
    assert seen(mask, np.zeros((0, 2))).tolist() == []
