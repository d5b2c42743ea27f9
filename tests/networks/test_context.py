"""Modules of spatial context against slow twins, written from the specification: loops over places, nodes, channels."""

import math

import numpy as np
import pytest
import torch

from localize.networks.context import AverageSmoothing, ContextGCN, LearnableSmoothing, SecondOrder

SIZES = [(5, 7), (1, 1), (2, 1), (3, 9)]  # of which some are smaller than what is smoothed over


def spread(module: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """The module with other parameters than at its start, in float64, so that each of them matters."""
    rng = torch.Generator().manual_seed(seed)
    for p in module.double().parameters():
        p.data.add_(0.3 * torch.randn(p.shape, generator=rng, dtype=p.dtype))
    return module


def maps_of(size, channels=6, seed=0) -> torch.Tensor:
    return torch.rand(2, channels, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def conv(layer, x):
    """A 1 x 1 convolution at one place (C,)."""
    return layer.weight[:, :, 0, 0].detach().numpy() @ x + layer.bias.detach().numpy()


def slow_smoothing(module, maps):
    def kernel(x):
        hidden = np.maximum(conv(module.generator[0], x / np.sqrt((x**2).sum())), 0)
        made = conv(module.generator[2], hidden)
        bandwidth, confidence = math.log1p(math.exp(made[-2])), 1 / (1 + math.exp(-made[-1]))
        fixed = module.bandwidth == "fixed", module.confidence == "fixed"
        return made[:-2], 1 if fixed[0] else bandwidth, 1 if fixed[1] else confidence

    reach, (_, height, width) = module.side // 2, maps.shape
    out = np.zeros_like(maps)
    for y in range(height):
        for x in range(width):
            f, a, c = kernel(maps[:, y, x])
            total = 0.0
            for v in range(max(0, y - reach), min(height, y + reach + 1)):
                for u in range(max(0, x - reach), min(width, x + reach + 1)):
                    weight = c if (u, v) == (x, y) else math.exp(-a * ((f - kernel(maps[:, v, u])[0]) ** 2).sum())
                    out[:, y, x] += weight * maps[:, v, u]
                    total += weight
            if module.normalize:
                out[:, y, x] /= total + 1e-6
    return out


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(("side", "fixed"), [(3, ()), (5, ()), (3, ("bandwidth",)), (5, ("confidence", "normalize"))])
def test_learnable_smoothing_is_the_slow_one(size, side, fixed):
    choices = {name: False if name == "normalize" else "fixed" for name in fixed}
    module, maps = spread(LearnableSmoothing(6, dim=4, side=side, hidden=8, **choices)), maps_of(size)
    found = module(maps).detach().numpy()
    for one, of in zip(found, maps.numpy(), strict=True):
        np.testing.assert_allclose(one, slow_smoothing(module, of), rtol=1e-9)
    bandwidth, confidence = module.weights_of(maps)
    assert bandwidth.shape == confidence.shape == (2, *size)
    assert bool((bandwidth == 1).all()) == ("bandwidth" in fixed)
    assert bool((confidence == 1).all()) == ("confidence" in fixed)


@pytest.mark.parametrize("side", [3, 5])
def test_learnable_smoothing_starts_near_the_average_and_its_features_move(side):
    """Of 512 channels, as after a ReLU: neighbours weigh 1 to a thousandth, the place itself 0.881."""
    torch.manual_seed(1)
    module, maps = LearnableSmoothing(512, side=side), maps_of((9, 12), 512).float()
    bandwidth, confidence = module.weights_of(maps)
    assert (bandwidth - 1).abs().max() < 1e-6
    assert (confidence - 1 / (1 + math.exp(-2))).abs().max() < 1e-6
    average = AverageSmoothing(side)(maps)
    apart = (module(maps) - average).norm(dim=1) / average.norm(dim=1)
    assert apart.max() < 0.02
    assert apart.max() > 1e-4
    same = LearnableSmoothing(512, side=side, confidence="fixed")
    same.load_state_dict(module.state_dict())
    assert ((same(maps) - average).norm(dim=1) / average.norm(dim=1)).max() < 1e-3
    module(maps).square().sum().backward()
    gradient = module.generator[2].weight.grad[: module.dim]
    assert gradient.abs().max() > 0


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("side", [1, 3, 5])
def test_the_average_counts_nothing_outside(size, side):
    maps = maps_of(size).numpy()
    found, reach = AverageSmoothing(side)(torch.from_numpy(maps)).numpy(), side // 2
    for y in range(size[0]):
        for x in range(size[1]):
            rows, columns = (slice(max(0, k - reach), k + reach + 1) for k in (y, x))
            np.testing.assert_allclose(found[:, :, y, x], maps[:, :, rows, columns].mean((2, 3)))


def test_an_even_side_has_no_centre():
    for module in (AverageSmoothing, lambda side: LearnableSmoothing(4, side=side)):
        with pytest.raises(ValueError, match="odd number"):
            module(4)
    with pytest.raises(ValueError, match="learned, fixed"):
        LearnableSmoothing(4, bandwidth="wide")


def slow_second_order(module, maps):
    """Batch norms in eval mode: a scale and a shift for each channel."""

    def normed(part, x):
        norm = part[1]
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        values = conv(part[0], x) - norm.running_mean.numpy()
        return np.maximum(values * scale.detach().numpy() + norm.bias.detach().numpy(), 0)

    places = maps.reshape(len(maps), -1).T
    f, g = ([normed(part, x) for x in places] for part in (module.f, module.g))
    h, out = [conv(module.h, x) for x in places], []
    for i, x in enumerate(places):
        similar = np.array([f[i] @ g[j] / math.sqrt(len(g[j])) for j in range(len(places))])
        attention = np.exp(similar) / np.exp(similar).sum()
        out.append(x + conv(module.v, sum(a * of for a, of in zip(attention, h, strict=True))))
    return np.array(out).T.reshape(maps.shape)


@pytest.mark.parametrize("size", [(4, 5), (1, 1)], ids=str)
def test_the_second_order_block_is_the_slow_one_and_starts_as_nothing(size):
    module, maps = SecondOrder(8, 4).double().eval(), maps_of(size, 8)
    assert torch.equal(module(maps), maps)
    for norm in (module.f[1], module.g[1]):
        norm.running_mean.uniform_(-1, 1)
        norm.running_var.uniform_(0.5, 2)
    found = spread(module)(maps).detach().numpy()
    for one, of in zip(found, maps.numpy(), strict=True):
        np.testing.assert_allclose(one, slow_second_order(module, of), rtol=1e-9)
    assert abs(found - maps.numpy()).max() > 0.1


def slow_graph(nodes, places, longer):
    """Dense weights of edges, both ways, normalised."""
    count = len(nodes)
    unit = nodes / np.linalg.norm(nodes, axis=1, keepdims=True)
    apart = [[((p - q) ** 2).sum() for q in places] for p in places]
    linked = np.eye(count, dtype=bool)
    for i in range(count):
        others = [j for j in range(count) if j != i]
        near = sorted(others, key=lambda j: apart[i][j])[:8]
        alike = sorted(others, key=lambda j: -(unit[i] @ unit[j]))[:8]
        for j in {*near, *alike}:
            linked[i, j] = linked[j, i] = True
    weights = np.zeros((count, count))
    for i, j in zip(*np.nonzero(linked), strict=True):
        near = math.exp(-apart[i][j] / longer**2 / (2 * 0.1**2))
        weights[i, j] = near * max(unit[i] @ unit[j], 0) + 1e-6
    return weights / np.sqrt(weights.sum(1))[:, None] / np.sqrt(weights.sum(0))


def slow_gcn(module, maps, attention):
    flat = maps.reshape(len(maps), -1).T
    cells = sorted(range(len(flat)), key=lambda i: -attention.reshape(-1)[i])[: module.num_nodes]
    places = np.array([divmod(i, attention.shape[1]) for i in cells], float)
    h = flat[cells]
    edges = slow_graph(h, places, max(attention.shape))
    for inner, outer in zip(module.inner, module.outer, strict=True):
        w, v = inner.weight.detach().numpy(), outer.weight.detach().numpy()
        mixed = [sum(edges[i, j] * h[j] for j in range(len(h))) for i in range(len(h))]
        h = np.array([h[i] + v @ np.maximum(w @ mixed[i], 0) for i in range(len(h))])
    return h / np.linalg.norm(h, axis=1, keepdims=True), cells


@pytest.mark.parametrize(("size", "nodes"), [((5, 8), 24), ((8, 5), 40), ((2, 2), 24), ((1, 1), 24)], ids=str)
def test_the_graph_network_is_the_slow_one(size, nodes):
    """Descriptors with signs, as reduced ones are; fewer places than nodes, and than neighbours."""
    module = spread(ContextGCN(6, layers=2, num_nodes=nodes))
    maps, attention = maps_of(size) - 0.5, maps_of(size, 1, seed=3)[:, 0]
    found, strength, cells = module(maps, attention)
    for b in range(2):
        wanted, order = slow_gcn(module, maps[b].numpy(), attention[b].numpy())
        assert cells[b].tolist() == order
        np.testing.assert_allclose(found[b].detach().numpy(), wanted, rtol=1e-7, atol=1e-12)
        np.testing.assert_array_equal(strength[b].numpy(), attention[b].flatten()[cells[b]].numpy())


def test_the_graph_network_starts_as_the_strongest_places_of_unit_length():
    maps, attention = maps_of((6, 7)) - 0.5, torch.ones(2, 6, 7, dtype=torch.float64)
    found, _, cells = ContextGCN(6, num_nodes=20).double()(maps, attention)
    assert cells.tolist() == [list(range(20))] * 2  # equals keep their order
    wanted = maps.flatten(2).mT[:, :20]
    torch.testing.assert_close(found, wanted / wanted.norm(dim=2, keepdim=True), rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    "module",
    [
        LearnableSmoothing(3, dim=2, side=3, hidden=4),
        LearnableSmoothing(3, dim=2, side=5, hidden=4, normalize=False),
        SecondOrder(4, 2).eval(),
    ],
    ids=["smoothing", "unnormalised", "second_order"],
)
def test_gradients_are_those_of_finite_differences(module):
    module = spread(module)
    maps = maps_of((3, 4), 4 if isinstance(module, SecondOrder) else 3).requires_grad_()
    parameters = tuple(module.parameters())

    def made(maps, *values):
        return torch.func.functional_call(module, dict(zip(dict(module.named_parameters()), values, strict=True)), maps)

    assert torch.autograd.gradcheck(made, (maps, *parameters), eps=1e-6, atol=1e-6)


def test_gradients_of_the_graph_network_leave_the_graph_alone():
    """Of its weights, and of the descriptors with the graph held as it was: finite differences of the slow formula."""
    module, attention = spread(ContextGCN(3, layers=2, num_nodes=10)), maps_of((3, 4), 1, seed=3)[:, 0]
    maps = maps_of((3, 4), 3) - 0.5
    parameters = dict(module.named_parameters())

    def made(*values):
        return torch.func.functional_call(module, dict(zip(parameters, values, strict=True)), (maps, attention))[0]

    assert torch.autograd.gradcheck(made, tuple(parameters.values()), eps=1e-6, atol=1e-6)
    nodes = maps.clone().requires_grad_()
    module(nodes, attention)[0].sum().backward()
    cells = attention[0].flatten().argsort(descending=True)[:10]
    edges = torch.from_numpy(
        slow_graph(maps[0].flatten(1).T[cells].numpy(), np.array([divmod(int(c), 4) for c in cells], float), 4)
    )

    def held(flat):
        h = flat
        for inner, outer in zip(module.inner, module.outer, strict=True):
            h = h + outer(inner(edges @ h).relu())
        return (h / h.norm(dim=1, keepdim=True)).sum()

    flat = maps[0].flatten(1).T[cells].clone().requires_grad_()
    held(flat).backward()
    torch.testing.assert_close(nodes.grad[0].flatten(1).T[cells], flat.grad, rtol=1e-9, atol=1e-12)
