"""Folders with signs in their names, as people type them."""

import pytest

from localize.arguments import as_meant
from localize.cli import OverridesParser, _parses

NAMES = [
    "Bücher",
    "x(1)",
    "x[1]",
    "x,b",
    "x=b",
    "~x",
    "x y",
    "{x}",
    "x'y",
    'x"y',
    "x#y",
    "x&y",
    "日本",
    "x\\",
    "x\\'",
    "[x",
]


def value_of(argument: str):
    return OverridesParser.create().parse_override(as_meant(argument, _parses)).value()


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_may_be_called_anything(tmp_path, name):
    (tmp_path / name).mkdir()
    assert value_of(f"dataset.image_root={tmp_path / name}") == str(tmp_path / name)
    if "," not in name:  # what is not there may be two values of a multirun
        assert value_of(f"hydra.run.dir={tmp_path}/new/{name}") == f"{tmp_path}/new/{name}"


def test_the_home_folder_and_what_is_no_path(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert value_of("store.root=~/store") == "/home/me/store"
    for same in (
        "pose=null",
        "~pose",
        "feature=sift,alike",
        "dataset.thresholds=[[0.25,2]",
        "x='a,b'",
        "-m",
        "--cfg=ü",
    ):
        assert as_meant(same, _parses) == same
