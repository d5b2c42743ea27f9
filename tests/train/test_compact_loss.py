"""What the compact descriptor's training minimises: the multi-similarity loss against a slow twin, and distillation."""

import math

import numpy as np
import pytest
import torch

from localize.train.compact.batches import ViewBatches
from localize.train.compact.loss import CompactLoss, Student
from localize.train.compact.places import OTHER, SAME, UNKNOWN
from tests.train.compact_data import small_views


def slow_multi_similarity(vectors, relations, alpha=2.0, beta=50.0, margin=0.5, mined=0.1):
    """Wang et al., CVPR 2019: pairs are mined by equations 10 and 11, weighed by 12."""
    total = 0.0
    for i, anchor in enumerate(vectors):
        alike = [float(anchor @ other) for other in vectors]
        same = [j for j in range(len(vectors)) if relations[i][j] == SAME and j != i]
        other = [j for j in range(len(vectors)) if relations[i][j] == OTHER]
        if not same or not other:
            continue
        least, most = min(alike[j] for j in same), max(alike[j] for j in other)
        hard_same = [j for j in same if alike[j] < most + mined]
        hard_other = [j for j in other if alike[j] > least - mined]
        total += math.log(1 + sum(math.exp(-alpha * (alike[j] - margin)) for j in hard_same)) / alpha
        total += math.log(1 + sum(math.exp(beta * (alike[j] - margin)) for j in hard_other)) / beta
    return total / len(vectors)


def test_multi_similarity_is_its_definition():
    rng = np.random.default_rng(0)
    for seed in range(4):
        place = rng.integers(4, size=12)
        relations = np.where(place[:, None] == place, SAME, OTHER)
        unknown = rng.random((12, 12)) < 0.2
        relations[unknown | unknown.T] = UNKNOWN
        relations[seed] = UNKNOWN  # a row without partners
        x = rng.normal(size=(12, 8)) + rng.normal(size=(4, 8))[place]
        x = (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)
        found = CompactLoss().multi_similarity(torch.from_numpy(x), torch.from_numpy(relations))
        assert found.item() == pytest.approx(slow_multi_similarity(x, relations), rel=1e-5)


def test_distillation_learns_what_the_teacher_saw():
    torch.manual_seed(0)
    views = small_views()
    batches = ViewBatches(views, np.eye(4, dtype=int) * 2 - 1, 8, change=0.3)
    student, loss = Student(), CompactLoss()
    optimizer = torch.optim.Adam(student.parameters(), 0.003)
    totals = []
    for step in range(12):
        terms = loss(student, batches(step))
        totals.append({k: v.item() for k, v in terms.items()})
        optimizer.zero_grad()
        sum(terms.values()).backward()
        optimizer.step()
    for term in ("maps", "vector"):
        assert totals[-1][term] < 0.75 * totals[0][term], totals
