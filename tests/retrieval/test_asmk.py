"""ASMK* as a re-ranker: the order, what is searched, what a map keeps."""

import dataclasses

import numpy as np
import pytest

from localize.io.records import load_record, save_record
from localize.kernels.asmk import nearest_words
from localize.retrieval.base import RankingSources
from localize.retrieval.how import How
from localize.retrieval.kept_regions import kept
from localize.retrieval.reranking.asmk import Asmk
from localize.store import Store
from localize.types import Retrieval, VisualWords
from tests.generated_photos import textured
from tests.retrieval.test_dsm import images, ranked
from tests.retrieval.test_dsm import photos as photos  # a fixture
from tests.retrieval.test_how import trained as trained

NETWORK = How(backbone="small", scales=(1.0,), max_edge_px=128, dim=16, precision="float32")
SMALL = Asmk(how=NETWORK, num_features=200, min_per_word=10)


def words_of(*words: int, flipped: int = 0) -> VisualWords:
    """Codes of 16 bits that are all 0, but for so many."""
    codes = np.zeros((len(words), 2), np.uint64)
    codes[:, 0] = 2**flipped - 1
    return VisualWords(np.array(words), codes, 16)


def compared(asmk: Asmk, ranked, *, keep=False, allowed=None) -> Retrieval:
    """One query against six references, of which two to four words agree."""
    references = images("r", 6)
    of = [words_of(1, 9), words_of(1, 2, 3), words_of(7, 8), words_of(1, 2, 3, flipped=1), words_of(1, 2), words_of()]
    ranked = np.array(ranked, np.int32)
    scores = np.where(ranked < 0, -np.inf, np.linspace(1, 0, ranked.shape[1])).astype(np.float32)
    given = Retrieval(("q0.png",), references.names, ranked, scores)
    found = kept(None, references.names, of) if keep else dict(zip(references.names, of, strict=True))
    seen = {"query_regions": {"q0.png": words_of(1, 2, 3)}, "reference_regions": found, "allowed": allowed or {}}
    return asmk.rerank(given, RankingSources(images("q", 1), np.zeros((1, 1)), references, np.zeros((6, 1)), **seen))


def test_references_come_by_their_similarity_and_the_others_behind_them():
    found = compared(Asmk(num_verified=4), [[2, 0, 4, 3, 1, -1]])
    assert found.ranked.tolist() == [[4, 3, 0, 2, 1, -1]]  # row 1 would be first, but is not looked at
    wanted = [3 * (7 / 8) ** 3 / 3, 2 / np.sqrt(6), 1 / np.sqrt(6), 0, 0, -np.inf]
    order = np.argsort(-np.array(wanted), kind="stable")
    np.testing.assert_allclose(found.scores[0], np.array(wanted)[order], rtol=1e-6)
    assert compared(Asmk(num_verified=4), [[2, 5, -1]]).ranked.tolist() == [[2, 5, -1]]  # ties as they were
    strict = compared(Asmk(num_verified=4, threshold=0.9), [[2, 0, 4, 3]])
    assert strict.ranked.tolist() == [[4, 0, 2, 3]]
    flat = compared(Asmk(exponent=0.01), [[2, 0, 4, 3]])
    assert flat.scores[0, 0] == pytest.approx(1, abs=0.01)
    with pytest.raises(ValueError, match="no visual words"):
        Asmk().rerank(strict, RankingSources(images("q", 1), None, images("r", 6), None))


@pytest.mark.parametrize("keep", [False, True], ids=["store", "map"])
def test_all_references_are_searched_that_may_be_found(keep):
    everything = Asmk(num_verified=None)
    assert compared(everything, [[2, 5, -1]], keep=keep).ranked.tolist() == [[1, 4, -1]]  # as many as there were
    assert compared(everything, [[2, 5, 0, 4]], keep=keep).ranked.tolist() == [[1, 4, 3, 0]]
    only = {0: np.array([0, 2, 5])}
    assert compared(everything, [[5, 2]], keep=keep, allowed=only).ranked.tolist() == [[0, 5]]


def test_learned_words_are_as_many_as_the_features_allow_and_queries_have_more():
    photos = [textured(i) for i in range(3)]
    model = SMALL.learn(photos)
    assert model.centers.shape == (3 * 200 // 10, 16)
    assert dataclasses.replace(SMALL, num_words=7).learn(photos).centers.shape == (7, 16)
    as_query, as_reference = (SMALL.find_regions(photos[0], model, of_query=q) for q in (True, False))
    features = NETWORK.local_features(photos[0], model.reduction, 200, NETWORK.scales)
    assert as_reference.words.tolist() == np.unique(nearest_words(features, model.centers)).tolist()
    assert set(as_reference.words) < set(as_query.words.tolist())
    assert as_query.num_bits == 16
    np.testing.assert_array_equal(SMALL.learn(photos).centers, model.centers)


def test_words_are_found_once_and_kept_by_content(photos, tmp_path):
    store = Store(tmp_path / "store")
    found, made = ranked(store, photos, SMALL)
    assert found.ranked[:, 0].tolist() == [0, 1]
    assert (made["region_model"], made["query_regions"]) == (1, 2)
    everything = dataclasses.replace(SMALL, num_verified=None, exponent=2.0)
    found, made = ranked(store, photos, everything, number=1)
    assert found.ranked.tolist() == [[0], [1]]
    assert (made["region_model"], made["query_regions"]) == (0, 0)
    assert made["reference_regions"] <= 1  # of four, the one that no query had among its three


def test_a_map_keeps_the_words_of_all_references(tmp_path):
    found = [words_of(1, 4), words_of(), words_of(2, flipped=3)]
    save_record(tmp_path / "kept", kept(SMALL.learn([textured(0)]), ("a", "b", "c"), found))
    again = load_record(tmp_path / "kept")
    assert again.learned.centers.shape[1] == 16
    for name, of in zip("abc", found, strict=True):
        assert again[name].words.tolist() == of.words.tolist()
        np.testing.assert_array_equal(again[name].codes, of.codes)
    with pytest.raises(ValueError, match="must rise"):
        words_of(3, 3)


def test_weights_without_local_features_are_refused(trained):
    assert SMALL.preflight() == Asmk(how=How(weights=trained)).preflight() == []
    (said,) = Asmk(how=dataclasses.replace(NETWORK, pooling="gem")).preflight()
    assert "asmk compares local features of at most 256 values" in said
