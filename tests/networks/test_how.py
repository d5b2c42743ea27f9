"""HOW's network: what is pooled and how, against loops; what its file holds."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from localize.networks.how import How, HowSettings
from localize.types import InputError
from localize.weights.how import load_how, settings_of, write_how
from tests.networks.test_pooling import slow_gem, slow_unit

SMALL = HowSettings(backbone="small", dim=10)
ALL = dataclasses.replace(SMALL, smoothing="learned", side=5, second_order=True, gcn_layers=2, num_nodes=9)


def network(settings=SMALL) -> How:
    torch.manual_seed(0)
    return How(settings.make_backbone(), settings).eval()


def levels(*sizes, seed=0) -> list[torch.Tensor]:
    """Maps of the small trunk's 64 channels, of two images."""
    rng = torch.Generator().manual_seed(seed)
    return [torch.rand(2, 64, *size, generator=rng) for size in sizes]


def slow_how(net, maps, smooth):
    """The sum over places and scales; attention is that of the maps as they came."""
    weight, bias = net.reduction.weight[:, :, 0, 0].detach().numpy(), net.reduction.bias.detach().numpy()
    attention = [np.sqrt((of**2).sum(0)) for of in maps]
    largest, total = max(of.max() for of in attention), 0.0
    for of, strength in zip(maps, attention, strict=True):
        for y in range(of.shape[1]):
            for x in range(of.shape[2]):
                rows, columns = (slice(max(0, k - smooth), k + smooth + 1) for k in (y, x))
                reduced = weight @ of[:, rows, columns].mean((1, 2)) + bias
                total = total + strength[y, x] / largest * reduced
    return total / np.linalg.norm(total)


@pytest.mark.parametrize(("smoothing", "smooth"), [("average", 1), ("none", 0)])
def test_the_descriptor_is_the_slow_one_over_all_scales(smoothing, smooth):
    net, maps = network(dataclasses.replace(SMALL, smoothing=smoothing)), levels((4, 5), (2, 2), (1, 3))
    found = net.from_maps(*maps).detach().numpy()
    for b in range(2):
        np.testing.assert_allclose(found[b], slow_how(net, [of[b].numpy() for of in maps], smooth), atol=1e-5)


def test_gem_pools_before_the_reduction_with_a_power_of_its_own_for_each_channel():
    net, maps = network(dataclasses.replace(SMALL, smoothing="none", pooling="gem")), levels((4, 5), (2, 2))
    net.power.data.uniform_(1, 5)
    found = net.from_maps(*maps).detach().numpy()
    weight, bias = net.reduction.weight[:, :, 0, 0].detach().numpy(), net.reduction.bias.detach().numpy()
    for b in range(2):
        each = [slow_unit(slow_gem(of[b].numpy(), net.power.detach().numpy())) for of in maps]
        wanted = weight @ slow_unit(sum(each)) + bias
        np.testing.assert_allclose(found[b], wanted / np.linalg.norm(wanted), atol=1e-4)


def test_images_are_described_with_the_context_of_each_scale():
    net = network(ALL)
    images = 255 * torch.rand(2, 3, 50, 70, generator=torch.Generator().manual_seed(1))
    maps = net.backbone(images)
    torch.testing.assert_close(net(images), net.from_maps(maps))
    parts = [net.local(of) for of in (maps, maps[:, :, :2, :3])]
    assert [part[1].shape for part in parts] == [(2, 9, 10), (2, 6, 10)]  # nodes; fewer of a smaller map
    total = sum((attention[..., None] * nodes).sum(1) for attention, nodes, _ in parts)
    both = net.from_maps(maps, maps[:, :, :2, :3])
    torch.testing.assert_close(both, total / total.norm(dim=1, keepdim=True))
    gem = network(dataclasses.replace(ALL, pooling="gem"))
    nodes = gem.local(maps)[1][0].detach().numpy()
    wanted = slow_gem(nodes.T[..., None], 3.0)
    np.testing.assert_allclose(gem.from_maps(maps)[0].detach(), wanted / np.linalg.norm(wanted), atol=1e-4)


def test_at_the_start_context_changes_little_of_how():
    """The second-order block nothing, learned smoothing little: the descriptor is nearly that of the average."""
    maps = levels((12, 16))
    plain = network(dataclasses.replace(SMALL, smoothing="average"))
    context = network(dataclasses.replace(SMALL, smoothing="learned", second_order=True))
    context.reduction = plain.reduction
    assert (plain.from_maps(*maps) * context.from_maps(*maps)).sum(1).min() > 0.9999
    node = network(dataclasses.replace(SMALL, gcn_layers=1, num_nodes=12 * 16))
    node.reduction = plain.reduction
    attention, features, _ = plain.local(*maps)
    wanted = (attention[..., None] * torch.nn.functional.normalize(features, dim=2)).sum(1)
    torch.testing.assert_close(node.from_maps(*maps), torch.nn.functional.normalize(wanted, dim=1))


def test_norms_stay_as_they_are_in_training():
    net = network(ALL).train()
    before = {name: t.clone() for name, t in net.state_dict().items()}
    net(255 * torch.rand(2, 3, 40, 40)).sum().backward()
    assert all(torch.equal(t, before[name]) for name, t in net.state_dict().items())
    assert net.training
    assert net.smoothing.generator[2].weight.grad.abs().max() > 0


def test_a_reduction_that_was_learned_takes_the_place_of_its_own():
    net, maps = network(), levels((3, 4))
    mean, projection = torch.rand(64), torch.randn(7, 64)
    other = net.whitened_by(mean, projection)
    local, (smooth, _) = other.local(*maps)[1], net.smoothed(*maps)
    wanted = (smooth.flatten(2).mT - mean) @ projection.T
    torch.testing.assert_close(local[..., :7], wanted, rtol=1e-4, atol=1e-4)
    assert not local[..., 7:].any()
    assert other.backbone is net.backbone
    assert other.reduction is not net.reduction


@pytest.mark.parametrize("settings", [SMALL, ALL, dataclasses.replace(SMALL, pooling="gem")], ids=str)
def test_a_file_holds_all_of_a_network(tmp_path, settings):
    net, path, maps = network(settings), tmp_path / "how.safetensors", levels((6, 7))
    write_how(path, net, {"trained": "never"})
    again = load_how(path)
    assert again.settings == settings_of(path) == settings
    assert (again.from_maps(*maps) * net.from_maps(*maps)).sum(1).min() > 0.9999  # half precision
    for name, tensor in net.backbone.state_dict().items():
        torch.testing.assert_close(again.backbone.state_dict()[name], tensor, rtol=1e-3, atol=1e-4)


def test_other_files_are_told_from_it(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(1)}, path)
    assert settings_of(path) is None
    with pytest.raises(InputError, match="another network: give weights of HOW"):
        load_how(path)
    for settings in ({"smoothing": "some"}, {"width": 3}):
        save_file({"a": torch.zeros(1)}, path, {"network": "how", "settings": json.dumps(settings)})
        with pytest.raises(InputError, match="not understood"):
            settings_of(path)
    write_how(path, network(ALL))
    tensors = load_file(path)
    del tensors["smoothing.generator.2.weight"]
    told = {"network": "how", "settings": json.dumps(dataclasses.asdict(ALL))}
    save_file(tensors, path, told)
    with pytest.raises(InputError, match=r"other tensors \(smoothing\.generator\.2\.weight\)"):
        load_how(path)
