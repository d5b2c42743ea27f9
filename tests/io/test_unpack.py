"""Unpacking: whole or not at all, never outside of the folder."""

import gzip
import hashlib
import io
import json
import pathlib
import subprocess
import tarfile
import zipfile

import pytest

from localize.io.fetching import unpack as unpack_module
from localize.io.fetching.unpack import unpack, unpacked
from localize.types import InputError
from tests.local_server import BODY, PHOTOS, make_zip, names


def make_tar(path, files: dict[str, bytes], link=None) -> pathlib.Path:
    with tarfile.open(path, "w:gz") as t:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            t.addfile(info, io.BytesIO(content))
        if link:
            info = tarfile.TarInfo(link)
            info.type, info.linkname = tarfile.SYMTYPE, "/etc"
            t.addfile(info)
    return path


def test_unpacking_twice_does_it_once(tmp_path):
    archive, folder = make_zip(tmp_path / "a.zip", PHOTOS), tmp_path / "photos"
    assert sorted(unpack(archive, folder)) == ["1.jpg", "sub/2.jpg"]
    assert names(tmp_path) == {"a.zip", "a.zip.unpacked.json", "photos/1.jpg", "photos/sub/2.jpg"}
    note = json.loads((tmp_path / "a.zip.unpacked.json").read_text())["archive"]
    assert note["sha256"] == hashlib.sha256(archive.read_bytes()).hexdigest()
    before = (folder / "1.jpg").stat().st_ino
    unpack(archive, folder, keep=False)
    assert (folder / "1.jpg").stat().st_ino == before
    assert not archive.exists()
    assert unpacked(archive, folder)
    (folder / "1.jpg").unlink()
    assert unpacked(archive, folder) is None
    make_zip(archive, PHOTOS | {"photos/1.jpg": b"1"})
    unpack(archive, folder)
    assert (folder / "1.jpg").read_bytes() == b"1"


def test_interrupted_unpacking_shows_nothing_and_goes_on(tmp_path, monkeypatch):
    archive, folder = make_zip(tmp_path / "a.zip", {f"{i}.jpg": bytes([i]) for i in range(9)}), tmp_path / "photos"
    written, write = [], unpack_module._write

    def stopping(aside, entry, room):
        if len(written) == 4:
            raise KeyboardInterrupt
        written.append(entry.name)
        return write(aside, entry, room)

    monkeypatch.setattr(unpack_module, "_write", stopping)
    with pytest.raises(KeyboardInterrupt):
        unpack(archive, folder)
    assert not folder.exists()
    monkeypatch.setattr(unpack_module, "_write", write)
    kept = (tmp_path / "a.zip.unpacking/0.jpg").stat().st_ino
    unpack(archive, folder)
    assert (folder / "0.jpg").stat().st_ino == kept
    assert {name: (folder / name).read_bytes() for name in names(folder)} == {f"{i}.jpg": bytes([i]) for i in range(9)}
    assert not (tmp_path / "a.zip.unpacking").exists()


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/tmp/evil", "a\\..\\evil", "C:/evil"])
@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_archive_that_leads_out_of_its_folder_is_refused(tmp_path, name, kind):
    archive = tmp_path / f"in/a.{kind}"
    make_zip(archive, {"good.jpg": b"x", name: b"evil"})
    if kind == "tar.gz":
        make_tar(archive, {"good.jpg": b"x", name: b"evil"})
    with pytest.raises(InputError, match="would land outside of its folder"):
        unpack(archive, tmp_path / "in/photos")
    assert not any("evil" in found for found in names(tmp_path))
    assert not (tmp_path / "in/photos").exists()


def test_links_damage_and_other_kinds_are_refused(tmp_path):
    for archive in (
        make_zip(tmp_path / "link.zip", {}, links=["photos"]),
        make_tar(tmp_path / "link.tgz", {}, link="photos"),
    ):
        with pytest.raises(InputError, match="which is a link or a device"):
            unpack(archive, tmp_path / "out")
    whole = make_zip(tmp_path / "a.zip", {"1.jpg": BODY}).read_bytes()
    for harmed in (whole[:-200], whole[:5000] + b"?" + whole[5001:]):
        (tmp_path / "a.zip").write_bytes(harmed)
        with pytest.raises(InputError, match=r"a\.zip is damaged"):
            unpack(tmp_path / "a.zip", tmp_path / "out")
    (tmp_path / "b.gz").write_bytes(gzip.compress(BODY)[:-9])
    with pytest.raises(InputError, match=r"b\.gz is damaged"):
        unpack(tmp_path / "b.gz", tmp_path / "out")
    (tmp_path / "a.rar").write_bytes(b"Rar!")
    with pytest.raises(InputError, match="no archive of a known kind"):
        unpack(tmp_path / "a.rar", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_tar_and_gz_unpack_and_a_list_that_is_replaced_is_kept(tmp_path, caplog):
    (tmp_path / "night.txt").write_text("old\n")
    assert sorted(unpack(make_tar(tmp_path / "a.tar.gz", {"night.txt": b"new\n", "d/x": b"x"}), tmp_path)) == [
        "d/x",
        "night.txt",
    ]
    assert (tmp_path / "night.txt").read_text() == "new\n"
    assert (tmp_path / "night.txt.replaced").read_text() == "old\n"
    assert "the old one is kept as night.txt.replaced" in caplog.text
    (tmp_path / "all.out.gz").write_bytes(gzip.compress(BODY))
    assert unpack(tmp_path / "all.out.gz", tmp_path / "models") == ["all.out"]
    assert (tmp_path / "models/all.out").read_bytes() == BODY


def test_an_archive_that_holds_far_more_than_itself_is_refused(tmp_path):
    """Zeros packed, zeros packed twice, and a file with holes: a few bytes would fill the disk."""
    zeros = bytes(40 << 20)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("1.jpg", zeros)
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(zeros))
    with tarfile.open(tmp_path / "twice.tar", "w:xz", preset=0) as t:
        info = tarfile.TarInfo("1.jpg")
        info.size = len(zeros)
        t.addfile(info, io.BytesIO(zeros))
    for name in ("a.zip", "b.txt.gz", "twice.tar"):
        with pytest.raises(InputError, match=f"{name} holds more than 300 times its own size"):
            unpack(tmp_path / name, tmp_path / "out")
    with open(tmp_path / "holes", "wb") as f:
        f.truncate(3 << 30)
    subprocess.run(["tar", "--sparse", "-czf", "holes.tar.gz", "holes"], cwd=tmp_path, check=True)
    with pytest.raises(InputError, match="holds 'holes' with holes in it"):
        unpack(tmp_path / "holes.tar.gz", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob("*.unpacking/*.jpg*"))


def test_a_wrong_checksum_at_the_end_of_a_packed_tar_is_noticed(tmp_path):
    archive = make_tar(tmp_path / "a.tar.gz", {"1.jpg": BODY})
    data = bytearray(archive.read_bytes())
    data[-8] ^= 1
    archive.write_bytes(data)
    with pytest.raises(InputError, match=r"a\.tar\.gz is damaged"):
        unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()
