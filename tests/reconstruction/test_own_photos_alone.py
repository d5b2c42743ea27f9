"""Photos without poses: cameras from EXIF, poses by structure from motion, the frame from GPS or a distance."""

import dataclasses
import pathlib

import numpy as np
import PIL.Image
import pytest

from localize.datasets.photos import Photos
from localize.geometry.colmap import pycolmap
from localize.geometry.georeference import extent, georeferenced, levelled, similarity_between, up_direction
from localize.geometry.poses import composed, pose_error
from localize.io.exif import taken
from localize.pipelines import parallel_search
from localize.reconstruction.sfm import StructureFromMotion
from localize.roles import Components
from localize.stages import Workbench, place_references
from localize.stages.costs import estimate
from localize.stages.reconstruction import reconstruct
from localize.store import Store
from localize.types import InputError, Pose
from tests.conftest import FEATURE
from tests.generated_photos import textured

USE = Components(feature=FEATURE)
HOME = 48.137, 11.575, 500.0  # degrees, m
WRONG = ("off_a.png", "off_b.png", "off_c.png")


def exif_of(size_35mm: float = 0, model: str = "A", orientation: int = 1, position=None) -> PIL.Image.Exif:
    exif = PIL.Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0112] = "Maker", model, orientation
    if size_35mm:
        exif.get_ifd(0x8769)[0xA405] = round(size_35mm)
    if position is not None:
        gps = exif.get_ifd(0x8825)
        for tag, value, letters in ((1, position[0], "NS"), (3, position[1], "EW")):
            minutes = abs(value) % 1 * 60
            gps[tag], gps[tag + 1] = letters[int(value < 0)], (int(abs(value)), int(minutes), float(minutes % 1 * 60))
        gps[5], gps[6] = bytes([int(position[2] < 0)]), float(abs(position[2]))
    return exif


@pytest.fixture(scope="module")
def folder(scene, tmp_path_factory) -> tuple[pathlib.Path, dict]:
    """The small scene as people would have taken it, and the true poses.

    Device B has photos of 0.8 times the size, two photos are portraits that were turned upright when they were stored;
    all say where they were taken, but three of them are wrong by hundreds of metres. One shows something else.
    """
    root, truth = tmp_path_factory.mktemp("photos"), {}
    images = [*scene.references, *scene.ground_truth]
    centers = np.array([image.pose.center for image in images])
    up = up_direction(np.array([i.pose.rotation for i in images]), np.tile((0, 1), (len(images), 1)))
    level = levelled(up)
    metres = 30 * centers @ level.T
    quarter = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])  # of the camera, clockwise in the picture
    rng = np.random.default_rng(0)
    for i, image in enumerate(images):
        photo = PIL.Image.open(pathlib.Path(scene.image_root) / image.name).convert("RGB")
        pose, model, focal_35mm = image.pose, "A", 1200 / np.hypot(640, 480) * np.hypot(36, 24)
        name = WRONG[i - 3] if 3 <= i < 6 else f"{i:02}.png"
        if i in (6, 7):
            photo, pose = photo.transpose(PIL.Image.Transpose.ROTATE_270), composed(Pose(quarter, np.zeros(3)), pose)
        elif i in (8, 9):
            photo, model = photo.resize((512, 384), PIL.Image.Resampling.LANCZOS), "B"
        there = metres[i] + (400 * rng.normal(size=3) if 3 <= i < 6 else 0)
        position = pycolmap.GPSTransform().enu_to_ellipsoid(there[None], *HOME)[0]
        photo.save(root / name, exif=exif_of(focal_35mm, model, position=position))
        truth[name] = Pose(pose.rotation @ level.T, -pose.rotation @ level.T @ (30 * level @ pose.center))
    PIL.Image.fromarray(textured(5, (640, 480))).save(root / "another_place.png")
    return root, truth


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


def errors(images, truth) -> np.ndarray:
    """(N, 2): distance in % of the extent and angle, after the best similarity."""
    centers = [np.array([of(image).center for image in images]) for of in (lambda i: i.pose, lambda i: truth[i.name])]
    frame = similarity_between(*centers)
    found = np.array([pose_error(frame.of_pose(image.pose), truth[image.name]) for image in images])
    return found / (extent(centers[1]) / 100, 1)


def test_photos_become_a_metric_map_in_which_north_is_north(folder, store, caplog):
    root, truth = folder
    scene = Photos(str(root)).load()
    assert len({image.taken.device for image in scene.references}) == 4  # A, A upright, B, and one without EXIF
    with caplog.at_level("INFO"):
        placed = place_references(Workbench(store), USE, scene)
    assert set(placed.references.names) == truth.keys()
    assert "another_place.png is left out: no other photo shows the same" in " ".join(placed.notes)
    assert (errors(placed.references, truth) < (0.3, 0.2)).all()
    assert (placed.unit, placed.thresholds[0]) == ("m", (0.25, 2.0))
    assert all(name in caplog.text for name in WRONG)
    apart = np.array([image.pose.center - truth[image.name].center for image in placed.references])
    assert np.abs(apart - np.median(apart, 0)).max() < 1  # m of 420: the median of the positions is the origin
    assert max(pose_error(image.pose, truth[image.name])[1] for image in placed.references) < 0.5
    focal = {image.camera.width: image.camera.focal_px for image in placed.references}
    assert focal[640] == pytest.approx(1200, rel=0.01)
    assert focal[480] == pytest.approx(1200, rel=0.01)
    assert focal[512] == pytest.approx(960, rel=0.01)


def test_the_result_does_not_depend_on_the_cores(folder, store, monkeypatch):
    scene, found = Photos(str(folder[0])).load(), []
    for cores in (1, 3):
        monkeypatch.setattr("localize.reconstruction.sfm.available_cores", lambda cores=cores: cores)
        use = dataclasses.replace(USE, reconstruction=StructureFromMotion(max_error_px=4.5 + 1e-9 * cores))  # anew
        found.append(reconstruct(Workbench(store), use, scene, scene.references)[1].map)
    assert np.array_equal(*(m.points for m in found))
    assert all(
        np.array_equal(a.pose.rotation, b.pose.rotation) for a, b in zip(*(m.images for m in found), strict=True)
    )


def test_held_out_photos_score_the_map_that_was_made_without_them(folder, store, tmp_path):
    scene = Photos(str(folder[0]), gps=False, holdout=4).load()
    assert scene.ground_truth is None
    assert all(image.pose is None for image in scene.references)
    report = parallel_search.run(scene, store, output=str(tmp_path), feature=FEATURE)
    assert report.unit == "units"
    assert report.thresholds[0][0] == (0.1, 0.25)  # % of the extent
    assert report.recall[0, 1] == 1
    assert len(report.query_names) == len(scene.queries) - scene.queries.names.count("another_place.png")
    assert (tmp_path / "reconstruction" / "images.bin").is_file()
    assert "come from a reconstruction of all photos together" in (tmp_path / "summary.txt").read_text()


def test_the_costs_of_a_reconstruction_are_told(folder, store):
    """One that is not in the store yet costs something; one that is costs nothing."""
    scene = Photos(str(folder[0])).load()
    place_references(Workbench(store), USE, scene)
    other = dataclasses.replace(USE, reconstruction=StructureFromMotion(seed=5))
    for use, stored in ((USE, 1), (other, 0)):
        told = {stage.name: stage for stage in estimate(Workbench(store), use, scene, queries=False).stages}
        assert (told["reconstruction"].items, told["reconstruction"].stored) == (1, stored)
        assert (told["reconstruction"].seconds > 0) == (not stored)


def test_a_distance_gives_the_scale(folder, store):
    root, truth = folder
    pair = sorted(truth)[:2]
    length = float(np.linalg.norm(truth[pair[0]].center - truth[pair[1]].center))
    placed = place_references(Workbench(store), USE, Photos(str(root), distance=[*pair, length], unit="cm").load())
    assert (placed.unit, placed.thresholds[0]) == ("cm", (25.0, 2.0))
    apart = np.subtract(*(placed.references.by_name[name].pose.center for name in pair))
    assert np.linalg.norm(apart) == pytest.approx(length)


def test_photos_of_nothing_in_common_are_no_map(tmp_path):
    for i in range(3):
        PIL.Image.fromarray(textured(i, (160, 120))).save(tmp_path / f"{i}.png")
    with pytest.raises(InputError, match="structure from motion found no model of 3 photos"):
        place_references(Workbench(Store(tmp_path / "store")), USE, Photos(str(tmp_path)).load())


def test_what_a_folder_of_photos_lacks_is_said_at_once(tmp_path):
    with pytest.raises(InputError) as refused:
        Photos(str(tmp_path / "no"), str(tmp_path / "list.txt"), distance=["a.jpg", "a.jpg", 2]).load()
    said = " ".join(refused.value.problems)
    for words in (
        "dataset.references must be",
        "dataset.queries must be",
        "there is no such photo",
        "names a.jpg twice",
    ):
        assert words in said
    for name in ("a.png", "b.png", "c.png"):
        PIL.Image.fromarray(textured(0, (64, 48))).save(tmp_path / name)
    with pytest.raises(InputError, match=r"a\.png, which dataset\.holdout makes a query"):
        Photos(str(tmp_path), distance=["a.png", "b.png", 2], holdout=3).load()
    with pytest.raises(InputError, match="are the same folder"):
        Photos(str(tmp_path), str(tmp_path)).load()
    for fields in ({"distance": [1, 2, 3]}, {"distance": ["a", "b", 0]}, {"unit": "m"}, {"cameras": "some"}):
        with pytest.raises(InputError, match=r"dataset\.|cameras"):
            Photos(str(tmp_path), **fields)


def test_queries_in_a_folder_of_the_references_are_none(tmp_path):
    for name in ("a.png", "b.png", "queries/q.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        PIL.Image.fromarray(textured(0, (64, 48))).save(tmp_path / name)
    scene = Photos(str(tmp_path), str(tmp_path / "queries"), cameras="each").load()
    assert (scene.references.names, scene.queries.names) == (("a.png", "b.png"), ("q.png",))
    assert len({image.taken.device for image in scene.references}) == 2


def test_exif_says_device_place_and_which_way_is_down(tmp_path):
    def of(exif):
        PIL.Image.new("RGB", (64, 48)).save(tmp_path / "photo.jpg", exif=exif)
        with PIL.Image.open(tmp_path / "photo.jpg") as photo:
            return taken(photo)

    there = of(exif_of(28, "B", 6, (-33.5, -70.25, -12.5)))
    assert there.device == "Maker B 0 28 0 64x48"
    assert there.down == (1, 0)
    np.testing.assert_allclose(there.position, [-33.5, -70.25, -12.5], atol=1e-6)
    assert of(exif_of(position=(0.0, 0.0, 0.0))).position is None
    assert of(PIL.Image.Exif()).device == "64x48"
    broken = exif_of()
    broken.get_ifd(0x8825)[2] = (48, 8)
    assert of(broken).position is None


def test_up_is_found_where_some_photos_are_turned():
    """Cameras around a square look ahead, up and down; two of twelve are rolled, one of which EXIF tells."""
    rng, rotations, down = np.random.default_rng(0), [], []
    tilt = levelled(np.array([0.3, -0.2, 0.9]) / np.linalg.norm([0.3, -0.2, 0.9]))
    for i in range(12):
        yaw, pitch = np.radians(30 * i), np.radians(rng.uniform(-30, 30))
        forward = np.array([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), np.sin(pitch)])
        right = np.cross(forward, [0, 0, 1])
        R = np.array([right / np.linalg.norm(right), np.cross(forward, right / np.linalg.norm(right)), forward])
        roll = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]) if i in (3, 7) else np.eye(3)
        rotations.append(roll @ R @ tilt)
        down.append((-1, 0) if i == 3 else (0, 1))
    up = up_direction(np.array(rotations), np.array(down))
    assert np.degrees(np.arccos(up @ tilt.T @ [0, 0, 1])) < 1


def test_a_third_of_the_positions_may_be_wrong():
    rng = np.random.default_rng(1)
    centers = rng.uniform(-5, 5, (12, 3)) * (1, 1, 0.1)
    c, s = np.cos(2.0), np.sin(2.0)
    metres = 7.5 * centers @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]).T + (100, -50, 3)
    metres[:4] += rng.uniform(-300, 300, (4, 3))
    found = georeferenced(centers, metres + 0.1 * rng.normal(size=metres.shape))
    assert found.agreeing.tolist() == [False] * 4 + [True] * 8
    assert found.similarity.scale == pytest.approx(7.5, rel=0.01)
    np.testing.assert_allclose(found.similarity.of_points(centers)[4:], metres[4:], atol=0.5)
    assert georeferenced(centers[:2], metres[:2]) is None
    assert georeferenced(centers, np.tile(metres[:1], (12, 1))) is None  # as where the last fix is kept indoors
