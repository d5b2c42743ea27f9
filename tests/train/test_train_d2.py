"""Training D2: it goes on where it stopped, and writes what the features read."""

import csv
import dataclasses

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from localize.networks.d2_small import D2Small
from localize.pipelines.training import train_d2
from localize.train.d2.accuracy import MatchingAccuracy
from localize.train.d2.batches import D2Batches
from localize.train.d2.data import D2Data, D2Validation
from localize.train.d2.loss import D2Loss
from localize.train.d2.network import D2Training, d2_training_network
from localize.train.d2.photos import WarpedPhotos
from localize.train.d2.start import D2Start
from localize.train.loop.machine import Machine
from localize.train.loop.training_loop import TrainingLoop
from localize.types import InputError
from localize.weights.d2 import load_d2
from localize.weights.shipped import FOLDER
from localize.weights.tensors import read_tensors, write_tensors
from tests.train.d2_data import write_photos, write_sequence, write_town
from tests.train.killed import copied_at


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return write_photos(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def sequence(tmp_path_factory):
    return write_sequence(tmp_path_factory.mktemp("v_blobs"))


@pytest.fixture(scope="module")
def parts(photos, sequence, tmp_path_factory):
    """The arguments of a short training."""
    town = write_town(tmp_path_factory.mktemp("town"))
    loop = TrainingLoop(steps=4, learning_rate=0.001, checkpoint_every=2, validate_every=3, precision="float32")
    return {
        "data": D2Data((str(photos),), (str(town),), size=64, min_matches=20),
        "validation": D2Validation([str(sequence)]),
        "loss": D2Loss(contrast=1.0, warmup=2),
        "loop": loop,
    }


@pytest.fixture(scope="module")
def finished(parts, tmp_path_factory):
    output = tmp_path_factory.mktemp("trained")
    with copied_at(3, output / "killed"):
        return output, train_d2.run(output=str(output), **parts)


def rows(output):
    with open(output / "curve.csv", newline="") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def test_it_trains_and_says_what_came_out(finished):
    output, said = finished
    course = rows(output)
    assert [int(r["step"]) for r in course if r["mma"]] == [0, 3, 4]
    assert float(course[0]["D2"]) < float(course[-2]["D2"])  # its weight grows
    assert (output / "training.png").read_bytes().startswith(b"\x89PNG")
    assert f"feature=d2net feature.backbone=small feature.weights={output}/weights.safetensors" in said
    tensors, metadata = read_tensors(output / "weights.safetensors")
    assert {"trunk", "head"} == {name.split(".")[0] for name in tensors}
    assert metadata["mma"] == course[-1]["mma"]
    assert metadata["network"] == "small"


def test_killed_it_goes_on_to_the_same_weights(finished, parts):
    killed = finished[0] / "killed"
    train_d2.run(output=str(killed), **parts)
    assert rows(killed) == rows(finished[0])
    here, there = (load_file(f / "weights.safetensors") for f in (killed, finished[0]))
    assert all(torch.equal(here[name], there[name]) for name in there)
    other = parts | {"loss": dataclasses.replace(parts["loss"], contrast=0.5)}
    with pytest.raises(InputError, match=r"pipeline\.loss\.contrast 1\.0, but now it is 0\.5"):
        train_d2.run(output=str(killed), **other)


def test_a_head_on_a_given_trunk_leaves_the_trunk_alone(finished, parts, tmp_path):
    trunk = str(finished[0] / "weights.safetensors")
    changes = {"start": D2Start(train_layers="head", trunk=trunk), "loop": dataclasses.replace(parts["loop"], steps=2)}
    train_d2.run(output=str(tmp_path), **parts | changes)
    tensors, metadata = read_tensors(tmp_path / "weights.safetensors")
    assert {name.split(".")[0] for name in tensors} == {"head"}
    assert metadata["trunk"] == trunk
    assert load_d2(tmp_path / "weights.safetensors", "small", trunk).channels == 128
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["module"]
    for name, tensor in read_tensors(trunk)[0].items():
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(state[f"network.{name}"], tensor.float()) == name.startswith("trunk."), name


def test_the_head_that_ships_is_of_the_trunk_that_ships_and_refuses_another(tmp_path):
    head, trunk = FOLDER / "d2_small.safetensors", FOLDER / "compact.safetensors"
    assert load_d2(head, "small", trunk).channels == 128
    other = tmp_path / "other.safetensors"
    write_tensors(other, D2Small(), {})
    with pytest.raises(InputError, match=r"d2_small\.safetensors was trained on another trunk than .*other"):
        load_d2(head, "small", other)


def test_of_vgg16_only_conv4_3_learns(photos):
    module = D2Training(d2_training_network("vgg16"), "head")
    learns = [name for name, p in module.named_parameters() if p.requires_grad]
    assert learns == ["network.features.21.weight", "network.features.21.bias"]
    source = WarpedPhotos((str(photos / "0.png"),), 64)
    batch = D2Batches([source], [1], module.network, min_matches=10)(0)
    maps = module(batch.images)
    assert maps.shape == (2, 512, 8, 8)
    sum(D2Loss()(maps, batch.matches).values()).backward()
    assert module.network.features[-1].weight.grad.abs().sum() > 0


def test_matching_accuracy_of_a_network_that_sees_the_same_everywhere_is_perfect(sequence):
    torch.manual_seed(0)
    module = D2Training(d2_training_network("small"), "all").eval()
    with torch.inference_mode():
        found = MatchingAccuracy([str(sequence)])(module, Machine("cpu", "float32"))
    assert found["mma"] > 85  # shifted by cells, it is the same map but for the border
    assert found["matches"] > 20
    homographies = MatchingAccuracy([str(sequence)], edge_px=56).sequences[0][1]  # half as large
    np.testing.assert_allclose(homographies[5], [[1, 0, -10], [0, 1, 0], [0, 0, 1]], atol=1e-9)


def test_settings_are_checked_before_the_work(run_cli, tmp_path):
    given = "+pipeline=train_d2", f"pipeline.validation.sequences=[{tmp_path}]"
    for setting, said in (
        ("pipeline.start.network=alexnet", "D2Start.network is 'alexnet', but must be one of: small, vgg16"),
        ("pipeline.data.size=100", "D2Data.size is 100, but must be a multiple of 8"),
        ("workers=1", "there is nothing to train on"),
    ):
        code, printed = run_cli(*given, setting)
        assert (code, said in printed) == (2, True), printed
