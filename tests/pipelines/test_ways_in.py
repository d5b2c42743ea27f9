"""Frames of a video as photos, query lists for folders, and the chain on what hloc left."""

import itertools
import os
import sys

import numpy as np
import PIL.Image
import pytest
import scipy.ndimage

from localize.datasets.colmap import Colmap
from localize.io.given.hloc import file_with
from localize.io.text import read_query_list
from localize.io.video import Video, movement
from localize.pipelines.exchange import export_hloc, frames_from_video, write_queries
from localize.types import InputError
from tests.conftest import FEATURE

WIDE = scipy.ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(240, 1000)), 3)
WIDE = np.interp(WIDE, (WIDE.min(), WIDE.max()), (0, 255))


def video(path, lefts, *, blurred=(), noise=3.0, size=(320, 240)):
    """Windows of a wide picture, one after another at 10 frames a second."""
    av = pytest.importorskip("av", reason="pip install av")
    rng = np.random.default_rng(1)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = *size, "yuv420p", 4_000_000
        for number, left in enumerate(lefts):
            grey = WIDE[: size[1], left : left + size[0]]
            grey = scipy.ndimage.gaussian_filter1d(grey, 6, axis=1) if number in blurred else grey
            grey = (grey + rng.normal(0, noise, grey.shape)).clip(0, 255).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(np.repeat(grey[..., None], 3, 2), format="rgb24")
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return str(path)


def test_frames_of_a_video_are_moved_and_sharp(tmp_path):
    """Ten frames still, then 8 px a frame, every second one blurred, then still again."""
    lefts = [0] * 10 + [8 * i for i in range(1, 41)] + [320] * 10
    path = video(tmp_path / "a walk.mp4", lefts, blurred=range(1, 60, 2))
    said = frames_from_video.run(video=path, folder=str(tmp_path / "photos"))
    names = sorted(p.name for p in (tmp_path / "photos").iterdir())
    times = [int(name.removesuffix(".jpg").rpartition("_")[2]) for name in names]
    assert said.startswith(f"{len(names)} photos, a_walk_{times[0]:08d}.jpg to ")
    assert 7 <= len(times) <= 11  # 320 px in steps of at least 32
    assert not any(time // 100 % 2 for time in times)  # no blurred one
    places = [lefts[time // 100] for time in times]
    assert all(32 <= b - a <= 72 for a, b in itertools.pairwise(places))
    with PIL.Image.open(tmp_path / "photos" / names[-1]) as photo:
        assert (photo.format, photo.size) == ("JPEG", (320, 240))
        assert np.abs(np.asarray(photo.convert("L"), float) - WIDE[:, places[-1] :][:, :320]).mean() < 8
    with pytest.raises(InputError, match=r"photos is not empty: name a new folder"):
        frames_from_video.run(video=path, folder=str(tmp_path / "photos"))


def test_movement_is_a_share_of_the_longer_side():
    picture = lambda left: WIDE[:, left : left + 320].astype(np.float32)  # noqa: E731
    assert movement(picture(0), picture(0)) == 0
    assert movement(picture(0), picture(16)) == pytest.approx(0.05, abs=0.004)
    assert movement(picture(0), 0.5 * picture(0) + 40) == 0  # other light
    assert movement(picture(0), picture(600)) == np.inf
    rng = np.random.default_rng(2)
    assert movement(*(100 + rng.normal(0, 1, (240, 320)).astype(np.float32) for _ in range(2))) == 0  # a blank wall


def test_what_is_no_video_is_named(tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"video .*gone.mp4 is missing"):
        Video(tmp_path / "gone.mp4")
    (tmp_path / "a.mp4").write_text("no video")
    pytest.importorskip("av", reason="pip install av")
    with pytest.raises(InputError, match=r"a.mp4 is no video that can be read"):
        frames_from_video.run(video=str(tmp_path / "a.mp4"), folder=str(tmp_path / "photos"))
    assert not (tmp_path / "photos").exists()
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(InputError, match=r"PyAV, which reads videos, is not installed: pip install av"):
        Video(tmp_path / "a.mp4")


def test_a_video_that_is_cut_off_gives_what_it_has(tmp_path):
    path = tmp_path / "a.avi"
    video(path, range(0, 640, 16))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    said = frames_from_video.run(video=str(path), folder=str(tmp_path / "photos"))
    assert 2 < len(list((tmp_path / "photos").iterdir())) < 12
    assert "photos, a_00000" in said


def test_query_lists(scene, synthetic_root, tmp_path):
    """One photo of the model's size, one with a focal length in its EXIF, one without."""
    photos = tmp_path / "asked"
    photos.mkdir()
    name = scene.queries.names[0]
    PIL.Image.open(synthetic_root / "images" / name).save(photos / "a.png")
    exif = PIL.Image.Exif()
    exif.get_ifd(0x8769)[0xA405] = 26
    PIL.Image.new("RGB", (400, 300)).save(photos / "b.jpg", exif=exif)
    PIL.Image.new("RGB", (400, 300)).save(photos / "c.jpg")
    file, model = tmp_path / "queries.txt", str(synthetic_root / "model")
    said = write_queries.run(photos=str(photos), file=str(file), model=model)
    assert ": 1 with the model's camera, 1 with the focal length in their EXIF, 1 with none" in said
    _, second, third = file.read_text().splitlines()
    assert second.endswith("focal=guessed")
    assert third == "c.jpg auto"
    camera = read_query_list(file, [])[0].camera
    assert camera.params.tolist() == scene.queries.by_name[name].camera.params.tolist()
    listed = Colmap(str(synthetic_root / "images"), model, str(file), query_image_root=str(photos)).load().queries
    assert [q.prior and q.prior.focal for q in listed] == [None, "guessed", "unknown"]
    with pytest.raises(InputError, match=r"queries.txt is there already"):
        write_queries.run(photos=str(photos), file=str(file))
    (photos / "d.jpg").write_text("no photo")
    PIL.Image.new("RGB", (40, 30)).save(photos / "my photo.jpg")
    with pytest.raises(InputError) as caught:
        write_queries.run(photos=str(photos), file=str(tmp_path / "other.txt"))
    assert ["d.jpg cannot be opened" in p or "has a blank" in p for p in caught.value.problems] == [True, True]
    assert not (tmp_path / "other.txt").exists()


def test_settings_hloc_goes_on_from_hlocs_outputs(finished, scene, synthetic_root, tmp_path, run_cli):
    """One word and the folder: features, global descriptors and points are found in it."""
    outputs = tmp_path / "outputs"
    export_hloc.run(scene, finished[0], feature=FEATURE, output=str(outputs))
    code, said = run_cli(
        *("+pipeline=direct", "settings=hloc", f"dataset.image_root={synthetic_root}/images"),
        *(f"dataset.model={outputs}", f"dataset.queries={outputs}/queries_with_intrinsics.txt", "workers=1"),
    )
    assert code == 0, said
    assert "3 of 3 queries localized" in said
    (tmp_path / "two").mkdir()
    assert file_with(outputs / "sfm", "keypoints", "feature.path") == str(outputs / "feats-sift.h5")  # beside it
    for name in ("feats-sift.h5", "feats-other.h5"):
        os.link(outputs / "feats-sift.h5", tmp_path / "two" / name)
    with pytest.raises(InputError, match=r"two holds 2 files with keypoints: name one, feature.path="):
        file_with(tmp_path / "two", "keypoints", "feature.path")
