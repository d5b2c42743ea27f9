"""The loss of D2-Net against slow twins that are written as the paper writes it."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from localize.train.d2.loss import CONTRASTED, TEMPERATURE, D2Loss, contrast, soft_scores


def random_maps(seed=0, shape=(2, 6, 9, 8)):
    """Maps with neighbours that are alike; the first has a pixel whose values are all 0 after the ReLU."""
    maps = gaussian_filter(np.random.default_rng(seed).normal(size=shape), (0, 0, 1, 1))
    maps[0, :, 3, 4] = -1
    return torch.tensor(maps, dtype=torch.float32)


def slow_scores(one):
    """Eq. 4 to 7 of one map (C, h, w), cell by cell."""
    values = np.maximum(one.astype(np.float64), 0)
    channels, height, width = values.shape
    exponentials = np.exp(values / values.max())
    best = np.zeros((height, width))
    for i in range(height):
        for j in range(width):
            for k in range(channels):
                around = 0.0
                for y in (i - 1, i, i + 1):
                    for x in (j - 1, j, j + 1):
                        around += exponentials[k, y, x] if 0 <= y < height and 0 <= x < width else 1.0
                top = values[:, i, j].max()
                beta = values[k, i, j] / top if top > 0 else 0.0
                best[i, j] = max(best[i, j], exponentials[k, i, j] / around * beta)
    return best / best.sum()


def slow_loss(map_a, map_b, cells_a, cells_b, radius, margin, relu):
    """Eq. 9 to 13 of one pair; relu: of the descriptors."""
    width = map_a.shape[2]
    scores_a, scores_b = (slow_scores(m).ravel() for m in (map_a, map_b))
    flat_a, flat_b = (np.maximum(m, 0 if relu else -np.inf).reshape(len(m), -1).T for m in (map_a, map_b))
    flat_a, flat_b = (f / np.maximum(np.linalg.norm(f, axis=1), 1e-12)[:, None] for f in (flat_a, flat_b))
    total = weights = 0.0
    for a, b in zip(cells_a, cells_b, strict=True):
        hardest = np.inf
        for vector, others, right in ((flat_a[a], flat_b, b), (flat_b[b], flat_a, a)):
            for cell, other in enumerate(others):
                if max(abs(cell // width - right // width), abs(cell % width - right % width)) > radius:
                    hardest = min(hardest, ((vector - other) ** 2).sum())
        violation = max(0.0, margin + ((flat_a[a] - flat_b[b]) ** 2).sum() - hardest)
        total += scores_a[a] * scores_b[b] * violation
        weights += scores_a[a] * scores_b[b]
    return total / weights


def test_soft_scores_are_the_papers():
    maps = random_maps()
    found = soft_scores(maps)
    for one, scores in zip(maps.numpy(), found.numpy(), strict=True):
        np.testing.assert_allclose(scores, slow_scores(one), rtol=1e-5, atol=1e-9)
    assert found[0, 3, 4] == 0


@pytest.mark.parametrize("relu", [False, True])
def test_the_loss_is_the_papers(relu):
    maps = random_maps(1, (4, 6, 9, 8))
    rng = np.random.default_rng(2)
    cells = [np.stack([rng.permutation(72)[:n], rng.permutation(72)[:n]]) for n in (20, 10)]
    loss = D2Loss(margin=0.8, safe_radius=2, relu=relu)
    found = loss(maps, [torch.tensor(c) for c in cells])["D2"]
    expected = [slow_loss(*maps.double().numpy()[[i, i + 2]], *cells[i], 2, 0.8, relu) for i in (0, 1)]
    assert found.item() == pytest.approx(np.mean(expected), rel=1e-5)
    only = loss(maps, [torch.tensor(cells[0]), torch.tensor(cells[1][:, :0])])["D2"]
    assert only.item() == pytest.approx(expected[0], rel=1e-5)
    half = dataclasses.replace(loss, warmup=3)(maps, [torch.tensor(c) for c in cells], step=1)["D2"]
    assert half.item() == pytest.approx(found.item() / 2, rel=1e-6)


def test_the_contrast_is_the_logarithm_of_the_right_cells_probability():
    maps = torch.nn.functional.normalize(random_maps(3).flatten(2), dim=1)
    a, b = maps[0].T, maps[1].T
    cells_a, cells_b = torch.tensor([0, 37, 71]), torch.tensor([12, 0, 60])
    expected = []
    for vectors, others, rights in ((a[cells_a], b, cells_b), (b[cells_b], a, cells_a)):
        for vector, right in zip(vectors, rights.tolist(), strict=True):
            far = [c for c in range(72) if max(abs(c // 8 - right // 8), abs(c % 8 - right % 8)) > 1]
            exponentials = [np.exp((vector @ others[c]).item() / TEMPERATURE) for c in [right, *far]]
            expected.append(-np.log(exponentials[0] / sum(exponentials)))
    assert contrast(a, b, cells_a, cells_b, (9, 8)).item() == pytest.approx(np.mean(expected), rel=1e-5)
    many = torch.arange(72).repeat(4)  # of more than CONTRASTED matches, every other one
    assert CONTRASTED < len(many) <= 2 * CONTRASTED
    assert contrast(a, b, many, many, (9, 8)) == contrast(a, b, many[::2], many[::2], (9, 8))


def test_gradients_are_numbers_whatever_the_maps_hold():
    loss = D2Loss(contrast=1.0)
    for maps, num in ((torch.zeros(2, 6, 9, 8), 4), (-(random_maps() ** 2), 4), (random_maps(), 0)):
        leaf = maps.clone().requires_grad_()
        cells = torch.arange(num).repeat(2, 1)
        terms = loss(leaf, [cells])
        sum(terms.values()).backward()
        assert leaf.grad.isfinite().all()
        assert num or all(value == 0 for value in terms.values())
