"""Photos from disk: every kind of pixel, or a sentence that says why not."""

import os
import pathlib
import re
import struct
import sys
import zlib

import numpy as np
import PIL.Image
import pytest
from PIL import ImageCms

from localize.io.exif import camera_of_photo
from localize.io.images import check_photo, is_deep, read_photo
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


def png_of_colours(path, values):
    """Colours of 16 bits, (H, W, 3), which Pillow cannot write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_deep_values_are_stretched_by_the_depth_they_have(tmp_path, bits):
    """In grey PNG, TIFF and PGM, and in colours, of which Pillow gives the upper bytes alone."""
    top = (1 << bits) - 1
    ramp = np.linspace(0, top, 600).reshape(20, 30).astype(np.uint16)
    paths = [tmp_path / name for name in ("a.png", "a.tif", "a.pgm")]
    for path in paths[:2]:
        PIL.Image.fromarray(ramp).save(path)
    paths[2].write_bytes(b"P5 30 20 %d\n" % top + ramp.astype(">u2").tobytes())
    paths.append(png_of_colours(tmp_path / "colours.png", np.dstack([ramp] * 3)))
    for path in paths:
        assert "16 bits per pixel" in check_photo(path, CAMERA)[1]
        assert is_deep(path)
        for grey in (False, True):
            np.testing.assert_allclose(
                read_photo(path, grey=grey).reshape(20, 30, -1)[..., 0], (ramp / top * 255).astype(int), atol=1
            )


def test_values_without_a_known_range_are_refused(tmp_path):
    for dtype in (np.float32, np.int32):
        PIL.Image.fromarray(np.ones((20, 30), dtype)).save(tmp_path / "range.tif")
        assert "32 bits per pixel" in check_photo(tmp_path / "range.tif", CAMERA)[0]
        with pytest.raises(InputError, match="32 bits per pixel"):
            read_photo(tmp_path / "range.tif")


def test_colours_of_print_and_of_measurement_are_converted(tmp_path):
    ramp = PIL.Image.merge("RGB", [PIL.Image.linear_gradient("L").resize((30, 20))] * 3)
    profile = ImageCms.createProfile
    lab = ImageCms.profileToProfile(ramp, profile("sRGB"), profile("LAB"), outputMode="LAB")
    for photo, name in ((lab, "lab.tif"), (ramp.convert("CMYK"), "cmyk.tif"), (ramp.convert("CMYK"), "cmyk.jpg")):
        photo.save(tmp_path / name)
        assert check_photo(tmp_path / name, CAMERA) == (None, None)
        for grey in (False, True):
            read = read_photo(tmp_path / name, grey=grey).reshape(20, 30, -1)[..., 0].astype(int)
            assert np.abs(read - np.asarray(ramp)[..., 0]).max() < 8


@pytest.mark.parametrize(
    ("name", "head", "sentence"),
    [
        ("a.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "is of the kind HEIC, .* `pip install pillow-heif`"),
        ("a.jpg", b"\0\0\0\x0cJXL \r\n\x87\n", "is of the kind JPEG XL, .* or save it as JPEG"),
        ("a.NEF", b"II*\0", "is a camera's raw file: develop it"),
    ],
)
def test_kinds_that_need_more_are_named_with_what_to_do(tmp_path, monkeypatch, name, head, sentence):
    PIL.Image.init()  # so that no kinds are added to the list that is taken back
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # as if it were not installed
    monkeypatch.setattr(PIL.Image, "ID", [kind for kind in PIL.Image.ID if kind != "HEIF"])
    (tmp_path / name).write_bytes(head + bytes(100))
    assert re.search(sentence, check_photo(tmp_path / name, CAMERA)[0])
    for read in (read_photo, camera_of_photo):
        with pytest.raises(InputError, match=sentence):
            read(tmp_path / name)


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
