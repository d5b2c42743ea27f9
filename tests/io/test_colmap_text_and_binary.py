"""COLMAP models as text and as binary: the same, or a sentence that names the line."""

import numpy as np
import pytest

from localize.geometry.colmap import camera_rays, pycolmap
from localize.io.files import whole_file, whole_folder
from localize.io.models.colmap import read_colmap_images
from localize.types import CAMERA_MODELS, InputError

_UNUSED = "2 SIMPLE_RADIAL 640 480 600\n"  # by no image, so nobody misses its distortion


@pytest.fixture
def models(synthetic_root, tmp_path):
    """The same model as text and as binary."""
    binary = tmp_path / "binary"
    binary.mkdir()
    pycolmap.Reconstruction(str(synthetic_root / "model")).write_binary(str(binary))
    return synthetic_root / "model", binary


def test_colmap_models_agree_with_pycolmap(models):
    truth = {i.name: i for i in pycolmap.Reconstruction(str(models[1])).images.values()}
    for folder in models:
        problems = []
        images = read_colmap_images(folder, problems)
        assert not problems
        assert [i.name for i in images] == sorted(truth)
        for image in images:
            matrix = truth[image.name].cam_from_world().matrix()
            np.testing.assert_allclose(image.pose.rotation, matrix[:, :3], atol=1e-9)
            np.testing.assert_allclose(image.pose.translation, matrix[:, 3], atol=1e-9)
            np.testing.assert_allclose(image.camera.params, truth[image.name].camera.params)


def test_colmap_text_problems_name_file_and_line(models, tmp_path):
    text = (models[0] / "images.txt").read_text().splitlines()
    cameras = (models[0] / "cameras.txt").read_text()
    first = next(i for i, line in enumerate(text) if line and line[0] != "#")
    fields = text[first].split()
    text[first] = " ".join([*fields[:5], "nan", *fields[6:]])
    for row, camera in ((2, 9), (4, 3), (6, 3), (8, 4)):
        text[first + row] = text[first + row].replace(" 1 camera", f" {camera} camera")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "cameras.txt").write_text(cameras + _UNUSED + "3 MYSTERY 640 480 1 2 3\n4 EQUIRECTANGULAR 9 9 9 9\n")
    (broken / "images.txt").write_text("\n".join(text) + "\n7 0.1 0.2\n")
    problems = []
    images = read_colmap_images(broken, problems)
    assert len(images) == 5
    places = [p.split(": ")[0].rsplit("/", 1)[1] for p in problems]
    told = [f"images.txt:{first + 1}", f"images.txt:{first + 3}", "cameras.txt:6", "cameras.txt:7"]
    assert places == [*told, f"images.txt:{len(text) + 1}"]  # a bad camera once, and only if an image uses it
    for problem, word in zip(problems, ["NaN", "camera id", "MYSTERY", "perspective views", "cut off"], strict=True):
        assert word in problem


def test_every_camera_of_the_installed_colmap_is_read(tmp_path, caplog):
    """All models of the installed pycolmap but the panorama, text and binary; which of both is used is said."""
    known = {n: m for n, m in pycolmap.CameraModelId.__members__.items() if n not in ("INVALID", "EQUIRECTANGULAR")}
    made = [pycolmap.Camera.create_from_model_id(i, m, 500.0, 640, 480) for i, m in enumerate(known.values(), 1)]
    assert {c.model_name: len(c.params) for c in made} == CAMERA_MODELS
    model = pycolmap.Reconstruction()
    for camera in made:
        model.add_camera_with_trivial_rig(camera)
        image = pycolmap.Image(name=f"{camera.model_name}.jpg", camera_id=camera.camera_id, image_id=camera.camera_id)
        model.add_image_with_trivial_frame(image, pycolmap.Rigid3d())
    model.add_camera_with_trivial_rig(pycolmap.Camera(model="EQUIRECTANGULAR", width=9, height=9, params=[9, 9]))
    xy = np.array([[320.0, 240.0], [400.0, 300.0]])
    for write, told in ((model.write_text, ""), (model.write_binary, "the .bin files are used")):
        write(str(tmp_path))
        images = read_colmap_images(tmp_path, problems := [])
        assert problems == []
        assert told in caplog.text
        assert [i.camera.focal_px for i in images] == [
            c.mean_focal_length() for c in sorted(made, key=lambda c: c.model_name)
        ]
        assert all(np.isfinite(camera_rays(image.camera, xy)).all() for image in images)


def test_left_out_second_lines_are_noticed(models, tmp_path):
    """Every image has two lines; without the second, every other image would be lost without a word."""
    lines = (models[0] / "images.txt").read_text().splitlines()
    images = [line for line in lines if line.endswith(".png")]
    (tmp_path / "cameras.txt").write_text((models[0] / "cameras.txt").read_text())
    (tmp_path / "images.txt").write_text("\n\n".join(images) + "\n")  # empty second lines are fine
    problems = []
    assert len(read_colmap_images(tmp_path, problems)) == 10
    assert not problems
    (tmp_path / "images.txt").write_text("\n".join(images) + "\n")
    read_colmap_images(tmp_path, problems)
    assert "images.txt:2: expected the keypoints of image" in problems[0]
    (tmp_path / "images.txt").write_bytes(b"1 1 0 0 0 0 0 0 1 caf\xe9.png\n\n")
    with pytest.raises(InputError, match="not a text file in UTF-8"):
        read_colmap_images(tmp_path, [])


def test_cut_binary_model_is_refused(models):
    file = models[1] / "images.bin"
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(InputError, match="cut off or damaged"):
        read_colmap_images(models[1], [])


@pytest.mark.parametrize("whole", [whole_file, whole_folder])
def test_what_is_not_finished_leaves_the_old_one(tmp_path, whole):
    final = tmp_path / "x"
    for name, stopped in (("old", False), ("half", True), ("new", False)):
        try:
            with whole(final) as aside:
                (aside / "name" if whole is whole_folder else aside).write_text(name)
                if stopped:
                    raise KeyboardInterrupt
        except KeyboardInterrupt:
            name = "old"
        assert [p.name for p in tmp_path.iterdir()] == ["x"]
        assert (final / "name" if whole is whole_folder else final).read_text() == name
