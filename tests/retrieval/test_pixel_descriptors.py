"""Global descriptors that look at pixels: what they are given, and what their results are keyed by."""

import dataclasses
import pathlib
import pickle
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import PIL.Image
import pytest

from localize import build_map
from localize.features.sift import Sift
from localize.io.images import read_photo
from localize.preflight import check_parts
from localize.retrieval.base import NothingLearned
from localize.stages import PhotoList, Workbench, extract_features, learn_descriptor
from localize.store import Shelf, Store
from localize.types import Camera, Features, Image, ImageList, InputError
from tests.conftest import FEATURE

fill = Shelf.fill
CAMERA = Camera("PINHOLE", 24, 16, [20.0, 20.0, 12.0, 8.0])


@dataclass(frozen=True, eq=False)
class Mean:
    """Of the references' thumbnails."""

    thumbnail: np.ndarray


@dataclass(frozen=True)
class Thumbnail:
    """A photo in 4 x 4 pixels, without the mean of the references if `learns`."""

    learns: bool = True

    VERSION: ClassVar[int] = 1
    needs: ClassVar[str] = "pixels"

    def fit(self, photos):
        if not self.learns:
            return NothingLearned()
        assert len(photos) == sum(1 for _ in photos)
        return Mean(np.mean([self._small(photo) for photo in photos], axis=0))

    def describe(self, photo, learned):
        vector = self._small(photo) - (learned.thumbnail if self.learns else 0)
        return (vector / np.linalg.norm(vector)).astype(np.float32)

    @staticmethod
    def _small(photo):
        assert photo.dtype == np.uint8
        return np.asarray(PIL.Image.fromarray(photo, "RGB").resize((4, 4), PIL.Image.Resampling.BOX), float).ravel()


@dataclass(frozen=True)
class Stored:
    """Features by name, whatever the photo; so their key is not the photo's digest."""

    VERSION: ClassVar[int] = 1

    def read(self, name, width, height):
        return Features(np.full((1, 2), len(name)), np.ones((1, 4)), np.ones(1))


@dataclass(frozen=True)
class Colour:
    """One keypoint in a photo that is not grey."""

    VERSION: ClassVar[int] = 1
    grey: ClassVar[bool] = False

    def extract(self, photo):
        return Features(np.full((1, 2), 3.0), np.ones((1, 4)), np.ones(1))


@pytest.fixture
def folder(tmp_path) -> pathlib.Path:
    rng = np.random.default_rng(0)
    for name in "abc":
        PIL.Image.fromarray(rng.integers(256, size=(16, 24, 3), dtype=np.uint8)).save(tmp_path / f"{name}.png")
    return tmp_path


def images(*names: str) -> ImageList:
    return ImageList(Image(f"{n}.png", CAMERA) for n in names)


def described(folder, retrieval, names="abc", feature=Sift(max_keypoints=5), wanted="abc"):
    """(vectors, how many were computed, how often something was learned), in one store per folder."""
    bench = Workbench(Store(folder / "store"))
    photos = extract_features(bench, feature, PhotoList("photo", str(folder), images(*"abc")))
    by = learn_descriptor(bench, retrieval, dataclasses.replace(photos, images=images(*names)))
    vectors = by.describe(bench, dataclasses.replace(photos, images=images(*wanted))).vectors
    computed = {record.name: record.computed for record in bench.records}
    return vectors, computed["photo_global"], computed["retrieval_model"]


def test_pixel_descriptors_do_not_depend_on_the_local_feature(folder):
    first, *made = described(folder, Thumbnail())
    assert made == [3, 1]
    learned = Thumbnail().fit([read_photo(folder / f"{n}.png") for n in "abc"])
    np.testing.assert_array_equal(first[1], Thumbnail().describe(read_photo(folder / "b.png"), learned))
    assert described(folder, Thumbnail(), feature=Sift(max_keypoints=6))[1:] == (0, 0)
    assert described(folder, Thumbnail(), feature=Stored())[1:] == (0, 0)
    assert described(folder, Thumbnail(), names="ab")[1:] == (3, 1)  # other references: all is another
    PIL.Image.new("RGB", (24, 16), (200, 3, 4)).save(folder / "c.png")
    assert described(folder, Thumbnail(), names="ab")[1:] == (1, 0)  # another photo under the same name
    assert described(folder, Thumbnail())[1:] == (3, 1)


def test_a_descriptor_that_learns_nothing_reads_no_references(folder, monkeypatch):
    monkeypatch.setattr("localize.stages.descriptors.read_photo", lambda path: pytest.fail(f"{path} is read"))
    assert described(folder, Thumbnail(learns=False), wanted="")[1:] == (0, 1)
    monkeypatch.undo()
    assert described(folder, Thumbnail(learns=False))[1:] == (3, 0)
    assert described(folder, Thumbnail(learns=False), names="ab")[1:] == (0, 1)  # of no references


def test_photos_that_cannot_be_described_are_all_named(folder):
    bench = Workbench(Store(folder / "store"))
    photos = extract_features(bench, Sift(max_keypoints=5), PhotoList("photo", str(folder), images(*"abc")))
    by = learn_descriptor(bench, Thumbnail(learns=False), dataclasses.replace(photos, images=images("b")))
    (folder / "a.png").write_bytes((folder / "a.png").read_bytes()[:200])
    (folder / "c.png").write_bytes((folder / "b.png").read_bytes())
    with pytest.raises(InputError) as e:
        by.describe(bench, photos)
    problems = " ".join(e.value.problems)
    assert f"photo {folder}/a.png is damaged" in problems
    assert f"photo {folder}/c.png was replaced while the run was going on" in problems
    assert photos.digests["b.png"] in by.shelf  # what could be made is kept


def test_preflight_knows_what_a_descriptor_may_need(tmp_path):
    wrong = dataclasses.make_dataclass("Wrong", [], bases=(Thumbnail,), namespace={"needs": "photos"}, frozen=True)
    with pytest.raises(InputError, match=r"Wrong.needs is 'photos', but must be one of: features, pixels"):
        check_parts({"retrieval": wrong()}, Store(tmp_path), str(tmp_path))


def test_a_map_with_a_pixel_descriptor_answers_a_photo(scene, finished, tmp_path):
    localizer = build_map(scene, tmp_path / "map", store=finished[0], feature=FEATURE, retrieval=Thumbnail())
    photo = read_photo(pathlib.Path(scene.image_root) / scene.references.names[2])
    frames = localizer._frames(photo, None, Image("", scene.references.images[2].camera))
    assert frames[0] == 2  # the photo itself
    assert pickle.loads(pickle.dumps(localizer.use.retrieval)) == Thumbnail()
