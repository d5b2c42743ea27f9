import contextlib
import dataclasses
import json
import pathlib
import shutil
import socket
import sys

import numpy as np
import pytest

from localize.datasets.aachen import Aachen
from localize.datasets.robotcar import RobotCar
from localize.datasets.synthetic import Synthetic
from localize.features.sift import Sift
from localize.geometry.poses import rotation_from_qvec
from localize.io.fetching.download import MIRROR
from localize.pipelines import parallel_search
from localize.pipelines.exchange import export_layout
from localize.store import Store
from localize.types import Camera, Features, Image, ImageList, PointRows, Pose, Scene
from tests.local_server import BODY, Server

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent
SHARED = CHECKOUT.parent / "shared"


@pytest.fixture(scope="session")
def synthetic_root(tmp_path_factory) -> pathlib.Path:
    """Photos, model and exact poses of a small synthetic scene."""
    root = tmp_path_factory.mktemp("scene") / "synthetic"
    Synthetic(str(root), num_photos=10, num_points=250).load()
    return root


@pytest.fixture(scope="session")
def scene(synthetic_root) -> Scene:
    return Synthetic(str(synthetic_root), num_photos=10, num_points=250).load()


@pytest.fixture(scope="session")
def strecha_root() -> pathlib.Path:
    """The folder of the Strecha scenes; the test is skipped where it is not."""
    root = SHARED / "data" / "strecha"
    if not root.is_dir():
        pytest.skip(f"the real photos are not at {root}")
    return root


@pytest.fixture
def run_cli(monkeypatch, capfd, tmp_path):
    """Run the command line in this process: (exit code, stdout + stderr)."""
    from localize.cli import main

    def run(*arguments: str) -> tuple[int, str]:
        fixed = [f"store.root={tmp_path}/store", f"hydra.run.dir={tmp_path}/run", f"hydra.sweep.dir={tmp_path}/sweep"]
        given = {a.split("=")[0] for a in arguments}
        monkeypatch.setattr(sys, "argv", ["localize", *(f for f in fixed if f.split("=")[0] not in given), *arguments])
        capfd.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main()
        printed = capfd.readouterr()
        return stopped.value.code, printed.out + printed.err

    return run


def random_pose(rng, distance: float = 5.0) -> Pose:
    """A camera about `distance` from the origin, looking at it, rolled at random."""
    R = rotation_from_qvec(rng.normal(size=4))
    return Pose(R, np.array([0, 0, distance]) + 0.2 * rng.normal(size=3))


def unit(descriptors) -> np.ndarray:
    """Rows of unit length, float32."""
    return (descriptors / np.linalg.norm(descriptors, axis=1, keepdims=True)).astype(np.float32)


def random_features(rng, n: int, dim: int = 16) -> Features:
    d = rng.normal(size=(n, dim)).astype(np.float32)
    return Features(rng.uniform(0, 100, (n, 2)), d / np.linalg.norm(d, axis=1, keepdims=True), np.ones(n))


def random_rows(rng, num_points: int = 200, dim: int = 32, noise: float = 0.3, num_images: int = 5) -> PointRows:
    """Points seen one to six times, rows sorted by image."""
    base = rng.normal(size=(num_points, dim))
    point = np.repeat(np.arange(num_points), rng.integers(1, 7, num_points))
    d = base[point] + noise * rng.normal(size=(len(point), dim))
    d = (d / np.linalg.norm(d, axis=1, keepdims=True)).astype(np.float32)
    image = np.sort(rng.integers(num_images, size=len(point)))
    order = rng.permutation(len(point))
    indptr = np.searchsorted(image, np.arange(num_images + 1))
    return PointRows(rng.normal(size=(num_points, 3)), d[order], point[order], indptr)


PINHOLE = Camera("PINHOLE", 640, 480, [500.0, 510.0, 320.0, 240.0])
EMPTY = ImageList()

FEATURE = Sift(max_keypoints=2500)
UNKEPT = {"ranking", "pair_selection"}  # a matrix product is faster than the store


@pytest.fixture(scope="session")
def finished(scene, tmp_path_factory):
    """(store, output) of an uninterrupted run on one worker."""
    folder = tmp_path_factory.mktemp("finished")
    store, output = Store(folder / "store"), folder / "run"
    report = parallel_search.run(scene, store, feature=FEATURE, output=str(output))
    assert report.recall[0, 1:].tolist() == [1, 1, 1]
    return store, output


@pytest.fixture(scope="session")
def day_night(scene) -> Scene:
    """The small scene with a day and a night query."""
    tags = {name: ("night",) if i == 0 else ("day",) for i, name in enumerate(scene.queries.names)}
    return dataclasses.replace(
        scene,
        queries=ImageList(Image(q.name, q.camera, tags=tags[q.name]) for q in scene.queries),
        ground_truth=ImageList(Image(i.name, i.camera, i.pose, tags[i.name]) for i in scene.ground_truth),
    )


@pytest.fixture(scope="session")
def layouts(day_night, finished, tmp_path_factory):
    """The folder that holds aachen/ and robotcar/."""
    folder = tmp_path_factory.mktemp("layouts")
    for layout in ("aachen", "robotcar"):
        said = export_layout.run(day_night, finished[0], feature=FEATURE, output=str(folder), layout=layout)
        assert f"dataset={layout}" in said
    return folder


@pytest.fixture
def copied(layouts, tmp_path):
    """A copy of a layout's folder, to break."""
    return lambda name: shutil.copytree(layouts / name, tmp_path / name)


def adapter(layouts, name: str, **fields):
    cls = {"aachen": Aachen, "robotcar": RobotCar}[name]
    return cls(root=str(layouts / name), **fields)


def break_file(path, change):
    path.write_bytes(change(path.read_bytes()))


def results(output) -> dict:
    return json.loads((pathlib.Path(output) / "results.json").read_text())


def computed(output) -> dict[str, int]:
    return {s["name"]: s["computed"] for s in results(output)["stages"]}


def poses(output) -> bytes:
    return (pathlib.Path(output) / "poses.txt").read_bytes()


RUN = ("+pipeline=serial", "feature=sift", "feature.max_keypoints=2500", "workers=1")


@pytest.fixture(scope="session")
def warm_store(finished, tmp_path_factory) -> str:
    """The store for runs of RUN at the command line: nothing that `finished` has done is done again."""
    return str(shutil.copytree(finished[0].root, tmp_path_factory.mktemp("warm") / "store"))


@pytest.fixture
def own_data(synthetic_root, scene, warm_store, tmp_path):
    """Arguments of dataset=colmap on the synthetic scene, and its query list."""
    queries = tmp_path / "queries.txt"
    camera = scene.queries.images[0].camera
    line = f"{camera.model} {camera.width} {camera.height} " + " ".join(map(repr, camera.params.tolist()))
    queries.write_text("".join(f"{n} {line}\n" for n in scene.queries.names))
    folders = [f"dataset.image_root={synthetic_root}/images", f"dataset.model={synthetic_root}/model"]
    return ["dataset=colmap", *folders, f"dataset.queries={queries}", f"store.root={warm_store}"], queries


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv(MIRROR, raising=False)
    s = Server()
    s.files["/a.bin"] = BODY
    yield s
    s.http.shutdown()
    s.http.server_close()


@pytest.fixture
def closed() -> str:
    """A site that nobody serves."""
    with contextlib.closing(socket.socket()) as s:
        s.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{s.getsockname()[1]}"
