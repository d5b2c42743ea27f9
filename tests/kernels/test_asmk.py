"""ASMK* against a slow twin, written from the specification: loops over descriptors, words and images."""

import numpy as np
import pytest

from localize.kernels.asmk import InvertedFile, aggregated, count_words, nearest_words


def slow_aggregated(descriptors, centers, number):
    """Sign vectors by word."""
    sums = {}
    for x in descriptors:
        apart = [((x - c) ** 2).sum() for c in centers]
        for word in sorted(range(len(centers)), key=apart.__getitem__)[:number]:
            sums[word] = sums.get(word, 0) + x.astype(float) - centers[word]
    return {word: total > 0 for word, total in sums.items()}


def slow_similarity(one, other, dim, exponent, threshold):
    total = 0.0
    for word in one.keys() & other.keys():
        s = 1 - 2 * (one[word] != other[word]).sum() / dim
        if s >= threshold:
            total += s**exponent
    return total / np.sqrt(len(one)) / np.sqrt(len(other))


@pytest.mark.parametrize("dim", [5, 128, 200])
def test_words_and_similarities_are_the_slow_ones(dim):
    rng = np.random.default_rng(dim)
    centers = rng.normal(size=(12, dim)).astype(np.float32)
    images = [rng.normal(size=(n, dim)).astype(np.float32) for n in (9, 1, 30, 4)]
    query = rng.normal(size=(20, dim)).astype(np.float32)
    query[:6] = images[2][:6] + 0.1 * rng.normal(size=(6, dim))
    kept = [aggregated(of, centers) for of in images]
    words, codes = aggregated(query, centers, 5)
    slow = [slow_aggregated(of, centers, 1) for of in images]
    asked = slow_aggregated(query, centers, 5)
    for (found, bits), wanted in zip([*kept, (words, codes)], [*slow, asked], strict=True):
        assert found.tolist() == sorted(wanted)
        for code, word in zip(bits, found, strict=True):
            set_bits = np.unpackbits(code.view(np.uint8), bitorder="little")
            assert set_bits[:dim].astype(bool).tolist() == wanted[word].tolist()
            assert not set_bits[dim:].any()
    assert [count_words(of, centers) for of in images] == [len(of) for of in slow]
    inverted = InvertedFile(*zip(*kept, strict=True))
    for exponent, threshold in ((3.0, 0.0), (1.0, 0.3)):
        found = inverted.similarities(words, codes, dim, exponent, threshold)
        np.testing.assert_allclose(found, [slow_similarity(asked, of, dim, exponent, threshold) for of in slow])
    assert found.argmax() == 2


def test_an_image_is_like_itself_and_nothing_is_like_nothing():
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(50, 128)).astype(np.float32)
    one = aggregated(rng.normal(size=(200, 128)).astype(np.float32), centers)
    none = aggregated(np.zeros((0, 128), np.float32), centers, 5)
    inverted = InvertedFile(*zip(one, none, strict=True))
    np.testing.assert_allclose(inverted.similarities(*one, 128, 3.0, 0.0), [1, 0])
    assert inverted.similarities(*none, 128, 3.0, 0.0).tolist() == [0, 0]
    assert InvertedFile([none[0]], [none[1]]).similarities(*one, 128, 3.0, 0.0).tolist() == [0]
    assert nearest_words(centers[:3], centers[:2], 5).shape == (3, 2)  # more words than there are
    assert count_words(np.repeat(centers[:4], 10, axis=0), centers) == 4
