"""Training the compact global descriptor: it goes on where it stopped, and is judged by recall."""

import dataclasses

import numpy as np
import pytest
import torch

from localize.pipelines.training import train_compact
from localize.retrieval.compact import Compact
from localize.train.compact import parts as compact_parts
from localize.train.compact.parts import CompactData, CompactValidation
from localize.train.compact.views import Cut
from localize.train.loop.training_loop import TrainingLoop
from localize.types import InputError
from tests.generated_photos import textured
from tests.train.compact_data import write_photos
from tests.train.killed import copied_at


class Blurred(torch.nn.Module):
    """A teacher that needs no weights: colours of cells, of nearly as many channels as wanted."""

    def __init__(self, path=None):
        super().__init__()
        self.mix = torch.linspace(-1, 1, 3 * 260).view(260, 3).sin() * 9

    def forward(self, images):
        maps = [torch.nn.functional.avg_pool2d(images / 255, s, s) for s in (4, 8, 16)]
        maps = [torch.einsum("kc,bchw->bkhw", self.mix, m).sin() for m in maps]
        return maps, torch.nn.functional.normalize(maps[-1].mean((2, 3)), dim=1)


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """The arguments of a short training."""
    root = tmp_path_factory.mktemp("photos")
    lines = ["00.png 0 0 0", "01.png 3 0 0", "02.png 90 0 0", "03.png 92 0 0"]
    learned = write_photos(root / "train", range(4), lines)
    lines = ["04.png 0 0 0", "05.png 50 0 0", "06.png 2 0 0", "07.png 49 0 0"]
    judged = write_photos(root / "other", range(4, 8), lines)
    return {
        "data": CompactData([learned], batch_size=4, versions=3, shrink=0.2),
        "validation": CompactValidation([judged], queries="04", edge_px=64),
        "loop": TrainingLoop(steps=3, learning_rate=0.002, checkpoint_every=1, precision="float32"),
    }


def test_training_goes_on_and_writes_weights_that_work(parts, tmp_path, monkeypatch):
    monkeypatch.setattr(compact_parts, "Teacher", Blurred)
    monkeypatch.setattr(compact_parts, "weights_file", lambda *_: __file__)
    with copied_at(2, tmp_path / "killed"):
        whole = train_compact.run(output=str(tmp_path / "whole"), **parts)
    assert "compact after 3 steps: recall at 1" in whole
    monkeypatch.setattr(Cut, "views", None)  # what the teacher saw is not made again
    train_compact.run(output=str(tmp_path / "killed"), **parts)
    photo = textured(1)
    found = [
        Compact(weights=str(tmp_path / o / "compact.safetensors")).describe(photo, None) for o in ("whole", "killed")
    ]
    assert np.array_equal(*found)
    other = parts | {"data": dataclasses.replace(parts["data"], night=0.5)}
    with pytest.raises(InputError, match=r"pipeline\.data\.night 0\.15, but now it is 0\.5"):
        train_compact.run(output=str(tmp_path / "killed"), **other)


def test_settings_that_cannot_be_are_refused(parts, tmp_path):
    bad = parts | {"validation": CompactValidation(parts["data"].photos)}
    with pytest.raises(InputError, match="validate on other places"):
        train_compact.run(output=str(tmp_path), **bad)
    with pytest.raises(InputError, match="batch_size is 3"):
        dataclasses.replace(parts["data"], batch_size=3)
    with pytest.raises(InputError, match="no names that start with 'x'"):
        dataclasses.replace(parts["validation"], queries="x").judge()


def test_recall_counts_right_references(parts):
    judge = parts["validation"].judge()
    near = {"recall_1": 0.0, "recall_5": 100.0}  # only 06 is right
    assert judge.measured(np.array([[1.0, 0]]), np.array([[1, 0], [0.5, 0], [0, 1.0]])) == near
    assert judge.measured(np.array([[1.0, 0]]), np.array([[0, 1], [0.5, 0], [0, 1.0]]))["recall_1"] == 100
