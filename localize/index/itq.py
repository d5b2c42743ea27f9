"""Iterative quantization: the rotation after which the signs of descriptors lose least.

Gong & Lazebnik, "Iterative quantization: a Procrustean approach to learning binary codes", CVPR 2011, section 3.
"""

import numpy as np

ITERATIONS = 50  # as in the paper


def itq_rotation(descriptors: np.ndarray, num_bits: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rotation (D, K) float32 and thresholds (K,) float32 for K bits: bit k = (row @ rotation)[k] > thresholds[k].

    descriptors (N, D) float32. The centred rows V W are turned by the R that minimises |B - V W R| (eq. 2), B their
    signs: B and R are found in turn from a random R. W: the K principal directions (section 2); where K > D, which the
    paper leaves open, random orthonormal rows, so that distances are kept.
    """
    rng = np.random.default_rng(seed)
    mean = descriptors.mean(0, dtype=np.float64)
    centred = descriptors - mean.astype(np.float32)
    first = _principal(centred, num_bits) if num_bits <= len(mean) else _expansion(rng, len(mean), num_bits)
    values = centred @ first.astype(np.float32)
    R = np.linalg.qr(rng.normal(size=(num_bits, num_bits)))[0]
    for _ in range(ITERATIONS):
        B = np.where(values @ R.astype(np.float32) > 0, np.float32(1), np.float32(-1))
        S, _, S_hat = np.linalg.svd((B.T @ values).astype(np.float64))  # B' V = S Omega S_hat'
        R = S_hat.T @ S.T
    rotation = first @ R
    return rotation.astype(np.float32), (mean @ rotation).astype(np.float32)


def _principal(centred: np.ndarray, number: int) -> np.ndarray:
    """(D, number) float64, the directions of the largest variance, whose largest components are positive."""
    _, vectors = np.linalg.eigh((centred.T @ centred).astype(np.float64))
    first = vectors[:, ::-1][:, :number]
    largest = np.abs(first).argmax(0)
    return first * np.sign(first[largest, np.arange(number)])


def _expansion(rng, dim: int, number: int) -> np.ndarray:
    """(dim, number) float64 with orthonormal rows."""
    return np.linalg.qr(rng.normal(size=(number, dim)))[0].T
