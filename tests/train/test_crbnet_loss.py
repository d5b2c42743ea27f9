"""CRBNet's losses against slow twins that are written as the paper writes them."""

import itertools
import math

import numpy as np
import pytest
import torch

from localize.train.crbnet.loss import CrbnetLoss, bit_distances, distances, hardest_hinge, second_order

EPS = 1e-6
TERMS = ("H_d", "R_sos", "H_dw")


def unit_rows(n, dim=16, seed=0, dtype=torch.float64):
    x = np.random.default_rng(seed).normal(size=(n, dim))
    return torch.tensor(x / np.linalg.norm(x, axis=1, keepdims=True), dtype=dtype)


def pairs(n, dim=16, seed=0, noise=0.15, dtype=torch.float64):
    a = unit_rows(n, dim, seed)
    p = a + noise * unit_rows(n, dim, seed + 1) * dim**0.5 / 2
    return a.to(dtype), (p / p.norm(dim=1, keepdim=True)).to(dtype)


def slow_distance(x, y):
    return math.sqrt(abs(2 - 2 * sum(a * b for a, b in zip(x, y, strict=True))) + EPS)


def slow_bit_distance(x, y):
    return math.sqrt(sum((a - b) ** 2 for a, b in zip(x, y, strict=True) if (a > 0) != (b > 0)) + EPS)


def slow_hinge(a, p, measure, *, intra=False, power=1):
    """Eq. 1, pair by pair."""
    total, n = 0.0, len(a)
    for i in range(n):
        others = [(x, y) for j in range(n) if j != i for x, y in ((a[i], p[j]), (a[j], p[i]))]
        if intra:
            others += [(side[i], side[j]) for side in (a, p) for j in range(n) if j != i]
        negatives = [measure(x, y) for x, y in others if slow_distance(x, y) >= 0.008]
        if negatives:
            total += max(0, 1 + measure(a[i], p[i]) - min(negatives)) ** power
    return total / n


def slow_second_order(a, p, mask, k=8):
    """Eq. 2 with sets of neighbours."""
    n = len(a)
    near = set()
    sources = [(a, a, "row"), (p, p, "column")] + [(a, p, "row"), (a, p, "column")] * (mask == "union4_sym")
    for (x, y, way), i in itertools.product(sources, range(n)):
        d = {j: slow_distance(x[i], y[j]) if way == "row" else slow_distance(x[j], y[i]) for j in range(n) if j != i}
        far = {j: v for j, v in d.items() if v >= 0.008}
        for j in sorted(far, key=far.get)[:k]:
            near.add((i, j) if way == "row" else (j, i))
            if mask == "union4_sym":
                near.add((j, i) if way == "row" else (i, j))
    total = 0.0
    for i in range(n):
        gaps = [slow_distance(a[i], a[j]) - slow_distance(p[i], p[j]) for j in range(n) if (i, j) in near]
        total += math.sqrt(sum(g * g for g in gaps) + EPS)
    return total / n


def test_bit_distances_are_eq_3():
    x, y = unit_rows(7), unit_rows(5, seed=1)
    x[0, :3] = y[0, 2:5] = 0.0  # a zero has the bit of negative values
    slow = [[slow_bit_distance(a, b) for b in y.tolist()] for a in x.tolist()]
    assert np.allclose(bit_distances(x, y), slow, rtol=0, atol=1e-12)
    assert (bit_distances(x, y) <= torch.sqrt(torch.cdist(x, y) ** 2 + EPS) + 1e-12).all()
    assert (bit_distances(x, y) < distances(x, y) - 0.01).any()


def test_equal_bits_are_at_the_floor_and_give_finite_gradients():
    a = unit_rows(6, dtype=torch.float32).abs().requires_grad_()
    assert torch.allclose(bit_distances(a, a.flip(0)), torch.tensor(1e-3), rtol=1e-6)
    terms = CrbnetLoss()(a, a.detach().flip(1))
    assert terms["H_dw"].item() == pytest.approx(1)  # the margin: right and wrong pairs are alike
    sum(terms.values()).backward()
    assert all(t.isfinite() for t in terms.values())
    assert a.grad.isfinite().all()


@pytest.mark.parametrize(("negatives", "power"), [("cross", 1), ("cross+intra", 2)])
@pytest.mark.parametrize("mask", ["union4_sym", "paper"])
def test_the_terms_are_the_paper_s(negatives, power, mask):
    a, p = pairs(24, dim=8)
    a[3], p[3] = a[4], p[4]  # the same point twice is no negative of itself
    a[7] = a[6].sign() * a[6].abs().flip(0)  # another point with the same bits is one
    loss = CrbnetLoss(negatives=negatives, hinge_power=power, sos_mask=mask)
    found = loss(a.float(), p.float())
    assert tuple(found) == TERMS
    a, p = a.float().tolist(), p.float().tolist()
    how = {"intra": negatives == "cross+intra", "power": power}
    assert found["H_d"].item() == pytest.approx(slow_hinge(a, p, slow_distance, **how), rel=1e-5)
    assert found["H_dw"].item() == pytest.approx(slow_hinge(a, p, slow_bit_distance, **how), rel=1e-5)
    assert found["R_sos"].item() == pytest.approx(slow_second_order(a, p, mask), rel=1e-5)


def test_the_masks_differ_and_few_pairs_take_all_neighbours():
    a, p = pairs(24, dim=8)
    within = distances(a, a), distances(p, p), distances(a, p)
    assert second_order(*within, 8, "union4_sym") > second_order(*within, 8, "paper")
    a, p = pairs(8)
    few = second_order(distances(a, a), distances(p, p), distances(a, p))
    assert few.item() == pytest.approx(slow_second_order(a.tolist(), p.tolist(), "paper", k=7))


def test_without_bits_and_order_of_the_pairs():
    a, p = pairs(20, dtype=torch.float32)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(0))
    found, moved = CrbnetLoss()(a, p), CrbnetLoss()(a[order], p[order])
    assert all(found[name].item() == pytest.approx(moved[name].item(), rel=1e-5) for name in TERMS)
    swapped = CrbnetLoss()(p, a)
    assert swapped["H_dw"].item() == pytest.approx(found["H_dw"].item(), rel=1e-5)
    assert tuple(CrbnetLoss(bits=False)(a, p)) == ("H_d", "R_sos")


def test_two_pairs_and_no_negative():
    a, p = pairs(2)
    found = CrbnetLoss()(a, p)
    assert found["H_d"].item() == pytest.approx(slow_hinge(a.tolist(), p.tolist(), slow_distance), rel=1e-4)
    a = unit_rows(1).repeat(4, 1).requires_grad_()  # one point only: all are duplicates of each other
    found = CrbnetLoss()(a, a.detach())
    assert found["H_d"].item() == found["H_dw"].item() == 0
    sum(found.values()).backward()
    assert a.grad.isfinite().all()


@pytest.mark.parametrize("term", TERMS)
def test_gradients_by_finite_differences(term):
    def value(a, p):
        cross = distances(a, p)
        if term == "R_sos":
            return second_order(distances(a, a), distances(p, p), cross)
        measured = cross if term == "H_d" else bit_distances(a, p)
        return hardest_hinge(measured, cross.detach() < 0.008)

    inputs = [x.clone().requires_grad_() for x in pairs(12, dim=6)]
    assert torch.autograd.gradcheck(value, inputs, eps=1e-6, atol=1e-6)
    gradients = torch.autograd.grad(value(*inputs), inputs)
    assert all(g.abs().max() > 1e-3 for g in gradients)
