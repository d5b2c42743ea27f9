"""HEIC photos by pillow-heif: turned as their container says, whatever EXIF says, with the focal length of EXIF."""

import numpy as np
import PIL.Image
import pytest

from localize.io.exif import camera_of_photo
from localize.io.images import check_photo, list_photos, read_photo
from localize.types import Camera

pillow_heif = pytest.importorskip("pillow_heif", reason="pip install pillow-heif")


@pytest.fixture(autouse=True)
def as_before(monkeypatch):
    """Pillow opens HEIC after the test only if it did before."""
    monkeypatch.setattr(PIL.Image, "ID", list(PIL.Image.ID))
    monkeypatch.setattr(PIL.Image, "OPEN", dict(PIL.Image.OPEN))


def phones_photo(path):
    """100 x 60 px as taken, white in the upper left, EXIF orientation 6 (to be turned clockwise), 26 mm."""
    grey = np.zeros((60, 100, 3), np.uint8)
    grey[:30, :50] = 255
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769)[0xA405] = 26
    photo = PIL.Image.fromarray(grey)
    photo.info["exif"] = exif.tobytes()
    pillow_heif.register_heif_opener()
    photo.save(path, quality=95)
    assert b"irot" in path.read_bytes()  # its container turns it, as phones' do
    return path


def test_a_phones_photo_is_upright(tmp_path):
    path = phones_photo(tmp_path / "IMG_1.HEIC")
    pixels = read_photo(path, grey=True)
    assert pixels.shape == (100, 60)
    assert pixels[:40, 40:].mean() > 250
    assert pixels[60:].mean() < 5
    camera, prior = camera_of_photo(path)
    assert (camera.width, camera.height, prior.focal) == (60, 100, "guessed")
    assert camera.focal_px == pytest.approx(26 / 43.2666 * np.hypot(60, 100), rel=1e-4)
    assert check_photo(path, camera) == (None, None)  # nothing is left to turn
    assert list_photos(tmp_path) == ["IMG_1.HEIC"]


def test_pixels_that_the_container_does_not_turn_stay(tmp_path):
    path = tmp_path / "a.heic"
    photo = PIL.Image.fromarray(np.full((60, 100, 3), 255, np.uint8))
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    pillow_heif.register_heif_opener()
    photo.save(path, exif=exif)
    assert b"irot" not in path.read_bytes()
    assert read_photo(path).shape == (60, 100, 3)
    assert check_photo(path, Camera("SIMPLE_PINHOLE", 100, 60, [90, 50, 30])) == (None, None)


def test_a_damaged_one_is_named(tmp_path):
    path = phones_photo(tmp_path / "a.heic")
    path.write_bytes(path.read_bytes()[:300])
    problem, _ = check_photo(path, Camera("SIMPLE_PINHOLE", 60, 100, [90, 30, 50]))
    assert "a.heic cannot be opened" in problem
