"""Map once, query many from Python, and what the README promises."""

import dataclasses
import io
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest

from localize import Camera, InputError, Localizer, Prior, Store, build_map
from localize.features.sift import Sift
from localize.geometry.poses import pose_error
from localize.io.images import read_photo
from localize.io.text import read_poses
from localize.pipelines import parallel_search
from localize.pose.colmap import Colmap
from localize.pose.poselib import PoseLib
from localize.pose.refinement.none import NoRefinement
from localize.retrieval.exact import ExactRanking
from localize.retrieval.how import How
from localize.retrieval.reranking.asmk import Asmk
from localize.retrieval.reranking.dsm import Dsm
from localize.search.prior import Frames, Union
from tests.conftest import CHECKOUT, FEATURE


@pytest.fixture(scope="module")
def folder(scene, warm_store, tmp_path_factory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("map") / "town"
    build_map(scene, folder, store=Store(warm_store), feature=FEATURE)
    return folder


def test_localizer_gives_the_pipelines_poses(folder, finished, scene):
    poses = read_poses(finished[1] / "poses.txt", [])
    localizer = Localizer.load(folder)
    for query in scene.queries:
        estimate = localizer.localize(pathlib.Path(scene.image_root) / query.name, query.camera)
        assert pose_error(estimate.pose, poses[query.name]) == pytest.approx((0, 0), abs=1e-9)
        assert estimate.num_inliers >= 12


BY_REGIONS = [
    Dsm(backbone="small", max_edge_px=320, num_photos=2),
    Asmk(How(backbone="compact", scales=(1.0,), max_edge_px=256), num_features=200, num_verified=None),
]


@pytest.mark.parametrize("reranker", BY_REGIONS, ids=["dsm", "asmk"])
def test_a_map_carries_what_rerankers_look_at(scene, warm_store, tmp_path, reranker):
    """Regions of all references, so that a new photo's frames are those of the pipeline, from any folder."""
    ranking = ExactRanking(rerank=(reranker,), num_reranked=5)
    use = {"feature": FEATURE, "ranking": ranking, "search": Frames(num_frames=2)}
    report = parallel_search.run(scene, Store(warm_store), output=str(tmp_path / "run"), **use)
    assert report.recall[0, -1] == 1
    build_map(scene, tmp_path / "map", store=Store(warm_store), **use)
    poses, localizer = read_poses(tmp_path / "run" / "poses.txt", []), Localizer.load(tmp_path / "map")
    for query in scene.queries:
        estimate = localizer.localize(pathlib.Path(scene.image_root) / query.name, query.camera)
        assert pose_error(estimate.pose, poses[query.name]) == pytest.approx((0, 0), abs=1e-9)
    references, (kept,) = localizer.references, localizer.ranking.rerankers
    assert kept.names == references.names
    other = dataclasses.replace(kept, names=kept.names[::-1])
    ranking = dataclasses.replace(localizer.ranking, rerankers=(other,))
    with pytest.raises(ValueError, match="regions of other photos"):
        dataclasses.replace(localizer, ranking=ranking)


def test_a_map_names_classes_as_the_first_maps_did(folder):
    assert '"localize.retrieval.exact:Exact"' in (folder / "localizer.json").read_text()
    assert type(Localizer.load(folder).ranking.component) is ExactRanking


def test_a_photo_may_come_in_any_form(folder, scene):
    """Path, pixels, Pillow's picture, an open file, one that cannot be rewound, bytes; grey or in colours."""
    localizer, query = Localizer.load(folder), scene.queries.images[0]
    path = pathlib.Path(scene.image_root, query.name)
    by_path, data = localizer.localize(str(path), query.camera), path.read_bytes()
    pipe = io.BufferedReader(io.BytesIO(data))
    pipe.seekable = lambda: False
    picture = PIL.Image.open(path)
    for form in (read_photo(path), read_photo(path, grey=True), picture, picture.convert("CMYK"), pipe, data):
        estimate = localizer.localize(form, query.camera)
        if not isinstance(form, PIL.Image.Image) or form is picture:
            np.testing.assert_array_equal(estimate.pose.rotation, by_path.pose.rotation)
        assert pose_error(estimate.pose, by_path.pose) < (0.01, 0.1)
    with open(path, "rb") as file:
        by_file, by_name = localizer.localize(file), localizer.localize(path)  # without a camera: EXIF is asked too
    np.testing.assert_array_equal(by_file.pose.rotation, by_name.pose.rotation)
    for other in ([1, 2], io.StringIO("text")):
        with pytest.raises(InputError, match=r"a photo cannot be a .*: give a path, a file open for bytes, its bytes"):
            localizer.localize(other, query.camera)
    with pytest.raises(InputError, match=r"photo \(BytesIO\) is damaged"):
        localizer.localize(b"no picture", query.camera)


def test_what_a_photo_knows_is_used_named_or_refused(folder, scene):
    localizer, query = Localizer.load(folder), scene.ground_truth.images[0]
    path = os.path.join(scene.image_root, query.name)
    gravity = query.pose.rotation @ [0, 0, -1]
    right = Prior(gravity, position=query.pose.center, radius_m=1.0)
    estimate = localizer.localize(path, query.camera, prior=right)
    assert pose_error(estimate.pose, query.pose) < (0.02, 0.2)
    assert estimate.notes == ()
    wrong = Prior(gravity @ np.diag([1, -1, -1]), position=query.pose.center + 50, radius_m=1.0)
    estimate = localizer.localize(path, query.camera, prior=wrong)
    assert pose_error(estimate.pose, query.pose) < (0.02, 0.2)
    assert [note.split(" ")[0] for note in estimate.notes] == ["gravity", "the"]
    with pytest.raises(InputError, match="Colmap makes no use of gravity, which this photo brings"):
        Localizer.load(folder, pose=Colmap()).localize(path, query.camera, prior=Prior(gravity))


def test_what_cannot_be_localized_says_why(folder, scene):
    localizer, camera = Localizer.load(folder), scene.queries.images[0].camera
    estimate = localizer.localize(np.zeros((480, 640), np.uint8), camera)
    assert estimate.pose is None
    assert "no matches with the map" in estimate.reason
    path = os.path.join(scene.image_root, scene.queries.names[0])
    strict = Localizer.load(folder, pose=PoseLib(min_inliers=10_000), refinement=NoRefinement()).localize(path, camera)
    assert "at least 10000 are needed" in strict.reason
    both = Localizer.load(folder, pose=PoseLib(min_inliers=10_000)).localize(path, camera)
    assert "at least 10000 are needed" in both.reason
    sure = Localizer.load(folder, pose=PoseLib(min_confidence=1.0)).localize(path, camera)
    assert "at least 1 is needed" in sure.reason
    assert sure.pose is None
    with pytest.raises(InputError, match="its camera is for 100 x 100 px"):
        localizer.localize(path, Camera("SIMPLE_PINHOLE", 100, 100, [100, 50, 50]))
    with pytest.raises(InputError, match=r"expected \(H, W\)"):
        localizer.localize(np.zeros((4, 4)), camera)
    with pytest.raises(InputError, match="is missing"):
        localizer.localize("nothing.jpg", camera)


def test_only_what_fits_the_map_can_be_changed(folder, scene, warm_store, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="feature cannot be changed after the map is built"):
        Localizer.load(folder, feature=Sift(upright=True))
    Localizer.load(folder, search=Frames(num_frames=2))
    build_map(scene, tmp_path / "frames", store=Store(warm_store), feature=FEATURE, search=Frames())
    with pytest.raises(InputError, match="has no index"):
        Localizer.load(tmp_path / "frames", search=Union())
    monkeypatch.setattr(Sift, "VERSION", Sift.VERSION + 1)
    with pytest.raises(InputError, match="built with another version of Sift"):
        Localizer.load(folder)


def test_map_folders_are_safe(folder, tmp_path):
    with pytest.raises(InputError, match="holds no map"):
        Localizer.load(tmp_path)
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(InputError, match="holds other files"):
        Localizer.load(folder).save(tmp_path)
    Localizer.load(folder).save(folder)  # over itself
    assert folder.stat().st_mode & 0o777 == 0o777 & ~_umask()
    assert len(Localizer.load(folder).rows.points) > 100
    assert [p.name for p in folder.parent.iterdir()] == [folder.name]


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (CHECKOUT / "README.md").read_text(), re.DOTALL)


def test_readme_own_feature(tmp_path, synthetic_root):
    """The user's own feature: one class and one YAML, within 30 lines, swapped in by one word."""
    code = next(b for b in blocks("python") if "def extract" in b)
    config = next(b for b in blocks("yaml") if "_target_" in b)
    assert len(code.strip().splitlines()) + len(config.strip().splitlines()) <= 30
    (tmp_path / "conf" / "feature").mkdir(parents=True)
    (tmp_path / "my_feature.py").write_text(code)
    (tmp_path / "conf" / "feature" / "mine.yaml").write_text(config)
    command = next(b for b in blocks("bash") if "feature=mine" in b).replace("\\\n", " ").split()
    assert command[:3] == ["PYTHONPATH=.", "python", "-m"]
    command = [
        sys.executable,
        *command[2:],
        "dataset=synthetic",
        f"dataset.root={synthetic_root}",
        "dataset.num_photos=10",
        "dataset.num_points=250",
        "hydra.run.dir=run",
    ]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{CHECKOUT}"},
    )
    assert done.returncode == 0, done.stderr
    assert "queries localized" in done.stdout
    assert (tmp_path / "run" / "results.json").is_file()
