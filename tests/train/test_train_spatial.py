"""Training HOW's spatial context: the loss, what is frozen and when, and that it goes on where it stopped."""

import dataclasses

import numpy as np
import pytest
import torch

from localize.networks.backbones import BACKBONES
from localize.pipelines.training import train_spatial
from localize.retrieval.how import How
from localize.train.compact.recognition import Recognition
from localize.train.loop.machine import Machine
from localize.train.loop.training import Training
from localize.train.spatial import parts as spatial_parts
from localize.train.spatial.judge import SpatialJudge
from localize.train.spatial.learner import described
from localize.train.spatial.loss import SpatialLoss
from localize.train.spatial.maps import Light, TrunkMaps
from localize.train.spatial.parts import SpatialStart
from localize.train.spatial.recipe import SpatialLoop
from localize.types import InputError
from localize.weights.how import load_how
from tests.generated_photos import textured
from tests.train.killed import copied_at
from tests.train.spatial_data import small_parts

LOOP = {"steps": 4, "epoch_steps": 2, "checkpoint_every": 1, "validate_every": 4, "precision": "float32"}


class Tiny(torch.nn.Module):
    """A backbone of one convolution and a norm, 8 px a cell."""

    channels, stride, offset = 24, 8, 0.0

    def __init__(self):
        super().__init__()
        self.body = torch.nn.Sequential(torch.nn.Conv2d(3, 24, 8, 8), torch.nn.BatchNorm2d(24), torch.nn.ReLU())

    def forward(self, images):
        return self.body(images / 128 - 1)


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    def load(name, path, **settings):
        with torch.random.fork_rng():
            torch.manual_seed(7)
            return Tiny().eval()

    monkeypatch.setitem(BACKBONES, "compact", Tiny)
    monkeypatch.setattr(spatial_parts, "load_backbone", load)


def test_the_contrastive_loss_is_its_definition():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(9, 4)) + 2  # near enough to each other
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    tuples = np.array([[0, 1, 2, 3], [4, 0, 5, 8]])
    expected = {"positive": 0.0, "negative": 0.0}
    for query, positive, *negatives in tuples:
        expected["positive"] += 0.5 * np.linalg.norm(x[query] - x[positive]) ** 2
        for negative in negatives:
            expected["negative"] += 0.5 * max(0, 0.8 - np.linalg.norm(x[query] - x[negative])) ** 2
    found = SpatialLoss().terms(torch.from_numpy(x), torch.from_numpy(tuples))
    assert {k: v.item() for k, v in found.items()} == pytest.approx(expected)
    assert expected["negative"] > 0.01


def test_equal_descriptors_have_a_slope_that_is_a_number():
    x = torch.ones(3, 4, requires_grad=True)
    sum(SpatialLoss().terms(x, torch.tensor([[0, 1, 2]])).values()).backward()
    assert x.grad.isfinite().all()


def test_it_goes_on_bit_for_bit_in_the_middle_of_an_epoch_and_with_the_trunk_frozen_then_not(tmp_path):
    parts = small_parts(tmp_path, smoothing="learned", gcn_layers=1) | {"loop": SpatialLoop(**LOOP, trunk_rate=1e-3)}
    with copied_at(1, tmp_path / "early"), copied_at(3, tmp_path / "late"):
        said = train_spatial.run(output=str(tmp_path / "whole"), **parts)
    assert "how after 4 steps: recall at 1" in said
    assert "Visual words" in said
    whole = load_how(tmp_path / "whole" / "how.safetensors").state_dict()
    for name in ("early", "late"):
        train_spatial.run(output=str(tmp_path / name), **parts)
        found = load_how(tmp_path / name / "how.safetensors").state_dict()
        assert all(torch.equal(whole[k], found[k]) for k in whole), name
    network, photo = load_how(tmp_path / "whole" / "how.safetensors"), textured(1, (96, 80))
    with torch.no_grad():
        expected = network(torch.tensor(photo.transpose(2, 0, 1)[None]).float())[0].numpy()
    used = How(weights=str(tmp_path / "whole" / "how.safetensors"), max_edge_px=96, scales=(1.0,), precision="float32")
    assert np.allclose(used.describe(photo, used.fit([])), expected, atol=1e-5)
    other = parts | {"data": dataclasses.replace(parts["data"], negatives=2)}
    with pytest.raises(InputError, match=r"pipeline\.data\.negatives 3, but now it is 2"):
        train_spatial.run(output=str(tmp_path / "whole"), **other)


def trained(root, steps, gcn_layers=0, **loop):
    """(the learner, its state before, the curve, the photos' maps)."""
    parts = small_parts(root, smoothing="learned", gcn_layers=gcn_layers)
    settings = SpatialLoop(**LOOP | {"steps": steps} | loop)
    training = Training(str(root / "out"), 1, False, loop=settings)
    learner = training.started(parts["start"].module)
    maps = parts["data"].trunk_maps(learner, parts["start"], settings.machine(), root / "out")
    batches = parts["data"].batches(learner, maps, settings, root / "out")
    before = {name: value.clone() for name, value in learner.state_dict().items()}
    curve = training.run(learner, batches, SpatialLoss(), lambda *_: {"none": 0.0})
    return learner, before, curve, maps


@pytest.mark.parametrize("frozen", [0.5, 1.0])
def test_the_trunk_is_frozen_for_its_share_of_the_epochs(tmp_path, frozen):
    learner, before, curve, maps = trained(tmp_path, 4, frozen=frozen, trunk_rate=1e-3, decay=0.5)
    changed = {name for name, value in learner.state_dict().items() if not torch.equal(value, before[name])}
    assert any("backbone" in name and "weight" in name for name in changed) == (frozen < 1)
    assert not any("running" in name or "reduction" in name for name in changed)  # norms and reduction never learn
    assert any("smoothing" in name for name in changed)
    assert curve.column("learning_rate")[1] == [1e-4, 1e-4, 5e-5, 5e-5]
    assert bool(learner.moved) == (frozen < 1)
    found = described(learner, maps, range(3))  # by the trunk as it is now, not by what was kept of it
    with torch.no_grad():
        direct = [learner.how(maps.image(i)[None])[0].numpy() for i in range(3)]
    assert np.allclose(found, direct, atol=2e-3)


def test_only_what_is_thawed_has_learned_by_the_first_half(tmp_path):
    with copied_at(2, tmp_path / "half"):  # the row of the first step of the second half: nothing thawed yet
        _, before, _, _ = trained(tmp_path, 4, trunk_rate=1e-3)
    half = torch.load(tmp_path / "half" / "checkpoint.pt", weights_only=True)["module"]
    assert all(torch.equal(half[name], before[name]) for name in half if "backbone" in name)


def test_a_few_steps_bring_photos_of_one_place_together(tmp_path):
    learner, before, _, maps = trained(tmp_path, 20, frozen=1.0, learning_rate=0.01, epoch_steps=10, gcn_layers=1)
    tuples = torch.from_numpy(np.load(tmp_path / "out" / "tuples" / "0000.npy"))

    def loss():
        vectors = torch.from_numpy(described(learner, maps, range(len(maps.paths))))
        return sum(SpatialLoss().terms(vectors, tuples).values()).item()

    after = loss()
    learner.load_state_dict(before)
    assert after < 0.9 * loss()


def test_kept_maps_are_the_trunks_and_another_training_does_not_take_them(tmp_path):
    paths = [tmp_path / "train" / "00a.png"]
    small_parts(tmp_path)
    trunk, machine = Tiny().eval(), Machine("cpu", "float32")
    maps = TrunkMaps(paths, Light(96, 3), trunk, machine, tmp_path / "maps", {"weights": "1"})
    first = maps.kept(0, 2)
    assert torch.allclose(first.float(), trunk(maps.image(0, 2)[None])[0], atol=2e-3)
    assert not torch.allclose(first, maps.kept(0))  # another light
    again = TrunkMaps(paths, Light(96, 3), Tiny().eval(), machine, tmp_path / "maps", {"weights": "1"})
    assert torch.equal(first, again.kept(0, 2))
    other = TrunkMaps(paths, Light(96, 3), Tiny().eval(), machine, tmp_path / "maps", {"weights": "2"})
    assert not torch.equal(first, other.kept(0, 2))


def test_what_has_nothing_to_learn_or_is_of_another_network_is_refused(tmp_path):
    parts = small_parts(tmp_path, smoothing="none") | {"loop": SpatialLoop(**LOOP, frozen=1.0)}
    with pytest.raises(InputError, match="nothing of this network learns"):
        train_spatial.run(output=str(tmp_path / "out"), **parts)
    with pytest.raises(InputError, match="must be a multiple of epoch_steps"):
        SpatialLoop(steps=7, epoch_steps=2)
    with pytest.raises(InputError, match="there is nothing to train on"):
        dataclasses.replace(parts["data"], photos=()).contents()
    for wrong in ({"side": 4}, {"stage": 7}, {"preprocessing": "none"}):
        with pytest.raises(InputError, match=f"{next(iter(wrong))} is .*, but must be"):
            SpatialStart(**wrong)


def test_files_of_others_are_not_deleted_to_keep_maps(tmp_path):
    np.save(tmp_path / "mine.npy", np.zeros(1))
    with pytest.raises(InputError, match="give another folder"):
        TrunkMaps([], Light(), None, None, tmp_path, {"weights": "1"})
    assert (tmp_path / "mine.npy").is_file()


def test_trained_weights_are_gone_on_from(tmp_path):
    parts = small_parts(tmp_path, smoothing="learned") | {"loop": SpatialLoop(**LOOP, frozen=1.0)}
    train_spatial.run(output=str(tmp_path / "first"), **parts)
    weights = str(tmp_path / "first" / "how.safetensors")
    again = SpatialStart(dim=16, weights=weights)
    assert not again.is_new()
    known, learner = load_how(weights).state_dict(), again.module()
    assert all(torch.equal(value, known[name]) for name, value in learner.how.state_dict().items())
    learn = {name for name, p in learner.named_parameters() if p.requires_grad}
    assert "how.reduction.weight" not in learn
    assert any("smoothing" in name for name in learn)
    with pytest.raises(InputError, match="of a network with side 3, not 5"):
        SpatialStart(dim=16, side=5, weights=weights).module()


def test_the_judge_counts_right_references_and_visual_words(tmp_path):
    recognition = object.__new__(Recognition)
    recognition.right = np.array([[True, False, True], [False, False, False]])
    judge = SpatialJudge(recognition, None, None, words=0, strongest=1)
    ranked = np.array([[0.9, 0.5, 0.1], [0.1, 0.2, 0.3]])  # right at ranks 0 and 2; the second query has no reference
    assert judge.mean_average_precision(ranked) == pytest.approx(100 * ((1 + 1) / 2 + (1 / 2 + 2 / 3) / 2) / 2)
