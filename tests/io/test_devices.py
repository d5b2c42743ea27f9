"""The camera of a photo: one of a map's, or its own EXIF's."""

import PIL.Image
import pytest

from localize.io.devices import KnownCameras
from localize.types import Camera, InputError

PHONE, OTHER = Camera("PINHOLE", 64, 48, [50.0, 50, 32, 24]), Camera("PINHOLE", 64, 48, [70.0, 70, 32, 24])


def photo(path, model: str | None, focal_35mm: int | None = None, size=(64, 48)):
    picture, exif = PIL.Image.new("RGB", size), PIL.Image.Exif()
    if model:
        exif[0x0110] = model
    if focal_35mm:
        exif.get_ifd(0x8769)[0xA405] = focal_35mm
    picture.save(path, exif=exif)
    return path


def test_a_camera_is_taken_from_photos_of_its_size_and_device(tmp_path):
    known = KnownCameras([
        (PHONE, photo(tmp_path / "a.jpg", "phone")),
        (PHONE, photo(tmp_path / "b.jpg", "phone")),
        (PHONE, photo(tmp_path / "c.jpg", "zoom")),
        (OTHER, photo(tmp_path / "d.jpg", "zoom")),
    ])  # fmt: skip
    same = known.of(photo(tmp_path / "1.jpg", "phone"))
    assert (same.camera, same.prior, same.source) == (PHONE, None, "a camera of the map")
    assert known.of(photo(tmp_path / "2.jpg", "zoom")).prior.focal == "guessed"  # as it has several
    exif = known.of(photo(tmp_path / "3.jpg", "camera", 35))
    assert (exif.prior.focal, exif.source) == ("guessed", "EXIF")
    assert exif.camera.focal_px == pytest.approx(35 / 43.27 * 80, rel=1e-3)
    larger = known.of(photo(tmp_path / "4.jpg", "phone", size=(128, 96)))
    assert (larger.prior.focal, larger.source) == ("unknown", "nothing")
    unnamed = known.of(photo(tmp_path / "5.jpg", None))
    assert unnamed.source == "nothing"
    assert unnamed.lens == ""  # it shares its lens with nobody
    with pytest.raises(InputError, match=r"6\.jpg is missing"):
        known.of(tmp_path / "6.jpg")
