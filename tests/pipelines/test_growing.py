"""Maps that grow: photos without poses become references, references go, two maps become one."""

import dataclasses
import json
import pathlib
import shutil

import numpy as np
import PIL.Image
import pytest

import localize.localizer
from localize import ImageList, InputError, Localizer, Store, build_map, extend_map, join_maps
from localize.geometry.poses import pose_error, rotation_from_qvec
from localize.geometry.similarity import Similarity
from localize.search.prior import Frames
from localize.types.scenes import NO_UNIT
from tests.conftest import FEATURE

USE = {"feature": FEATURE, "search": Frames()}
OTHER = Similarity(0.4, rotation_from_qvec([0.9, 0.1, -0.4, 0.2]), np.array([3.0, -1, 7]))


def part(scene, images, **fields):
    return dataclasses.replace(scene, references=ImageList(images), **fields)


@pytest.fixture(scope="module")
def store(warm_store, tmp_path_factory):
    """One that holds the photos' features, and nothing that was made of them."""
    root = tmp_path_factory.mktemp("growing") / "store"
    shutil.copytree(pathlib.Path(warm_store) / "features", root / "features")
    return Store(root)


@pytest.fixture(scope="module")
def photos(scene, tmp_path_factory):
    """A copy of the photos, as the scene's own are others' too."""
    return shutil.copytree(scene.image_root, tmp_path_factory.mktemp("photos") / "old")


@pytest.fixture(scope="module")
def old(scene, photos, store, tmp_path_factory):
    """The folder of a map of four of the seven references, of unknown scale."""
    folder = tmp_path_factory.mktemp("maps") / "old"
    build_map(
        part(scene, scene.references.images[::2], image_root=str(photos), unit=NO_UNIT), folder, store=store, **USE
    )
    return folder


@pytest.fixture(scope="module")
def new(scene, tmp_path_factory):
    """New photos: three that the map is to have, a copy of an old one, one of elsewhere, one that cannot be read."""
    folder, root = tmp_path_factory.mktemp("new") / "new", pathlib.Path(scene.image_root)
    folder.mkdir()
    for i, image in enumerate(scene.references.images[1::2]):
        shutil.copy(root / image.name, folder / (scene.references.names[0] if i == 0 else image.name))
    shutil.copy(root / scene.references.names[2], folder / "copy.png")
    noise = np.random.default_rng(0).integers(0, 255, (48, 64), np.uint8)
    PIL.Image.fromarray(noise).resize((640, 480)).save(folder / "elsewhere.png")
    (folder / "torn.png").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="module")
def grown(old, new, store, tmp_path_factory):
    return extend_map(old, new, tmp_path_factory.mktemp("grown") / "map", store=store)


def test_photos_without_poses_become_references(scene, old, new, grown):
    known, names = scene.references.images, scene.references.names
    renamed = f"new/{names[0]}"  # as the map has another photo of this name
    assert set(grown.added) == {renamed, names[3], names[5]}
    for name, truth in zip((renamed, names[3], names[5]), known[1::2], strict=True):
        assert pose_error(grown.added[name], truth.pose) < (0.02, 0.2)
    before, after = Localizer.load(old), Localizer.load(grown.folder)
    for image in before.references:
        same = after.references.by_name[image.name]
        np.testing.assert_array_equal(same.pose.rotation, image.pose.rotation)
        np.testing.assert_array_equal(same.pose.translation, image.pose.translation)
    assert grown.points == (len(before.rows.points), len(after.rows.points))
    assert grown.points[1] > grown.points[0]
    assert grown.figures["same_photos"] == {"copy.png": names[2]}
    assert grown.left_out.keys() == {"elsewhere.png", "torn.png"}
    assert "confidence" in grown.left_out["elsewhere.png"] or "matches" in grown.left_out["elsewhere.png"]
    assert "torn.png" in grown.left_out["torn.png"]
    query = scene.ground_truth.images[1]
    estimate = after.localize(pathlib.Path(scene.image_root) / query.name, query.camera)
    assert pose_error(estimate.pose, query.pose) < (0.02, 0.2)
    assert after.sources.unit == NO_UNIT


def test_nothing_old_is_computed_twice(grown):
    pairs = [stage for stage in grown.stages if stage.name == "pair_matches"]
    assert (pairs[0].computed, pairs[0].reused) == (0, 6)  # of the four old ones with each other
    assert (pairs[1].computed, pairs[1].reused) == (15, 6)
    assert all(stage.computed == 0 for stage in grown.stages if stage.name == "reference_features")


def test_a_map_grows_in_its_place_or_stays_as_it_is(old, new, store, tmp_path, monkeypatch):
    folder = shutil.copytree(old, tmp_path / "map")
    write = localize.localizer.write_map

    def interrupted(*given):
        write(*given)
        raise KeyboardInterrupt

    monkeypatch.setattr(localize.localizer, "write_map", interrupted)
    with pytest.raises(KeyboardInterrupt):
        extend_map(folder, new, folder, store=store)
    assert len(Localizer.load(folder).references) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["map"]
    monkeypatch.undo()
    assert len(extend_map(folder, new, folder, store=store).localizer.references) == 7
    again = extend_map(folder, new, folder, store=store)  # all are there by now
    assert len(Localizer.load(folder).references) == 7
    assert again.added == {}
    assert len(again.figures["same_photos"]) == 4


def test_references_are_removed(grown, store, tmp_path, run_cli):
    name = next(iter(grown.added))
    command = "+pipeline=extend_map", f"pipeline.map={grown.folder}", f"store.root={store.root}", "workers=1"
    code, said = run_cli(*command, f"pipeline.remove=[{name}]")
    assert code == 0
    assert "0 references were added, 1 removed: 6 references instead of 7" in said
    assert name not in Localizer.load(tmp_path / "run" / "map").references.names
    assert json.loads((tmp_path / "run" / "results.json").read_text())["removed"] == [name]
    code, said = run_cli(*command, "pipeline.remove=[nobody.jpg]")
    assert code == 2
    assert "has no reference nobody.jpg" in said
    code, said = run_cli(*command)
    assert code == 2
    assert "nothing is to be done" in said


def test_photos_that_were_changed_or_moved_are_named_or_found(old, new, photos, store, tmp_path):
    name = Localizer.load(old).references.names[1]
    moved = shutil.copytree(photos, tmp_path / "moved")
    own = pathlib.Path(photos, name)
    data = own.read_bytes()
    own.unlink()
    try:
        with pytest.raises(InputError, match=f"1 are gone, such as .*{name}: put them back"):
            extend_map(old, new, tmp_path / "map", store=store)
        assert len(extend_map(old, new, tmp_path / "map", store=store, image_root=str(moved)).added) == 3
        assert len(extend_map(old, None, tmp_path / "less", store=store, remove=[name]).localizer.references) == 3
        own.write_bytes(data + b" ")
        with pytest.raises(InputError, match=f"1 were changed, such as .*{name}"):
            extend_map(old, new, tmp_path / "other", store=store)
    finally:
        own.write_bytes(data)
    assert not (tmp_path / "other").exists()


def test_a_map_that_does_not_know_its_photos_answers_but_does_not_grow(scene, old, new, store, tmp_path):
    dataclasses.replace(Localizer.load(old), sources=None).save(tmp_path / "before")
    query = scene.ground_truth.images[1]
    estimate = Localizer.load(tmp_path / "before").localize(pathlib.Path(scene.image_root) / query.name, query.camera)
    assert pose_error(estimate.pose, query.pose) < (0.02, 0.2)
    with pytest.raises(InputError, match="does not know where its photos lie"):
        extend_map(tmp_path / "before", new, tmp_path / "map", store=store)


def second(scene, photos, store, folder, images, poses=None, unit=NO_UNIT):
    """A map of some references in another frame."""
    poses = poses or [OTHER.of_pose(image.pose) for image in images]
    moved = [dataclasses.replace(image, pose=pose) for image, pose in zip(images, poses, strict=True)]
    build_map(part(scene, moved, image_root=str(photos), unit=unit), folder, store=store, **USE)
    return folder


@pytest.mark.parametrize("first", [0, 1], ids=["by the same photos", "by photos that are localized"])
def test_two_maps_become_one(scene, old, photos, store, tmp_path, first):
    images = scene.references.images[1:] if first == 0 else scene.references.images[1::2]
    other = second(scene, photos, store, tmp_path / "other", images)
    made = join_maps([old, other], tmp_path / "both", store=store)
    assert made.figures["similarity"]["scale"] == pytest.approx(1 / 0.4, rel=1e-9 if first == 0 else 0.01)
    assert made.added.keys() == set(scene.references.names[1::2])
    for name, pose in made.added.items():
        assert pose_error(pose, scene.references.by_name[name].pose) < ((1e-6, 1e-6) if first == 0 else (0.03, 0.3))
    assert len(Localizer.load(tmp_path / "both").references) == 7
    assert len(extend_map(tmp_path / "both", None, tmp_path / "both", store=store, remove=[name]).left_out) == 0


def test_maps_that_are_not_determined_are_not_joined(scene, old, photos, store, tmp_path):
    images = scene.references.images
    few = second(scene, photos, store, tmp_path / "few", images[:2])
    with pytest.raises(
        InputError, match=r"only 2 photos of the second map that were localized in the first, and 3 are"
    ):
        join_maps([old, few], tmp_path / "both", store=store)
    metres = second(scene, photos, store, tmp_path / "metres", images[::2], [i.pose for i in images[::2]], "m")
    feet = second(scene, photos, store, tmp_path / "feet", images, unit="m")
    with pytest.raises(
        InputError, match=r"only . agree.*both are in m; they agree if the second map is 2.5 times as large"
    ):
        join_maps([metres, feet], tmp_path / "both", store=store)
    assert not (tmp_path / "both").exists()
