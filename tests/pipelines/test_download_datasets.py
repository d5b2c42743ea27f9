"""The download pipeline and the manifests."""

import dataclasses
import functools
import json
import logging
import re
import shutil
import types

import pytest

from localize.datasets.patches import PhotoTour
from localize.datasets.shared.manifest import Manifest, RemoteFile, manifest_names, read_manifest
from localize.io.fetching.download import MIRROR, fetch
from localize.pipelines.exchange import download
from localize.types import InputError
from tests.local_server import PAGE, PHOTOS, make_zip, names


@pytest.fixture
def town(server, tmp_path, monkeypatch):
    """An adapter whose data set lies on our server."""
    photos = make_zip(tmp_path / "served.zip", PHOTOS).read_bytes()
    server.files = {"/town/photos.zip": photos, "/town/lists/q.txt": b"a\nb\n", "/town/big.db": b"SQLite format 3\0"}
    files = (
        RemoteFile("lists/q.txt", lines={"lists/q.txt": 2}),
        RemoteFile("photos.zip", unpack="photos", elsewhere="old/photos", gives={"*.jpg": 1, "sub/*.jpg": 1}),
        RemoteFile("big.db", part="features"),
    )
    manifest = Manifest("Town", "town", "v1", "CC0", "http://terms", (server.site + "/town",), files)
    monkeypatch.setattr(download, "manifest_of", lambda _: manifest)
    monkeypatch.setattr(download, "fetch", functools.partial(fetch, sleep=lambda _: None))
    return types.SimpleNamespace(folder=tmp_path / "data set", manifest=manifest)


def test_data_set_is_fetched_unpacked_and_then_left_alone(server, town, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    done = download.run(town, output=str(tmp_path / "out"))
    assert done.fetched == ("lists/q.txt", "photos.zip")
    assert names(town.folder) >= {"lists/q.txt", "photos.zip", "photos/1.jpg", "photos/sub/2.jpg"}
    for part in ("CC0; see http://terms", "left out: big.db; to have it, add pipeline.parts=[features]", "to fetch"):
        assert part in caplog.text
    assert f"dataset=town dataset.root='{town.folder}' dataset.version=v1" in caplog.text
    assert json.loads((tmp_path / "out/download.json").read_text())["problems"] == []
    asked = len(server.asked)
    again = download.run(town, keep_archives=False)
    assert again.kept == ("lists/q.txt", "photos.zip")
    assert not again.fetched
    assert len(server.asked) == asked
    assert download.run(town, parts=["features"]).fetched == ("big.db",)


def test_photos_put_there_by_hand_are_not_fetched(server, town):
    for name in ("1.jpg", "sub/2.jpg"):
        (town.folder / "old/photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (town.folder / "old/photos" / name).write_bytes(b"x")
    assert download.run(town).fetched == ("lists/q.txt",)


def test_missing_and_short_files_are_named_and_the_others_fetched(server, town):
    del server.files["/town/lists/q.txt"]
    del server.files["/town/big.db"]
    with pytest.raises(InputError) as e:
        download.run(town, parts=("features",))
    assert [p.split(":")[0] for p in e.value.problems] == ["cannot get q.txt", "cannot get big.db"]
    assert (town.folder / "photos/1.jpg").exists()
    town.folder.joinpath("big.db").write_bytes(PAGE)  # saved from a browser
    with pytest.raises(InputError, match=r"big\.db is a web page.*: delete it, or put the right one there"):
        download.run(town, parts=("features",))
    server.files |= {"/town/lists/q.txt": b"a\n"}
    with pytest.raises(InputError, match=r"lists/q\.txt has 1 lines, but must have 2 or more"):
        download.run(town)


def test_without_a_network_one_file_is_tried_and_a_mirror_is_enough(server, town, closed, tmp_path, monkeypatch):
    def unplugged(_):
        return dataclasses.replace(town.manifest, sites=(closed,))

    monkeypatch.setattr(download, "manifest_of", unplugged)
    with pytest.raises(InputError) as e:
        download.run(town)
    assert len(e.value.problems) == 2
    assert "not fetched either, because no server answers: photos.zip" in e.value.problems[1]
    folder = tmp_path / "stick"
    (folder / "lists").mkdir(parents=True)
    (folder / "lists/q.txt").write_bytes(b"a\nb\n")
    (folder / "photos.zip").write_bytes(server.files["/town/photos.zip"])
    for mirror in (str(folder), folder.as_uri(), server.site + "/town/"):
        monkeypatch.setenv(MIRROR, mirror)
        assert len(download.run(town).fetched) == 2
        shutil.rmtree(town.folder)


def test_what_cannot_be_downloaded_says_what_can(town):
    with pytest.raises(InputError, match="Town has no part feature; valid: features"):
        download.run(town, parts=("feature",))


def test_unknown_data_sets_name_those_that_can_be_had(scene):
    with pytest.raises(
        InputError,
        match="aachen or dataset=hpatches or dataset=phototour or dataset=revisitop1m or dataset=robotcar or dataset=r",
    ):
        download.run(scene)
    with pytest.raises(
        InputError,
        match="aachen_v1, aachen_v1_1, hpatches, phototour, revisitop1m, robotcar_v1, robotcar_v2, roxford5k, rparis6k",
    ):
        read_manifest("rome")


UNENCRYPTED = (  # as their authors name them
    *("http://cmp.felk.cvut.cz/revisitop", "http://ptak.felk.cvut.cz/revisitop", "http://icvl.ee.ic.ac.uk/vbalnt"),
    "http://phototour.cs.washington.edu/patches",
)
TAKEN_BY = "dataset.distractors=/data", "pipeline.phototour=/data", "pipeline.hpatches=/data/hpatches-release"


@pytest.mark.parametrize("name", manifest_names())
def test_manifests_are_sound(name):
    manifest = read_manifest(name)
    paths = [f.path for f in manifest.files]
    assert len(set(paths)) == len(paths)
    assert all(site.startswith(("https://", *UNENCRYPTED)) for site in (*manifest.sites, manifest.terms))
    assert not any(site.endswith("/") for site in manifest.sites)
    composed = manifest.next.format(dataset=manifest.dataset, folder="/data", version=manifest.version)
    assert f"dataset={manifest.dataset} " in composed or any(setting in composed for setting in TAKEN_BY)
    for f in manifest.files:
        assert not f.path.startswith("/")
        assert ".." not in f.path
        assert (f.unpack is not None) == f.path.endswith((".zip", ".gz", ".tgz"))
        assert f.size is None or f.size > 0
        assert f.sha256 is None or re.fullmatch("[0-9a-f]{64}", f.sha256)
        assert bool(f.gives) == (f.unpack is not None and name != "revisitop1m")  # a list names the distractors


def test_phototour_comes_from_its_mirror(server, tmp_path, monkeypatch, caplog):
    """Three archives, each into the folder of its set, though the first host does not answer."""
    manifest = read_manifest("phototour")
    few = [dataclasses.replace(f, gives={"patches*.bmp": 1, "info.txt": 1}) for f in manifest.files]
    for f in few:
        inside = {"patches0000.bmp": b"BM", "info.txt": b"0 0\n"}
        server.files[f"/vbalnt/{f.path}"] = make_zip(tmp_path / f.path, inside).read_bytes()
    sites = (server.site + "/gone", server.site + "/vbalnt")
    monkeypatch.setattr(download, "manifest_of", lambda _: dataclasses.replace(manifest, sites=sites, files=tuple(few)))
    monkeypatch.setattr(download, "fetch", functools.partial(fetch, sleep=lambda _: None))
    caplog.set_level(logging.INFO)
    download.run(PhotoTour(str(tmp_path / "data")))
    assert names(tmp_path / "data") >= {f"{s}/info.txt" for s in ("liberty", "notredame", "yosemite")}
    assert f"python -m localize +table=crbnet pipeline.phototour={tmp_path}/data" in caplog.text


def test_conditions_choose_the_photos_of_robotcar():
    chosen = [f.path for f in read_manifest("robotcar_v2").select((), ("night",)) if f.path.startswith("images/")]
    assert chosen == ["images/overcast-reference.zip", "images/night.zip"]
    everything = read_manifest("robotcar_v1").select(("locations", "features"), None)
    assert sum(f.condition is not None for f in everything) == 9
    assert sum(f.part == "locations" for f in everything) == 50
