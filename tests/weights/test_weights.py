"""Weights that one can rely on: found by name, checked before use, fetched whole or not at all."""

import ast
import functools
import hashlib
import json
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from localize.io.fetching.download import MIRROR, fetch
from localize.networks.patches import NAMES, TFeat, patch_network
from localize.pipelines.exchange import download, weights
from localize.types import InputError
from localize.weights import manifest as published
from localize.weights.manifest import FOLDER, PublishedWeights, checked, read_manifest, weights_folder
from localize.weights.patches import load_tfeat, load_weights
from localize.weights.shipped import weights_file
from localize.weights.tensors import read_tensors
from localize.weights.whitening import read_whitening, write_whitening
from tests.conftest import CHECKOUT, SHARED, break_file
from tests.local_server import BODY, names

SHA256 = hashlib.sha256(BODY).hexdigest()
OTHER = bytes([BODY[0] ^ 1]) + BODY[1:]  # of the same size


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of weights."""
    monkeypatch.setenv(FOLDER, str(tmp_path / "weights"))
    (tmp_path / "weights").mkdir()
    return tmp_path / "weights"


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Put entries into a manifest in place of the package's; no download waits."""
    monkeypatch.setattr(published, "MANIFEST", tmp_path / "manifest.json")
    monkeypatch.setattr(download, "fetch", functools.partial(fetch, sleep=lambda _: None))
    texts = {"licence": "CC0", "citation": "Nobody, Nowhere 2020", "used_by": "feature=nothing"}

    def write(**entries):
        found = [{"name": name, "file": f"{name}.pth", **texts, **entry} for name, entry in entries.items()]
        (tmp_path / "manifest.json").write_text(json.dumps({"weights": found}))
        return str(tmp_path / "manifest.json")

    return write


def known(*urls) -> dict:
    return {"urls": urls, "size": len(BODY), "sha256": SHA256}


def refused(step, *said):
    with pytest.raises(InputError) as e:
        step()
    assert len(e.value.problems) == len(said), e.value.problems
    for sentence, parts in zip(e.value.problems, said, strict=True):
        for part in (parts,) if isinstance(parts, str) else parts:
            assert part in sentence


def test_manifest_of_the_package():
    entries = read_manifest()
    assert set(entries) >= {"resnet50v2", "alike_n", "tfeat_liberty", "d2_tf", "d2_ots", "d2_tf_no_phototourism"}
    for entry in entries.values():
        assert entry.sha256 or entry.note, "a file that nobody vouches for must say so"
        assert entry.urls or entry.note, "a file without an address must say what to do"
        assert all(url.startswith("https://") for url in entry.urls)
        if (SHARED / "weights" / entry.file).is_file():
            assert published.wrong_weights(entry, SHARED / "weights" / entry.file) is None


def test_weights_by_name_and_by_path(folder, write, tmp_path, monkeypatch):
    write(one=known("http://a/b"), two=known())
    shipped = weights_file("crbnet256_lite", "feature.weights")
    assert os.path.dirname(shipped) == str(CHECKOUT / "localize" / "weights")
    (folder / "one.pth").write_bytes(BODY)
    assert weights_file("one", "feature.weights") == str(folder / "one.pth")
    for suffix in (".safetensors", ".pth", ".params", ".mat", ".tar", ".npz"):
        own = tmp_path / f"own{suffix}"
        missing = functools.partial(weights_file, str(own), "a.b", ", or c")
        refused(missing, f"{own} is missing: give a name or another path as a.b, or c")
        own.write_bytes(b"anything")
        assert weights_file(str(own), "feature.weights") == str(own)
    said = "no weights 'three' (shipped: ", "crbnet256_lite", "published: one, two)", "as a.b, or c"
    refused(lambda: weights_file("three", "a.b", ", or c"), said)
    get = f"there is no {folder}/one.pth; get it with: python -m localize +pipeline=weights pipeline.get=[one]"
    (folder / "one.pth").unlink()
    refused(lambda: weights_file("one", "a.b"), (get, f"or set {FOLDER}"))
    refused(lambda: weights_file("two", "a.b"), f"{folder}/two.pth; put the file there")
    monkeypatch.delenv(FOLDER)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert weights_folder() == tmp_path / "cache/localize/weights"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert weights_folder() == tmp_path / ".cache/localize/weights"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (BODY[:-1], "one.pth is cut off: it has 299999 bytes, but must have 300000; delete it and get it again with"),
        (BODY + b"x", "one.pth is another file: it has 300001 bytes"),
        (OTHER, "one.pth is another file: it has the SHA-256"),
        (b"", "one.pth is cut off"),
    ],
)
def test_cut_off_and_swapped_files_are_refused(folder, write, content, said):
    write(one=known("http://a/b"))
    (folder / "one.pth").write_bytes(content)
    refused(lambda: weights_file("one", "feature.weights"), ("weights one: ", said))
    refused(lambda: weights.run(get="one"), said)
    assert (folder / "one.pth").read_bytes() == content
    assert "WRONG" in weights.run()


def test_a_file_is_hashed_once_until_it_is_replaced(folder, write, monkeypatch):
    write(one=known("http://a/b"))
    hashed, real = [], published.sha256_of
    monkeypatch.setattr(published, "sha256_of", lambda path: hashed.append(path) or real(path))
    (folder / "one.pth").write_bytes(BODY)
    for _ in range(3):
        weights_file("one", "feature.weights")
    assert len(hashed) == 1
    break_file(folder / "one.pth", lambda _: OTHER)
    os.utime(folder / "one.pth", ns=(1, 1))
    refused(lambda: weights_file("one", "feature.weights"), "is another file")


def test_weights_that_nobody_vouches_for_must_stay_as_they_were(folder, write, caplog):
    write(one={"urls": []})
    path = folder / "one.pth"
    path.write_bytes(BODY)
    assert "there, unchecked" in weights.run()
    assert names(folder) == {"one.pth"}  # looking is no use
    assert weights_file("one", "feature.weights") == str(path)
    assert f"nobody published a checksum of the weights one: {path} (SHA-256 {SHA256}) is taken as it is" in caplog.text
    assert (folder / "one.pth.sha256").read_text() == f"{SHA256}  one.pth\n"
    assert "there, as first used" in weights.run()
    break_file(path, lambda _: OTHER)
    os.utime(path, ns=(1, 1))
    refused(lambda: weights_file("one", "feature.weights"), ("one.pth has changed", "delete one.pth.sha256 beside it"))
    (folder / "one.pth.sha256").unlink()
    assert weights_file("one", "feature.weights") == str(path)


def test_weights_come_over_a_bad_line_and_from_where_they_moved(server, folder, write):
    write(one=known(f"{server.site}/moved"))
    server.moved["/moved"] = f"{server.site}/a.bin"
    server.cuts = [1_000, 200_000]
    assert "there, checked" in weights.run(get=("one",))
    assert (folder / "one.pth").read_bytes() == BODY
    assert [ask for path, ask in server.gets if path == "/a.bin"] == [None, "bytes=1000-", "bytes=201000-"]
    assert names(folder) == {"one.pth"}
    asked = len(server.asked)
    weights.run(get="all")
    assert len(server.asked) == asked


def test_a_later_run_goes_on(server, folder, write):
    write(one=known(f"{server.site}/a.bin"))
    server.cuts = [100_000, 0, 0, 0, 0]
    refused(lambda: weights.run(get="one"), ("cannot get one.pth", "failed 4 times in a row", str(folder)))
    refused(lambda: weights_file("one", "feature.weights"), "there is no")
    assert "missing" in weights.run()
    weights.run(get="one")
    assert server.gets[-1] == ("/a.bin", "bytes=100000-")
    assert (folder / "one.pth").read_bytes() == BODY


def test_the_mirror_takes_over_from_what_is_absent_or_corrupt(server, closed, folder, write):
    server.files["/wrong"] = OTHER
    server.codes["/page"] = [500] * 4
    bad = f"{server.site}/wrong", f"{server.site}/none", f"{server.site}/page", f"{closed}/a.bin"
    write(one=known(*bad, f"{server.site}/a.bin"), two=known(*bad[:2]), three=known())
    said = ("cannot get two.pth", "/wrong has the SHA-256", "/none answered 404"), "three.pth; put the file there"
    refused(lambda: weights.run(get="all"), *said)
    assert names(folder) == {"one.pth"}
    assert (folder / "one.pth").read_bytes() == BODY
    refused(
        lambda: weights.run(get=["four", "one"]), "no weights 'four' to get; what can be got: one, two, three, or all"
    )


def test_mirror_of_the_users_own_comes_first(server, folder, write, tmp_path, monkeypatch):
    write(one=known(f"{server.site}/a.bin"), two=known())
    (tmp_path / "mirror").mkdir()
    for name in ("one.pth", "two.pth"):
        (tmp_path / "mirror" / name).write_bytes(BODY)
    weights.run(get="all", mirror=str(tmp_path / "mirror"))
    assert names(folder) == {"one.pth", "two.pth"}
    assert not server.asked
    (folder / "two.pth").unlink()
    monkeypatch.setenv(MIRROR, server.site + "/here")
    server.files["/here/two.pth"] = BODY
    weights.run(get="two")
    assert names(folder) == {"one.pth", "two.pth"}


def test_manifest_of_the_users_own(server, folder, tmp_path, write):
    own = write(mine={"file": "m.params", "urls": [f"{server.site}/a.bin"]})
    assert "mine" in weights.run(manifest=own, get="mine")
    assert names(folder) == {"m.params", "m.params.sha256"}
    for entry, said in (
        ({"urls": [], "file": "../x"}, "file '../x' must be a plain file name"),
        ({"urls": ["file:///m.npz"]}, "address 'file:///m.npz' must begin with http:// or https://"),
        ({"urls": [], "sha256": "abc"}, "sha256 'abc' must be 64 hexadecimal digits, or null"),
        ({"urls": [], "size": "1 MB"}, "size '1 MB' must be a number of bytes, or null"),
        ({"urls": [], "colour": 1}, "colour"),
        ({"urls": [1]}, "must be text"),
        ({}, "urls"),
    ):
        refused(functools.partial(weights.run, manifest=write(mine=entry)), (own, said))
    twice = write(a=known(), b={**known(), "file": "a.pth"})
    refused(lambda: weights.run(manifest=twice), "has the file a.pth twice")
    (tmp_path / "manifest.json").write_text("[1]")
    refused(lambda: weights.run(manifest=own), "is no manifest of weights")
    refused(lambda: weights.run(manifest="/no/one.json"), "/no/one.json cannot be read (No such file or directory)")


def test_command_lists_and_gets(server, folder, write, run_cli):
    write(one=known(f"{server.site}/a.bin"), two=known(), three={"urls": ["http://a/b"], "note": "by hand"})
    code, printed = run_cli("+pipeline=weights", "pipeline.get=one")
    assert code == 0
    table = printed[printed.index("---") : printed.index("The folder of weights")]
    rows = {line.split()[0]: line for line in table.splitlines() if line}
    assert rows["one"].split()[1:] == ["there,", "checked", "0.3", "MB", "CC0"]
    assert rows["crbnet256_lite"].split()[1:4] == ["comes", "with", "localize"]
    assert "size unknown" in printed
    for said in (
        f"The folder of weights is {folder} (${FOLDER}).",
        "To get what is missing: python -m localize +pipeline=weights pipeline.get=[three]",
        "two: put two.pth there",
        "three (feature=nothing): Nobody, Nowhere 2020; by hand",
    ):
        assert said in printed


class Evil:
    def __reduce__(self):
        return exec, ("raise SystemExit('code of others was run')",)


@pytest.mark.parametrize("form", ["torch", "old torch", "pickle"])
def test_code_in_weights_is_not_run(tmp_path, form):
    path = tmp_path / "evil.pth"
    if form == "pickle":
        path.write_bytes(pickle.dumps(Evil(), protocol=2))
    else:
        torch.save({"model": Evil()}, path, _use_new_zipfile_serialization=form == "torch")
    refused(lambda: read_tensors(path), ("evil.pth is no weights file, or holds more than tensors", "not loaded"))


def test_files_without_weights_by_name_are_refused(tmp_path):
    path = tmp_path / "odd.pth"
    torch.save([torch.zeros(3)], path)
    refused(lambda: read_tensors(path), ("odd.pth holds a list, not weights by name",))
    torch.save({"weight": torch.zeros(3)}, path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:200])
    refused(lambda: read_tensors(path), ("odd.pth is cut off or no weights file",))


def test_weights_that_are_no_numbers_or_were_harmed_are_refused(tmp_path):
    """NaN in a network of any file, in a whitening, and a flipped bit that only the zip's checksum shows."""
    state = TFeat().state_dict()
    name = next(iter(state))
    torch.save(state, tmp_path / "right.pth")
    load_tfeat(tmp_path / "right.pth")
    data = bytearray((tmp_path / "right.pth").read_bytes())
    data[data.index(state[name].numpy().tobytes()[:64]) + 5] ^= 1
    (tmp_path / "flipped.pth").write_bytes(data)
    with pytest.raises(InputError, match=r"flipped\.pth is cut off.*the checksum of .* is wrong"):
        load_tfeat(tmp_path / "flipped.pth")
    for network, load, save in (
        (TFeat(), load_tfeat, torch.save),
        (patch_network(NAMES[0]), load_weights, lambda s, p: save_file(s, p, {"network": NAMES[0]})),
    ):
        state = network.state_dict()
        next(iter(state.values()))[0] = np.nan
        save(state, tmp_path / "nan.pth")
        with pytest.raises(InputError, match=r"nan\.pth holds NaN or infinite numbers"):
            load(tmp_path / "nan.pth")
    write_whitening(tmp_path / "w.safetensors", np.zeros(4), np.full((2, 4), np.inf), "{}")
    with pytest.raises(InputError, match="holds NaN or infinite numbers"):
        read_whitening(tmp_path / "w.safetensors")


def test_every_load_of_pytorch_takes_tensors_only():
    calls, rooms = 0, ("localize", "pipelines", "datasets", "benchmarks")
    for path in (path for room in rooms for path in (CHECKOUT / room).rglob("*.py")):
        text = path.read_text()
        for node in ast.walk(ast.parse(text)) if "torch.load" in text else ():
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                assert "weights_only=True" in ast.unparse(node), f"{path}, line {node.lineno}"
                calls += 1
        assert "from torch import load" not in text
    assert calls


def test_finding_weights_does_not_import_torch():
    code = "import sys; from localize.weights.shipped import weights_file; weights_file('crbnet256_lite', ''); "
    code += "sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, check=True)


def test_weights_that_cannot_be_read_or_kept_in_mind(folder, monkeypatch, caplog):
    entry = PublishedWeights("one", "one.pth", (), "CC0", "", "")
    (folder / "one.pth").write_bytes(BODY)
    (folder / "one.pth.sha256").mkdir()  # stands for a folder that may not be written to, which root always may
    assert checked(entry) == str(folder / "one.pth")
    assert "that cannot be kept for next time" in caplog.text

    def broken(path):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(published, "sha256_of", broken)
    refused(
        lambda: checked(PublishedWeights("one", "one.pth", (), "", "", "", len(BODY), SHA256)),
        "cannot be read (Input/output error)",
    )
