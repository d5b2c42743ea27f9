"""Focal lengths out of EXIF, by hand, and the cameras of queries that bring none."""

import numpy as np
import PIL.Image
import pytest

from localize.datasets.colmap import Colmap
from localize.io.exif import camera_of_photo


def photo(path, size=(400, 300), **tags):
    exif = PIL.Image.Exif()
    names = {"mm": 0x920A, "film": 0xA405, "per": 0xA20E, "unit": 0xA210, "taken": 0xA002}
    exif.get_ifd(0x8769).update({names[n]: v for n, v in tags.items()})
    PIL.Image.fromarray(np.zeros((size[1], size[0], 3), np.uint8)).save(path, exif=exif)
    return path


@pytest.mark.parametrize(
    ("tags", "focal_px"),
    [
        ({"film": 26}, 26 / 43.2666 * 500),  # by the diagonals: 400 x 300 px has 500 px
        ({"mm": 8.0, "per": 2540.0, "unit": 2}, 8 * 100),
        ({"mm": 8.0, "per": 10000.0, "unit": 3, "taken": 4000}, 8 * 1000 / 10),  # taken ten times as large
        ({"mm": 8.0}, None),
        ({"film": 0}, None),
        ({"film": 65535}, None),
        ({}, None),
    ],
)
def test_focal_length(tmp_path, tags, focal_px):
    camera, prior = camera_of_photo(photo(tmp_path / "a.jpg", **tags))
    assert (camera.model, camera.width, camera.height) == ("SIMPLE_RADIAL", 400, 300)
    assert prior.focal == ("unknown" if focal_px is None else "guessed")
    assert camera.focal_px == pytest.approx(480 if focal_px is None else focal_px, rel=1e-4)


def test_turned_photos_count_their_pixels_as_stored(tmp_path):
    lying, standing = (camera_of_photo(photo(tmp_path / "a.jpg", s, film=26))[0] for s in ((400, 300), (300, 400)))
    assert lying.focal_px == standing.focal_px


def test_queries_without_intrinsics(scene, synthetic_root, tmp_path):
    first, second = scene.queries.names[:2]
    (tmp_path / "queries.txt").write_text(f"{first}\n{second} auto\n")
    own = Colmap(str(synthetic_root / "images"), str(synthetic_root / "model"), str(tmp_path / "queries.txt"))
    queries = own.load().queries
    assert [q.prior.focal for q in queries] == ["unknown", "unknown"]
    camera = queries.images[0].camera
    assert camera.focal_px == 1.2 * max(camera.width, camera.height)
