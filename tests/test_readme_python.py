"""Every block of Python in the README runs as it is written."""

import pathlib
import re

import PIL.Image
import pytest

from tests.conftest import CHECKOUT

BLOCKS = re.findall(r"```python\n(.*?)```", (CHECKOUT / "README.md").read_text(), re.DOTALL)


@pytest.fixture(scope="module")
def folder(synthetic_root, tmp_path_factory) -> pathlib.Path:
    """What the README speaks of: photos, a model of them, and a query of 1600 x 1200 px."""
    root = tmp_path_factory.mktemp("readme")
    (root / "sparse").mkdir()
    (root / "photos").mkdir()
    for photo in sorted((synthetic_root / "images").iterdir())[:7]:  # the model's others are missing, and left out
        (root / "photos" / photo.name).symlink_to(photo)
    (root / "sparse/0").symlink_to(synthetic_root / "model")
    first = sorted((synthetic_root / "images").iterdir())[0]
    PIL.Image.open(first).convert("RGB").resize((1600, 1200)).save(root / "query.jpg")
    return root


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.split("\n")[0])
def test_it_runs(block, folder, monkeypatch):
    monkeypatch.chdir(folder)
    exec(compile(block, "README.md", "exec"), {"__name__": "__main__" if "@dataclass" not in block else "readme"})
