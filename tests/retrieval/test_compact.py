"""The compact global descriptor: what its component promises, and what its shipped weights know."""

import numpy as np
import pytest
import torch

from localize.io.images import read_photo
from localize.networks.compact import Compact as Network
from localize.networks.compact import described
from localize.networks.photo_maps import prepared
from localize.retrieval.compact import Compact
from localize.train.photos.homographies import random_homography, warp
from localize.train.photos.photometric import random_change
from localize.weights.tensors import write_tensors
from tests.conftest import CHECKOUT
from tests.generated_photos import textured


@pytest.mark.parametrize("multi_scale", [False, True])
def test_the_component_keeps_its_contract(multi_scale):
    compact = Compact(multi_scale=multi_scale)
    assert compact.preflight() == []
    learned = compact.fit(None)  # looks at nothing
    photo = textured(3)
    found = compact.describe(photo, learned)
    assert found.shape == (256,)
    assert found.dtype == np.float32
    assert np.array_equal(found, compact.describe(photo, learned))
    one = photo[..., 1]
    others = [photo[:1, :1], photo[:1], one, np.zeros_like(photo), np.full_like(photo, 255), photo.repeat(4, 0)]
    for other in others:
        assert np.linalg.norm(compact.describe(other, learned)) == pytest.approx(1, abs=1e-5)
    assert np.array_equal(compact.describe(one, learned), compact.describe(one[..., None].repeat(3, 2), learned))
    assert not compact.describe(photo[:0], learned).any()


def test_bfloat16_hardly_changes_a_descriptor():
    photo = textured(3)
    exact, short = (Compact(precision=p).describe(photo, None) for p in ("float32", "bfloat16"))
    assert 0.995 < exact @ short < 1 - 1e-9


def test_wrong_weights_are_named(tmp_path):
    path = tmp_path / "w.safetensors"
    assert Compact(weights=str(path)).preflight()[0].startswith(f"weights file {path} is missing")
    write_tensors(path, torch.nn.Linear(2, 2), {})
    assert "holds other tensors (" in Compact(weights=str(path)).preflight()[0]


def test_the_shipped_weights_know_places_again():
    """Photos of Minitown's streets, seen from elsewhere and in other light or at night."""
    rng = np.random.default_rng(0)
    names = sorted((CHECKOUT / "datasets/minitown_photos/db").glob("*.jpg"))[::8][:9]
    photos = [read_photo(name)[::2, ::2] for name in names]
    how = {"rotation_deg": 5, "scale": (1.1, 1.3), "shear": 0.05, "perspective": 0.1}
    changed = [
        random_change(warp(p, random_homography(rng, p.shape[1::-1], **how)), rng, 0.7, night_share=0.3) for p in photos
    ]
    torch.manual_seed(0)
    untrained = prepared(Network().eval(), "float32")

    def right(describe):
        a, b = (np.stack([describe(p) for p in ps]) for ps in (changed, photos))
        return ((a @ b.T).argmax(1) == np.arange(len(a))).sum()

    shipped, random = (
        right(lambda photo: Compact().describe(photo, None)),
        right(lambda photo: described(untrained, photo)),
    )
    assert shipped >= random + 3
    assert shipped >= 7
