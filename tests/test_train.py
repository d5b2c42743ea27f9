"""Training: it learns, goes on after kill -9 as if nothing had happened, and says what it cannot use."""

import csv
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from localize.io.network_weights import load_weights
from localize.io.phototour import write_phototour
from localize.pipelines import train_crbnet
from localize.train.loop.curve import TrainingCurve
from localize.train.loop.training_loop import TrainingLoop
from localize.types import InputError

from .conftest import CHECKOUT

SETTINGS = {
    "network": "l2net128",
    "steps": 30,
    "pairs_per_batch": 16,
    "learning_rate": 0.003,
    "checkpoint_every": 12,
    "validate_every": 10,
}
KILLED_IN = 20  # a step after a checkpoint and a validation

KILLED = """
import os, signal, sys
from localize.pipelines import train_crbnet
from localize.train.loop.curve import TrainingCurve

append = TrainingCurve.append

def die(self, step, **values):
    append(self, step, **values)
    if step == int(sys.argv[1]):
        with open(self.path, "a") as file:
            file.write("21,0.5")  # half a row
        os.kill(os.getpid(), signal.SIGKILL)

TrainingCurve.append = die
train_crbnet.run(**eval(sys.argv[2]))
"""


def random_patches(num_points, per_point, seed, side=64):
    """Patches of one point share a texture, under a strong shading of their own."""
    rng = np.random.default_rng(seed)
    texture = gaussian_filter(rng.normal(size=(num_points, side, side)), (0, 4, 4))
    shading = gaussian_filter(rng.normal(size=(per_point, num_points, side, side)), (0, 0, 14, 14))
    x = texture / texture.std() + 1.5 * shading / shading.std()
    x = (128 + 30 * x + rng.normal(0, 6, x.shape)).clip(0, 255).astype(np.uint8)
    return x.reshape(-1, side, side), np.tile(np.arange(num_points), per_point)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("patches")
    for name, num_points, seed in (("train", 64, 0), ("validation", 80, 1)):
        write_phototour(root / name, *random_patches(num_points, 4, seed))
    return {name: [str(root / name)] for name in ("train", "validation")}


@pytest.fixture(scope="module")
def finished(folders, tmp_path_factory):
    """The output of a training that nobody stopped, and what it said."""
    output = tmp_path_factory.mktemp("trained")
    return output, train_crbnet.run(output=str(output), **folders, **SETTINGS)


def curve(output):
    with open(output / "curve.csv", newline="") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def weights(output):
    module, metadata = load_weights(output / "weights.safetensors")
    return module.state_dict(), metadata


def test_it_learns_and_says_what_came_out(finished):
    output, said = finished
    rows = curve(output)
    assert [int(row["step"]) for row in rows] == list(range(31))
    first, last = (np.mean([[float(r[t]) for t in ("H_d", "H_dw")] for r in rs], 0) for rs in (rows[:3], rows[-4:-1]))
    assert (last < first - 0.1).all()
    before, after = ([float(rows[i][f"fpr95_{kind}"]) for kind in ("real", "binary")] for i in (0, -1))
    assert np.less(after, np.array(before) / 2).all(), (before, after)
    assert float(rows[0]["learning_rate"]) == 0.003
    assert float(rows[29]["learning_rate"]) == pytest.approx(0.0001)
    assert [int(r["step"]) for r in rows if r["fpr95_real"]] == [0, 10, 20, 30]
    assert (output / "training.png").read_bytes().startswith(b"\x89PNG")
    metadata = weights(output)[1]
    assert metadata["network"] == "l2net128"
    assert metadata["fpr95_real"] == rows[-1]["fpr95_real"]
    assert f"from {before[0]:.2f} to {after[0]:.2f} % real-valued" in said
    assert f"to {after[1]:.2f} % binary" in said
    assert f"feature=sift_crbnet feature.weights={output}/weights.safetensors" in said


def test_killed_it_goes_on_to_the_same_curve_and_weights(finished, folders, tmp_path):
    call = {"output": str(tmp_path), **folders, **SETTINGS}
    killed = [sys.executable, "-c", KILLED, str(KILLED_IN), repr(call)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(killed, cwd=CHECKOUT, env=environment, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not (tmp_path / "weights.safetensors").exists()
    assert (tmp_path / "curve.csv").read_text().endswith("\n21,0.5")
    mtime = (tmp_path / "checkpoint.pt").stat().st_mtime_ns
    train_crbnet.run(**call)
    assert (tmp_path / "checkpoint.pt").stat().st_mtime_ns > mtime
    assert curve(tmp_path) == curve(finished[0])
    here, there = weights(tmp_path)[0], weights(finished[0])[0]
    assert all(torch.equal(here[name], there[name]) for name in there)
    train_crbnet.run(**call)  # finished: nothing is trained again
    assert curve(tmp_path) == curve(finished[0])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"learning_rate": 0.01}, "learning_rate 0.003, but now it is 0.01: take another hydra.run.dir"),
        ({"bits": False}, "bits True, but now it is False"),
        ({"train": ["validation"]}, "train patches 256:"),
    ],
)
def test_a_checkpoint_of_another_training_is_refused(finished, folders, change, said):
    if "train" in change:
        change = {"train": folders["validation"], "validation": folders["train"]}
    with pytest.raises(InputError) as refused:
        train_crbnet.run(output=str(finished[0]), **folders | SETTINGS | change)
    assert len(refused.value.problems) == 1
    assert "checkpoint.pt is of a training with" in str(refused.value)
    assert said in str(refused.value)


def test_patches_to_learn_from_are_none_to_validate_on(folders, tmp_path):
    with pytest.raises(InputError, match=r"in pipeline.train and in pipeline.validation; validate on other places"):
        train_crbnet.run(output=str(tmp_path), **folders | SETTINGS | {"validation": folders["train"]})


def test_a_folder_that_would_be_counted_twice_is_refused(folders, tmp_path):
    twice = {"train": folders["train"] * 2}
    with pytest.raises(InputError, match="names a folder twice"):
        train_crbnet.run(output=str(tmp_path), **folders | SETTINGS | twice)
    copy = shutil.copytree(folders["train"][0], tmp_path / "copy")
    with pytest.raises(InputError, match=r"holds the patches of one of pipeline\.train"):
        train_crbnet.run(output=str(tmp_path), **folders | SETTINGS | {"validation": [str(copy)]})


def test_a_damaged_checkpoint_is_named(finished, folders, tmp_path):
    (tmp_path / "checkpoint.pt").write_bytes((finished[0] / "checkpoint.pt").read_bytes()[:5000])
    with pytest.raises(InputError, match=r"checkpoint\.pt is damaged .* delete it"):
        train_crbnet.run(output=str(tmp_path), **folders, **SETTINGS)


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

    with pytest.raises(InputError, match=rf"{said} .*no number.*smaller learning_rate.*point\.pt, is kept"):
        run(broken_from=5)
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["done"] == 4
    resumed = run(broken_from=99)
    assert resumed.column("root")[0] == list(range(9))
    rates = [0.01 * (9 - step) / 9 for step in range(9)]
    assert resumed.column("learning_rate")[1] == pytest.approx(rates)
    assert resumed.column("weight")[1][-1] == pytest.approx(1 - sum(rates), abs=1e-3)  # so far goes Adam down a slope


def test_fine_tuning_starts_from_the_weights(finished, folders, tmp_path):
    start_from = str(finished[0] / "weights.safetensors")
    train_crbnet.run(output=str(tmp_path), **folders, **SETTINGS | {"steps": 1}, start_from=start_from)
    before = float(curve(finished[0])[-1]["fpr95_real"])
    assert float(curve(tmp_path)[0]["fpr95_real"]) == pytest.approx(before, abs=0.5)
    with pytest.raises(InputError, match=r"of another network: add pipeline\.network=l2net128"):
        train_crbnet.run(output=str(tmp_path), **folders, start_from=start_from)


def test_settings_are_checked_before_the_work(run_cli, tmp_path):
    code, said = run_cli(
        "+pipeline=train_crbnet",
        f"pipeline.train=[{tmp_path}/none]",
        "pipeline.validation=abc",
        "pipeline.network=alexnet",
        "pipeline.augment=2",
    )
    assert code == 2
    assert "pipeline.validation is 'abc', but must be a list of folders" in said
    assert "pipeline.network is 'alexnet', but must be one of: crbnet256, crbnet256_lite, l2net128" in said
    assert "pipeline.augment is 2, but must be a number from 0 to 1" in said
    code, said = run_cli("+pipeline=train_crbnet", f"pipeline.train=[{tmp_path}/none]", "pipeline.validation=[x]")
    assert code == 2
    assert f"folder {tmp_path}/none is missing" in said
