"""Photos from disk: every kind of pixel, or a sentence that says why not."""

import os
import pathlib

import numpy as np
import PIL.Image
import pytest

from localize.io.exif import camera_of_photo
from localize.io.images import check_photo, read_photo
from localize.io.models.supplied import read_model
from localize.io.text import read_text
from localize.keys import file_digest
from localize.types import Camera, InputError
from localize.weights.tensors import read_tensors


def photo_with(tmp_path, mode, name="photo.png", size=(30, 20), **save):
    values = np.linspace(0, 65535 if mode == "I;16" else 255, size[0] * size[1]).reshape(size[::-1])
    photo = PIL.Image.fromarray(values.astype(np.uint16 if mode == "I;16" else np.uint8))
    photo = photo if mode in ("I;16", "L") else photo.convert(mode)
    photo.save(tmp_path / name, **save)
    return tmp_path / name


CAMERA = Camera("SIMPLE_PINHOLE", 30, 20, [30, 15, 10])


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "LA", "I;16", "1"])
def test_every_kind_of_pixel_is_read(tmp_path, mode):
    path = photo_with(tmp_path, mode)
    grey, colour = read_photo(path, grey=True), read_photo(path)
    assert (grey.shape, colour.shape, grey.dtype) == ((20, 30), (20, 30, 3), np.uint8)
    assert grey.max() > 250
    if mode != "1":
        assert 120 < grey.mean() < 135  # 16 bits are scaled, not cut
    problem, remark = check_photo(path, CAMERA)
    assert problem is None
    assert ("16 bits" in remark) if mode == "I;16" else (remark is None or "grey" in remark)


def test_exif_orientation_is_named_and_not_applied(tmp_path):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    path = photo_with(tmp_path, "RGB", "turned.jpg", exif=exif)
    assert read_photo(path).shape == (20, 30, 3)
    assert "used as stored" in check_photo(path, CAMERA)[1]
    upright = Camera("SIMPLE_PINHOLE", 20, 30, [30, 10, 15])
    assert "save it upright" in check_photo(path, upright)[0]


def test_deep_photos_are_reduced_or_refused(tmp_path):
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    row = b"\0" + struct.pack(">90H", *([65535, 32768, 0] * 30))
    header = struct.pack(">IIBBBBB", 30, 20, 16, 2, 0, 0, 0)  # 16 bits per channel, RGB
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(row * 20)) + chunk(b"IEND", b"")
    (tmp_path / "deep.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    assert "16 bits" in check_photo(tmp_path / "deep.png", CAMERA)[1]
    assert read_photo(tmp_path / "deep.png")[0, 0].tolist() == [255, 128, 0]
    for dtype in (np.float32, np.int32):
        PIL.Image.fromarray(np.ones((20, 30), dtype)).save(tmp_path / "range.tif")
        assert "32 bits per pixel" in check_photo(tmp_path / "range.tif", CAMERA)[0]
        with pytest.raises(InputError, match="32 bits per pixel"):
            read_photo(tmp_path / "range.tif")


def test_a_header_that_lies_takes_no_memory(tmp_path, monkeypatch):
    """A few kilobytes of gigapixels, a drawing that another program would draw, a pipe and a device."""
    path = tmp_path / "large.png"
    PIL.Image.new("1", (25_000, 20_000)).save(path)
    assert path.stat().st_size < 100_000
    for looked in (lambda: camera_of_photo(path), lambda: read_photo(path)):
        with pytest.raises(InputError, match="has 25000 x 20000 px, more than the 400 megapixels"):
            looked()
    with pytest.raises(InputError, match="is 30 x 20 px, but its camera is for 60 x 40 px"):
        read_photo(photo_with(tmp_path, "L", "small.png"), size=(60, 40))
    monkeypatch.setenv("LOCALIZE_MAX_MEGAPIXELS", "0.0005")
    assert "0.0005 megapixels" in check_photo(tmp_path / "small.png", CAMERA)[0]
    monkeypatch.delenv("LOCALIZE_MAX_MEGAPIXELS")
    (tmp_path / "plot.jpg").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 30 20\n%%EndComments\n")
    assert "a drawing and no photo" in check_photo(tmp_path / "plot.jpg", CAMERA)[0]
    os.mkfifo(tmp_path / "pipe.jpg")
    assert "is a named pipe and no regular file" in check_photo(tmp_path / "pipe.jpg", CAMERA)[0]
    for read in (read_photo, file_digest, read_text, lambda path: read_model(path, []), read_tensors):
        for path in (tmp_path / "pipe.jpg", pathlib.Path("/dev/zero")):
            with pytest.raises(InputError, match=r"is a (named pipe|device) and no regular file|is missing"):
                read(path)


def test_unusable_photos_are_named(tmp_path):
    path = photo_with(tmp_path, "RGB", "photo.jpg", size=(300, 200))
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(InputError, match=r"photo\.jpg is damaged"):
        read_photo(path)
    path = photo_with(tmp_path, "RGB", "photo.png", size=(300, 200))
    data = bytearray(path.read_bytes())
    data[-14] ^= 1  # of the last checksum but one
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"photo\.png is damaged"):
        read_photo(path)
    (tmp_path / "text.jpg").write_text("hello")
    assert "cannot be opened" in check_photo(tmp_path / "text.jpg", CAMERA)[0]
    assert "is missing" in check_photo(tmp_path / "nothing.jpg", CAMERA)[0]
    assert (
        "is 5 x 5 px, but its camera is for 30 x 20 px"
        in check_photo(photo_with(tmp_path, "L", size=(5, 5)), CAMERA)[0]
    )
