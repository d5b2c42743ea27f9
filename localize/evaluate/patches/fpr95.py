"""FPR95: how many wrong pairs pass where 95 % of the right ones do; the measure of UBC PhotoTour."""

import numpy as np


def fpr95(positive: np.ndarray, negative: np.ndarray) -> float:
    """Percent of the negative distances (M,) up to the threshold that 95 % of the positive ones (P,) reach.

    The threshold is the smallest one with at least 95 % of the positives at or below it. A negative that ties with it
    is a false positive, which matters for Hamming distances. ValueError for no distances, or NaN.
    """
    positive, negative = np.ravel(positive), np.ravel(negative)
    if not len(positive) or not len(negative):
        raise ValueError(f"{len(positive)} positive and {len(negative)} negative distances; both are needed")
    if np.isnan(positive).any() or np.isnan(negative).any():
        raise ValueError("some distances are NaN")
    needed = -(-19 * len(positive) // 20)  # 0.95 P rounded up, in whole numbers: 0.95 has no exact float
    threshold = np.partition(positive, needed - 1)[needed - 1]
    return float(100 * np.mean(negative <= threshold))
