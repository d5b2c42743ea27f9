"""Your own photos: names as people write them, folders that share names, lists that say more, photos that are gone."""

import re
import zlib

import numpy as np
import PIL.Image
import pytest

from localize.datasets.colmap import Colmap
from localize.evaluate.recall import evaluate_poses
from localize.evaluate.tables import recall_table
from localize.features.files import Files
from localize.io.models.colmap_database import write_colmap_database
from localize.mapping.imported import Imported
from localize.preflight import preflight
from localize.roles import Components
from localize.stages import Workbench, extract_features, given_keypoints, reference_photos
from localize.stages.mapping import import_map
from localize.store import Store
from localize.types import Image, InputError
from tests.conftest import FEATURE, PINHOLE

CAMERA = "PINHOLE 64 48 50 50 32 24"


class Town:
    """References r0.jpg to r4.jpg in `photos` and in the model, q.jpg wherever a test wants it."""

    def __init__(self, root):
        self.root, self.poses = root, {f"r{i}.jpg": i for i in range(5)}
        for name in self.poses:
            self.photo("photos", name)

    def photo(self, folder: str, name: str) -> None:
        path = self.root / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(zlib.crc32(f"{folder}/{name}".encode()))
        PIL.Image.fromarray(rng.integers(0, 255, (48, 64), np.uint8)).save(path)

    def dataset(self, *queries: str, truth: str | None = None, **fields) -> Colmap:
        model = self.root / "model"
        model.mkdir(exist_ok=True)
        (model / "cameras.txt").write_text("\ufeff# cameras\n\t # indented\n1\tPINHOLE\t64.0 48 50 50 32 24\n")
        lines = (f"{i} 1 0 0 0 {x} 0 0 1 {name}\n\n" for i, (name, x) in enumerate(self.poses.items(), 1))
        (model / "images.txt").write_text("".join(lines))
        (self.root / "queries.txt").write_text("".join(f"{q} {CAMERA}\n" for q in queries))
        if truth is not None:
            (self.root / "truth.txt").write_text(truth)
            fields["ground_truth"] = str(self.root / "truth.txt")
        return Colmap(str(self.root / "photos"), str(model), str(self.root / "queries.txt"), **fields)


@pytest.fixture
def town(tmp_path) -> Town:
    return Town(tmp_path)


def test_names_of_one_photo_are_one_however_they_are_written(town, caplog):
    """The model has o and two dots, the disk \u00f6, the list \u00d6: it is no reference, and its pose is the truth."""
    caplog.set_level("INFO")
    town.photo("photos", "sub/\u00f6.JPG")
    town.poses["./sub/o\u0308.jpg"] = 9
    scene = town.dataset("sub\\\u00d6.jpg").load()
    assert scene.queries.names == ("sub/\u00f6.JPG",)
    assert len(scene.references) == 5
    assert scene.ground_truth.images[0].pose.translation[0] == 9
    assert "1 images of the model, such as sub/\u00f6.JPG, are queries, so they are no references" in caplog.text


def test_in_a_folder_of_its_own_a_query_may_have_the_name_of_a_reference(town, tmp_path, caplog):
    """It is another photo, whose pose the model does not know; unless the model's lies among the queries, or a copy."""
    town.photo("asked", "r0.jpg")
    town.photo("asked", "q.jpg")
    town.poses["q.jpg"] = 7
    dataset = town.dataset("r0.jpg", "q.jpg", query_image_root=str(town.root / "asked"))
    scene = dataset.load()
    assert scene.references.names == tuple(f"r{i}.jpg" for i in range(5))
    assert [(i.name, i.pose.translation[0]) for i in scene.ground_truth] == [("q.jpg", 7)]
    assert (
        "1 queries, such as r0.jpg, have names of references: in a folder of their own, they count as other"
        in caplog.text
    )
    assert "copies" not in caplog.text
    (tmp_path / "features").mkdir()
    (tmp_path / "features" / "r0.jpg.npz").touch()
    stored = {"feature": Files(str(tmp_path / "features"))}
    with pytest.raises(InputError, match=r"1 queries have names of references, such as r0.jpg, and Files cannot tell"):
        preflight(dataset, stored, Store(tmp_path / "store"), str(tmp_path))
    (town.root / "asked" / "q.jpg").write_bytes((town.root / "photos" / "r3.jpg").read_bytes())
    dataset.load()
    assert "1 queries are copies of references, such as " in caplog.text
    (town.root / "asked" / "r0.jpg").write_bytes((town.root / "photos" / "r0.jpg").read_bytes())
    assert dataset.load().ground_truth.names == ("r0.jpg", "q.jpg")
    below = town.dataset("r1.jpg", query_image_root=str(town.root / "photos" / "..") + "/photos").load()
    assert "r1.jpg" not in below.references.by_name  # one folder, whatever it is called


def test_signs_in_names(town):
    """A photo that is there is no comment; a blank in a query's name gives its sentence."""
    town.photo("photos", "#q.jpg")
    town.photo("photos", "my q.jpg")
    truth = "#q.jpg 1 0 0 0 3 0 0\n#r0.jpg 1 0 0 0 3 0 0\na wall.jpg 1 0 0 0 3 0 0\n"
    scene = town.dataset("#q.jpg", "#gone.jpg", "  # r0.jpg", truth=truth).load()
    assert scene.queries.names == ("#q.jpg",)
    assert scene.ground_truth.images[0].pose.translation[0] == 3
    for fields in (CAMERA, "auto", ""):
        dataset = town.dataset("r0.jpg")
        (town.root / "queries.txt").write_text(f"my q.jpg {fields}\n")
        with pytest.raises(InputError, match=r"queries.txt:1: query 'my q.jpg' has a blank in its name, which result"):
            dataset.load()


def test_ground_truth_may_hold_more_than_the_queries(town, caplog):
    town.photo("photos", "q.jpg")
    truth = "".join(f"{name} 1 0 0 0 {x} 0 0\n" for name, x in {**town.poses, "./q.jpg": 8}.items())
    scene = town.dataset("q.jpg", truth=truth).load()
    assert [(i.name, i.pose.translation[0]) for i in scene.ground_truth] == [("q.jpg", 8)]
    assert "5 names, such as r0.jpg, are not in the query list: passed over" in caplog.text


def test_references_that_are_gone_are_left_out_unless_they_are_many(town, tmp_path, caplog):
    for name in ("r1.jpg", "r3.jpg"):
        (town.root / "photos" / name).unlink()
    scene = town.dataset().load()
    assert "2 of 5 reference photos, such as r1.jpg, are missing" in caplog.text
    bench = Workbench(Store(tmp_path / "store"))
    found = extract_features(bench, FEATURE, reference_photos(scene))
    assert found.images.names == ("r0.jpg", "r2.jpg", "r4.jpg")
    assert sorted(bench.unreadable) == [f"{town.root}/photos/{name}" for name in ("r1.jpg", "r3.jpg")]
    (town.root / "photos" / "r0.jpg").unlink()
    with pytest.raises(InputError) as told:
        town.dataset().load()
    assert len(told.value.problems) == 3


@pytest.mark.parametrize(
    ("unit", "header"),
    [
        (None, "0.25 units / 2 deg  0.5 units / 5 deg  5 units / 10 deg  median units"),
        ("mm", "250 mm / 2 deg  500 mm / 5 deg  5000 mm / 10 deg  median mm"),
        ("m", "0.25 m / 2 deg  0.5 m / 5 deg  5 m / 10 deg  median cm"),
    ],
)
def test_lengths_are_said_in_the_unit_of_the_model(town, unit, header):
    town.photo("photos", "q.jpg")
    scene = town.dataset("q.jpg", truth="q.jpg 1 0 0 0 0 0 0\n", unit=unit).load()
    off = Image("q.jpg", PINHOLE, scene.references.images[4].pose)  # by 4
    table = recall_table(evaluate_poses({"q.jpg": off.pose}, scene))
    assert header in table
    assert re.search(r" (4|400\.00) +0\.000 ", table.splitlines()[2])
    with pytest.raises(InputError, match="must be one word"):
        town.dataset(unit="a foot")


def test_a_model_comes_with_its_database(town, tmp_path):
    """Of the keypoints that the model counts, those that see a point are described, and the map counts them anew."""
    images = [Image(name, PINHOLE) for name in town.poses]
    keypoints = {name: np.float32([[x, 2, 3, 0.5], [20, 9, 2, 0], [x, 7, 4, 1]]) for name, x in town.poses.items()}
    write_colmap_database(tmp_path / "database.db", images, keypoints)
    scene, model, use = town.dataset(database=str(tmp_path / "database.db")).load(), town.root / "model", Imported()
    lines = (model / "images.txt").read_text().split("\n")
    lines[3], lines[9] = "1 2 5 20 9 -1 1 7 6", "4 2 -1 20 9 6 4 7 5"  # of r1 keypoints 0 and 2, of r4 1 and 2
    (model / "images.txt").write_text("\n".join(lines))
    (model / "points3D.txt").write_text("5 0 0 1 0 0 0 1 2 0 5 2\n6 0 0 2 0 0 0 1 2 2 5 1\n")

    bench = Workbench(Store(tmp_path / "store"))
    given = given_keypoints(bench, Components(feature=FEATURE, mapping=use), scene)
    assert [part.tolist() for part in given.of("r4.jpg").read()] == [[[20, 9], [4, 7]], [2, 4], [0, 1]]
    photos = extract_features(bench, FEATURE, reference_photos(scene), given)
    assert [len(photos.features[name]) for name in photos.images.names] == [0, 2, 0, 0, 2]
    points, _ = import_map(bench, use, scene.supplied, photos)
    seen = zip(points.image, points.keypoint, strict=True)
    at = [photos.features[points.images.names[i]].keypoints[k].tolist() for i, k in seen]
    assert at == [[1, 2], [4, 7], [1, 7], [20, 9]]
    with pytest.raises(InputError, match="is no SQLite file"):
        town.dataset(database=str(tmp_path / "queries.txt")).load()
