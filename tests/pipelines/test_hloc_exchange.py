"""Exchange with hloc on the synthetic scene: what is exported is read, and gives the same poses when it comes back."""

import dataclasses
import pathlib

import numpy as np
import pytest

from localize import Localizer
from localize.features.files import Files
from localize.geometry.colmap import pycolmap
from localize.io.given.hloc import read_local_features, write_local_features
from localize.mapping.imported import Imported
from localize.pipelines import build_map, direct, parallel_search
from localize.pipelines.exchange import export_hloc
from localize.retrieval.hloc import Hloc
from localize.retrieval.pairs import Pairs
from localize.roles import Components
from localize.search.prior import Leaves
from localize.store import Store
from localize.types import Features, InputError, ModelFiles
from tests.conftest import FEATURE, poses, results
from tests.io.test_hloc import hloc_lists, hloc_reads


@pytest.fixture(scope="module")
def exported(finished, scene, tmp_path_factory) -> pathlib.Path:
    """What hloc gets of the run `finished`."""
    folder = tmp_path_factory.mktemp("hloc")
    said = export_hloc.run(scene, finished[0], feature=FEATURE, output=str(folder))
    assert "7 references, 3 queries" in said
    return folder


def same_poses(first, second) -> bool:
    a, b = (np.array([line.split()[1:] for line in poses(out).decode().splitlines()], float) for out in (first, second))
    return a.shape == b.shape == (3, 7) and np.abs(a - b).max() < 1e-6


def test_export_is_what_hloc_reads(exported, finished, scene):
    names = sorted(path.name for path in exported.iterdir())
    assert names == [
        "feats-sift.h5", "global-feats-fusion.h5", "pairs-query-fusion20.txt", "queries_with_intrinsics.txt", "sfm",
    ]  # fmt: skip
    every = sorted(scene.references.names + scene.queries.names)
    assert hloc_lists(exported / "feats-sift.h5") == hloc_lists(exported / "global-feats-fusion.h5") == every
    rec = pycolmap.Reconstruction(str(exported / "sfm"))
    assert rec.num_points3D() == results(finished[1])["map"]["points"]
    assert rec.compute_num_observations() == results(finished[1])["map"]["observations"]
    assert rec.compute_mean_reprojection_error() < 1  # px; half a pixel off on both sides would not show here
    for image in rec.images.values():
        xy = hloc_reads(exported / "feats-sift.h5", image.name)["keypoints"]
        np.testing.assert_allclose([p.xy for p in image.points2D], xy, atol=1e-4)
    query, reference = (exported / "pairs-query-fusion20.txt").read_text().splitlines()[0].split()
    assert query in scene.queries.by_name
    assert reference in scene.references.by_name
    name, model, width, height, *params = (exported / "queries_with_intrinsics.txt").read_text().splitlines()[0].split()
    camera = scene.queries.by_name[name].camera
    assert (model, int(width), int(height)) == (camera.model, camera.width, camera.height)
    assert list(map(float, params)) == camera.params.tolist()


def test_from_the_exported_files_the_poses_are_the_same(exported, finished, scene, tmp_path):
    """Features and global descriptors of the files, then the map of the files too; features by two workers."""
    stored = {"feature": Files(str(exported / "feats-sift.h5")), "workers": 2}
    store = Store(tmp_path / "store")
    retrieval = Hloc(str(exported / "global-feats-fusion.h5"))
    parallel_search.run(scene, store, **stored, retrieval=retrieval, output=str(tmp_path / "features"))
    assert same_poses(tmp_path / "features", finished[1])
    supplied = ModelFiles(str(exported / "sfm"), {name: name for name in scene.references.names})
    listed = {"retrieval": Pairs(str(exported / "pairs-query-fusion20.txt")), "mapping": Imported()}
    with_model = dataclasses.replace(scene, supplied=supplied)
    parallel_search.run(with_model, store, **stored, **listed, output=str(tmp_path / "map"))
    assert same_poses(tmp_path / "map", finished[1])
    again = export_hloc.run(with_model, store, **stored, **listed, output=str(tmp_path / "again"))
    assert "feats-files.h5, pairs-query-pairs20.txt, queries_with_intrinsics.txt, sfm" in again
    assert (tmp_path / "again/sfm/points3D.bin").read_bytes() == (exported / "sfm/points3D.bin").read_bytes()


def test_another_feature_file_is_another_imported_map(exported, scene, tmp_path):
    """The same keypoints in another order: the model no longer counts them, whatever the store holds."""
    supplied = ModelFiles(str(exported / "sfm"), {name: name for name in scene.references.names})
    with_model, store = dataclasses.replace(scene, supplied=supplied), Store(tmp_path / "store")
    settings = {"mapping": Imported(), "search": Leaves()}
    direct.run(with_model, store, feature=Files(str(exported / "feats-sift.h5")), **settings)
    images = [*scene.references, *scene.queries]
    turned = []
    for image in images:
        found = read_local_features(exported / "feats-sift.h5", image.name, 640, 480)
        rows = {f.name: getattr(found, f.name) for f in dataclasses.fields(found)}
        turned.append((image, Features(**{n: None if v is None else v[::-1] for n, v in rows.items()})))
    write_local_features(tmp_path / "turned.h5", turned)
    with pytest.raises(InputError, match="not where the keypoints are"):
        direct.run(with_model, store, feature=Files(str(tmp_path / "turned.h5")), **settings)


def test_stored_features_answer_no_new_photos(exported, scene, tmp_path):
    with pytest.raises(InputError, match="a file of features speaks of no other photos"):
        build_map.build_map(scene, tmp_path / "map", feature=Files(str(exported / "feats-sift.h5")))
    with pytest.raises(InputError, match="a file of global descriptors speaks of no other photos"):
        build_map.build_map(scene, tmp_path / "map", retrieval=Hloc(str(exported / "global-feats-fusion.h5")))
    with pytest.raises(InputError, match="speaks of no other photos"):
        Localizer(Components(feature=Files("x")), *[None] * (len(dataclasses.fields(Localizer)) - 1))


def test_the_command_line_exports_and_reads(run_cli, own_data, finished, tmp_path):
    run = ("workers=1", f"store.root={finished[0].root}", *own_data[0])
    code, text = run_cli("+pipeline=export_hloc", "feature=sift", "feature.max_keypoints=2500", *run)
    assert code == 0, text
    assert f"For hloc, in {tmp_path / 'run'}: feats-sift.h5" in text
    stored = (f"feature.path={tmp_path}/run/feats-sift.h5", f"retrieval.path={tmp_path}/run/global-feats-fusion.h5")
    code, text = run_cli("+pipeline=parallel_search", "feature=hloc", "retrieval=hloc", *stored, *run)
    assert code == 0, text
    assert "3 of 3 queries localized" in text
    code, text = run_cli("+pipeline=serial", "feature=hloc", "feature.path=/nowhere.h5", *run)
    assert code == 2
    assert "file /nowhere.h5 is missing: feature.path names it" in text
