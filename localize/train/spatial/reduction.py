"""What of HOW is not trained but learned before: the reduction, from what the start sees in the photos."""

from collections.abc import Iterable

import numpy as np
import torch
import tqdm

from localize.kernels.whitening import whitening_of_moments
from localize.train.spatial.learner import SpatialLearner, map_groups
from localize.train.spatial.maps import TrunkMaps


def learn_reduction(learner: SpatialLearner, maps: TrunkMaps, photos: Iterable[int], progress: bool = False) -> None:
    """Set the reduction to the PCA whitening of the photos' smoothed features, or of what GeM pools of each photo.

    Where these vary in fewer directions than the descriptor has values, the last values are 0.
    """
    how = learner.eval().how
    shown = tqdm.tqdm(photos, "reduction", disable=None if progress else True)  # None: shown on a terminal only
    count, total, squares = 0, np.zeros(learner.trunk.channels), np.zeros((learner.trunk.channels,) * 2)
    with torch.no_grad(), maps.machine.autocast():
        for _, group in map_groups(learner, maps, shown):
            pooled = how.settings.pooling == "gem" and how.context is None
            features = how.pooled(group) if pooled else how.smoothed(group)[0].flatten(2).mT.flatten(0, 1)
            rows = features.double().cpu().numpy()
            count, total, squares = count + len(rows), total + rows.sum(0), squares + rows.T @ rows
    mean = total / count
    mean, projection = whitening_of_moments(mean, squares / count - np.outer(mean, mean), how.settings.dim)
    learner.how = how.whitened_by(torch.from_numpy(mean), torch.from_numpy(projection))
