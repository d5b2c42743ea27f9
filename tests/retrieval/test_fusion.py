"""Several global descriptors as one."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from localize import Localizer, build_map
from localize.io.records import load_record, save_record
from localize.retrieval.base import PhotoSource
from localize.retrieval.exact import ExactRanking
from localize.retrieval.fusion import Fusion
from localize.retrieval.vlad import Codebook, Vlad
from localize.search.prior import Frames
from localize.stages import descriptors as stages
from localize.types import InputError
from tests.conftest import FEATURE, random_features, unit


@dataclass(frozen=True)
class MeanColour:
    """The mean colour without that of the references."""

    VERSION: ClassVar[int] = 1
    needs: ClassVar[str] = "pixels"

    def fit(self, photos):
        return Codebook(np.mean([p.reshape(-1, 3).mean(0) for p in photos], axis=0, keepdims=True))

    def describe(self, photo, learned):
        return unit(photo.reshape(-1, 3).mean(0)[None] - learned.centers + 1e-3)[0]


def test_fusion_is_the_weighted_mean_of_the_similarities(tmp_path):
    rng = np.random.default_rng(0)
    photos = (
        [random_features(rng, 60, 64) for _ in range(5)],
        [rng.integers(0, 256, (4, 5, 3), np.uint8) for _ in range(5)],
    )
    both = [PhotoSource(lambda f=f: f, lambda p=p: p) for f, p in zip(*photos, strict=True)]
    parts = Vlad(num_words=32), MeanColour()
    fusion = Fusion(parts, weights=(3, 1))
    needs = [Fusion(of, ()).needs for of in (parts, parts[:1], [fusion])]
    assert needs == ["both", "features", "both"]
    save_record(tmp_path / "learned", fusion.fit(both))
    learned = load_record(tmp_path / "learned")
    assert (tmp_path / "learned" / "parts.0.centers.npy").is_file()  # no thousands of numbers in JSON
    vectors = np.stack([fusion.describe(b, learned) for b in both])
    alone = [
        np.stack([part.describe(s, part.fit(sources)) for s in sources])
        for part, sources in zip(parts, photos, strict=True)
    ]
    expected = 0.75 * alone[0] @ alone[0].T + 0.25 * alone[1] @ alone[1].T
    np.testing.assert_allclose(vectors @ vectors.T, expected, atol=1e-5)
    nested = Fusion([fusion], ())
    np.testing.assert_allclose(nested.describe(both[0], nested.fit(both)), vectors[0], atol=1e-6)
    assert not Fusion().preflight()  # what it takes by default comes along
    assert Fusion((), ()).preflight() == [
        "retrieval=fusion has no parts: name global descriptors, as docs/global_descriptors.md shows"
    ]
    for settings, sentence in (
        ({"parts": parts, "weights": (1,)}, "weights has 1 numbers for 2 parts: give as many"),
        ({"parts": parts, "weights": (1, 0)}, "but must be numbers greater than 0"),
        ({"parts": parts, "weights": (1, "a")}, "but must be numbers greater than 0"),
        ({"parts": [ExactRanking()], "weights": ()}, "holds ExactRanking, but must hold global descriptors"),
    ):
        with pytest.raises(InputError, match=sentence):
            Fusion(**settings)


def test_fusion_of_features_and_pixels_in_a_map(scene, finished, tmp_path, monkeypatch):
    retrieval = Fusion((Vlad(num_words=8), MeanColour()), ())
    run = {"feature": FEATURE, "retrieval": retrieval, "search": Frames(num_frames=2), "store": finished[0]}
    query = scene.queries.images[0]
    found = build_map(scene, tmp_path / "map", ranking=ExactRanking(vectors_dtype="float16"), **run)
    assert found.vectors.shape == (7, 8 * 128 + 3)
    monkeypatch.setattr(stages, "IN_MEMORY_BYTES", 1000)  # the vectors of a large map lie in a file
    on_disk = build_map(scene, tmp_path / "disk", ranking=ExactRanking(vectors_dtype="float16"), **run)
    assert isinstance(on_disk.vectors, np.memmap)
    np.testing.assert_array_equal(on_disk.vectors, found.vectors)
    opened = Localizer.load(tmp_path / "map", classes=[MeanColour])
    assert opened.vectors.dtype == np.float16
    assert opened.localize(f"{scene.image_root}/{query.name}", query.camera).pose is not None
