"""Training CRBNet: it learns, all that decides it is compared, and it says what it cannot use."""

import csv
import dataclasses
import shutil

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from localize.io.benchmarks.phototour import write_phototour
from localize.pipelines.training import train_crbnet
from localize.train.crbnet.loss import CrbnetLoss
from localize.train.crbnet.parts import PatchData, PatchStart, PatchValidation
from localize.train.loop.training_loop import TrainingLoop
from localize.types import InputError
from localize.weights.patches import load_weights
from tests.train.killed import copied_at


def random_patches(num_points, per_point, seed, side=64):
    """Patches of one point share a texture, under a strong shading of their own."""
    rng = np.random.default_rng(seed)
    texture = gaussian_filter(rng.normal(size=(num_points, side, side)), (0, 4, 4))
    shading = gaussian_filter(rng.normal(size=(per_point, num_points, side, side)), (0, 0, 14, 14))
    x = texture / texture.std() + 1.5 * shading / shading.std()
    x = (128 + 30 * x + rng.normal(0, 6, x.shape)).clip(0, 255).astype(np.uint8)
    return x.reshape(-1, side, side), np.tile(np.arange(num_points), per_point)


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """The arguments of a short training."""
    root = tmp_path_factory.mktemp("patches")
    for name, num_points, seed in (("train", 64, 0), ("validation", 60, 1)):
        write_phototour(root / name, *random_patches(num_points, 4, seed))
    return {
        "data": PatchData([str(root / "train")], pairs_per_batch=16),
        "validation": PatchValidation([str(root / "validation")]),
        "start": PatchStart("l2net128"),
        "loop": TrainingLoop(steps=20, learning_rate=0.003, checkpoint_every=9, validate_every=10, precision="float32"),
    }


@pytest.fixture(scope="module")
def finished(parts, tmp_path_factory):
    """The output of a training that nobody stopped, and what it said."""
    output = tmp_path_factory.mktemp("trained")
    with copied_at(19, output / "killed"):
        return output, train_crbnet.run(output=str(output), **parts)


def changed(parts, role, **settings):
    return parts | {role: dataclasses.replace(parts[role], **settings)}


def curve(output):
    with open(output / "curve.csv", newline="") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def test_it_learns_and_says_what_came_out(finished):
    output, said = finished
    rows = curve(output)
    assert [int(row["step"]) for row in rows] == list(range(21))
    first, last = (np.mean([[float(r[t]) for t in ("H_d", "H_dw")] for r in rs], 0) for rs in (rows[:3], rows[-4:-1]))
    assert (last < first - 0.1).all()
    before, after = ([float(rows[i][f"fpr95_{kind}"]) for kind in ("real", "binary")] for i in (0, -1))
    assert np.less(after, np.array(before) / 2).all(), (before, after)
    assert float(rows[0]["learning_rate"]) == 0.003
    assert [int(r["step"]) for r in rows if r["fpr95_real"]] == [0, 10, 20]
    assert (output / "training.png").read_bytes().startswith(b"\x89PNG")
    metadata = load_weights(output / "weights.safetensors")[1]
    assert metadata["network"] == metadata["start.network"] == "l2net128"
    assert metadata["fpr95_real"] == rows[-1]["fpr95_real"]
    assert metadata["loss.sos_mask"] == "union4_sym"
    assert f"FPR95 real-valued from {before[0]:.2f} to {after[0]:.2f} %, FPR95 binary" in said
    assert f"feature=sift_crbnet feature.weights={output}/weights.safetensors" in said


def test_killed_it_goes_on_to_the_same_weights(finished, parts):
    killed = finished[0] / "killed"
    assert len(curve(killed)) == 20
    train_crbnet.run(output=str(killed), **parts)
    assert curve(killed) == curve(finished[0])
    here, there = (load_weights(f / "weights.safetensors")[0].state_dict() for f in (killed, finished[0]))
    assert all(torch.equal(here[name], there[name]) for name in there)


@pytest.mark.parametrize(
    ("role", "setting", "said"),
    [
        ("loop", {"learning_rate": 0.01}, "pipeline.loop.learning_rate 0.003, but now it is 0.01: take another hydra"),
        ("loss", {"bits": False}, "pipeline.loss.bits True, but now it is False"),
        ("loss", {"sos_mask": "paper"}, "pipeline.loss.sos_mask union4_sym, but now it is paper"),
        ("data", {}, "pipeline.data.patches 256:"),
    ],
)
def test_a_checkpoint_of_another_training_is_refused(finished, parts, role, setting, said):
    given = changed(parts | {"loss": CrbnetLoss()}, role, **setting)
    if role == "data":
        folders = parts["validation"].patches, parts["data"].patches
        given = changed(changed(parts, "data", patches=folders[0]), "validation", patches=folders[1])
    with pytest.raises(InputError) as refused:
        train_crbnet.run(output=str(finished[0]), **given)
    assert len(refused.value.problems) == 1
    assert "checkpoint.pt is of a training with" in str(refused.value)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("losses", "terms", "steps"),
    [
        ("ours", {"H_d", "R_sos", "H_dw"}, 3),
        ("sosnet", {"H_d", "R_sos"}, 3),
        ("hardnet", {"H_d"}, 3),
        ("paper", {"H_d", "R_sos", "H_dw"}, 16),
    ],
)
def test_one_word_makes_the_losses_of_the_paper_and_of_its_sources(losses, terms, steps, parts, tmp_path, run_cli):
    """The card has every option that was used; a field given beside the word counts."""
    data, validation = parts["data"].patches[0], parts["validation"].patches[0]
    epochs = 2 if losses == "paper" else "null"
    code, said = run_cli(
        *("+pipeline=train_crbnet", f"pipeline.losses={losses}", f"pipeline.data.patches=[{data}]"),
        *(
            f"pipeline.validation.patches=[{validation}]",
            "pipeline.data.pairs_per_batch=16",
            f"pipeline.epochs={epochs}",
        ),
        *("pipeline.loop.steps=3", "pipeline.start.network=l2net128", "pipeline.loop.precision=float32", "workers=1"),
        f"hydra.run.dir={tmp_path}/out",
    )
    assert code == 0, said
    rows = curve(tmp_path / "out")
    assert len(rows) == steps + 1  # 256 patches, 32 in a batch: 8 steps each time
    assert {column for column in rows[0] if column[:2] in ("H_", "R_")} == terms
    card = load_weights(tmp_path / "out/weights.safetensors")[1]
    wanted = {
        "ours": ("cross", "1", "union4_sym", "linear", "0.5"),
        "paper": ("cross", "1", "paper", "none", "0.0"),
        "sosnet": ("cross+intra", "2", "union4_sym", "none", "0.0"),
        "hardnet": ("cross", "1", "union4_sym", "linear", "0.0"),
    }[losses]
    names = ("loss.negatives", "loss.hinge_power", "loss.sos_mask", "loop.schedule", "data.augment")
    assert tuple(card[name] for name in names) == wanted
    assert card["data.pairs_per_batch"] == "16"


def test_patches_that_would_count_twice_are_refused(parts, tmp_path):
    folder = parts["data"].patches[0]
    copy = str(shutil.copytree(folder, tmp_path / "copy"))
    with pytest.raises(InputError, match="names the same patches twice"):
        train_crbnet.run(output=str(tmp_path), **changed(parts, "data", patches=[folder, copy]))
    with pytest.raises(InputError, match=r"holds the patches of one of pipeline\.data\.patches: validate on other"):
        train_crbnet.run(output=str(tmp_path), **changed(parts, "validation", patches=[copy]))


def test_fine_tuning_starts_from_the_weights(finished, parts, tmp_path):
    weights = str(finished[0] / "weights.safetensors")
    start = changed(changed(parts, "start", weights=weights), "loop", steps=1)
    train_crbnet.run(output=str(tmp_path), **start)
    before = float(curve(finished[0])[-1]["fpr95_real"])
    assert float(curve(tmp_path)[0]["fpr95_real"]) == pytest.approx(before, abs=0.5)
    with pytest.raises(InputError, match=r"of another network: add pipeline\.start\.network=l2net128"):
        PatchStart(weights=weights).module()


def test_settings_are_checked_before_the_work(run_cli, tmp_path):
    given = "+pipeline=train_crbnet", f"pipeline.data.patches=[{tmp_path}/none]", "pipeline.validation.patches=[x]"
    for setting, said in (
        (
            "pipeline.start.network=alexnet",
            "PatchStart.network is 'alexnet', but must be one of: crbnet256, crbnet256_",
        ),
        ("pipeline.data.augment=2", "PatchData.augment is 2, but must be from 0 to 1"),
        ("pipeline.loss.hinge=2", "there is no setting pipeline.loss.hinge (did you mean hinge_power?); valid: bits,"),
        (
            "pipeline.validation.patches=???",
            "pipeline.validation.patches must be given: add pipeline.validation.patches=",
        ),
        ("workers=1", f"folder {tmp_path}/none is missing"),
    ):
        code, printed = run_cli(*given, setting)
        assert (code, said in printed) == (2, True), printed
