"""The loop that all trainings share: killed, it goes on as if nothing had happened; and it says what it cannot use."""

import os
import pathlib
import signal
import subprocess
import sys
from dataclasses import dataclass

import pytest
import torch

from localize.train.loop.curve import TrainingCurve
from localize.train.loop.machine import threads
from localize.train.loop.part import TrainingPart, aside, check_part, made_from
from localize.train.loop.training_loop import TrainingLoop, step_seed
from localize.types import InputError
from tests.conftest import CHECKOUT

KILLED = """
import os, pathlib, signal, sys
from localize.train.loop.curve import TrainingCurve
from tests.train.test_training_loop import train

append = TrainingCurve.append

def die(self, step, **values):
    append(self, step, **values)
    if step == 7:  # a step after a checkpoint and a validation
        with open(self.path, "a") as file:
            file.write("8,0.5")  # half a row
        os.kill(os.getpid(), signal.SIGKILL)

TrainingCurve.append = die
train(pathlib.Path(sys.argv[1]))
"""


def train(folder: pathlib.Path, **changes) -> tuple[dict, list[dict]]:
    """(weights, rows of the curve but for the time) of a small network with dropout and a norm."""
    loop = TrainingLoop(steps=10, learning_rate=0.05, checkpoint_every=3, validate_every=3, device="cpu", **changes)
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.Dropout(), torch.nn.Linear(8, 1)
    )
    with threads(1):  # as many in every process, as the last digits depend on it
        curve = loop.run(
            module,
            lambda step, device: torch.randn(16, 4, generator=torch.Generator().manual_seed(step_seed(0, step))),
            lambda module, batch: {"square": ((module(batch)[:, 0] - batch.sum(1)) ** 2).mean()},
            lambda module, machine: {"bias": module[3].bias.item()},
            folder=folder,
            made_from=made_from({"loop": loop}),
        )
    return module.state_dict(), [{k: v for k, v in row.items() if k != "seconds"} for row in curve.rows]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return folder, *train(folder)


def test_killed_it_goes_on_to_the_same_curve_and_weights(whole, tmp_path):
    killed = [sys.executable, "-c", KILLED, str(tmp_path)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(killed, cwd=CHECKOUT, env=environment, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert (tmp_path / "curve.csv").read_text().endswith("\n8,0.5")
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["done"] == 6
    for _ in range(2):  # the second time it is finished: nothing is trained again
        weights, rows = train(tmp_path)
        assert rows == whole[2]
        assert all(torch.equal(weights[name], whole[1][name]) for name in whole[1])


def test_a_checkpoint_of_another_training_or_a_damaged_one_is_named(whole, tmp_path):
    said = (
        r"checkpoint\.pt is of a training with pipeline\.loop\.schedule linear, but now it is none: take another hydra"
    )
    with pytest.raises(InputError, match=said):
        train(whole[0], schedule="none")
    (tmp_path / "checkpoint.pt").write_bytes((whole[0] / "checkpoint.pt").read_bytes()[:3000])
    with pytest.raises(InputError, match=r"checkpoint\.pt is damaged .* delete it"):
        train(tmp_path)


def test_half_a_row_is_no_row(tmp_path):
    """A kill in the middle of row 12 leaves what looks like row 1."""
    path = tmp_path / "curve.csv"
    whole = TrainingCurve(path, 0)
    for step in range(12):
        whole.append(step, loss=1 / (1 + step))
    path.write_text(path.read_text() + "1")
    assert TrainingCurve(path, 12).rows == whole.rows


class _Exploding(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))


@pytest.mark.parametrize(("batch", "said"), [(float("nan"), "loss of step 5"), (0.0, "weights after step 5")])
def test_what_is_no_number_stops_it_and_the_last_good_checkpoint_is_kept(tmp_path, batch, said):
    def run(broken_from):
        loop = TrainingLoop(steps=9, checkpoint_every=2, device="cpu", precision="float32")
        return loop.run(
            _Exploding(),
            lambda step, device: torch.tensor(batch if step >= broken_from else 1.0),
            lambda module, batch: {"root": (module.weight * batch).sqrt().sum()},  # of 0: its slope is infinite
            lambda module, machine: {"weight": module.weight.item()},
            folder=tmp_path,
            made_from={},
        )

    with pytest.raises(InputError, match=rf"{said} .*no number.*smaller pipeline\.loop\.learn.*point\.pt, is kept"):
        run(broken_from=5)
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["done"] == 4
    resumed = run(broken_from=99)
    assert resumed.column("root")[0] == list(range(9))
    rates = [0.01 * (9 - step) / 9 for step in range(9)]
    assert resumed.column("learning_rate")[1] == pytest.approx(rates)
    assert resumed.column("weight")[1][-1] == pytest.approx(1 - sum(rates), abs=1e-3)  # so far goes Adam down a slope


@dataclass(frozen=True)
class Part(TrainingPart):
    """A part of each kind of setting."""

    folders: tuple = aside()
    share: float = 0.5
    every: int = aside(3)

    def __post_init__(self):
        check_part(self, names=("folders",), ranges={"share": (0, 1)}, positive=("every",))

    def contents(self) -> dict[str, str]:
        """What the folders hold."""
        return {"folders": f"{len(self.folders)}:digest"}


def test_what_decides_is_told_by_the_names_that_a_user_gives():
    assert made_from({"data": Part(["a", "b"], 1, 7)}) == {"data.share": "1.0", "data.folders": "2:digest"}
    assert Part(["a"]).folders == ("a",)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"folders": "abc"}, "Part.folders is 'abc', but must be a value of type list"),
        ({"folders": []}, r"Part.folders is \[\], but must be a list of names, as \[one\] or \[one,two\]"),
        ({"folders": [1]}, r"Part.folders is \[1\], but must be a list of names"),
        ({"folders": ["a"], "share": 2}, "Part.share is 2, but must be from 0 to 1"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, said):
    with pytest.raises(InputError, match=said):
        Part(**settings)
