"""What of HOW is not trained but learned before: the reduction, from what the start sees in the photos."""

from collections.abc import Iterable

import numpy as np
import torch

from localize.kernels.whitening import streamed_whitening
from localize.progress import counted
from localize.train.spatial.learner import SpatialLearner, map_groups
from localize.train.spatial.maps import TrunkMaps


def learn_reduction(learner: SpatialLearner, maps: TrunkMaps, photos: Iterable[int], progress: bool = False) -> None:
    """Set the reduction to the PCA whitening of the photos' smoothed features, or of what GeM pools of each photo.

    Where these vary in fewer directions than the descriptor has values, the last values are 0.
    """
    how = learner.eval().how
    shown = counted(photos, "reduction", shown=progress)
    pooled = how.settings.pooling == "gem" and how.context is None

    def rows(group: torch.Tensor) -> np.ndarray:
        seen = how.pooled(group) if pooled else how.smoothed(group)[0].flatten(2).mT.flatten(0, 1)
        return seen.float().cpu().numpy()

    with torch.no_grad(), maps.machine.autocast():
        parts = (rows(group) for _, group in map_groups(learner, maps, shown))
        learned = streamed_whitening(parts, learner.trunk.channels, how.settings.dim)
    learner.how = how.whitened_by(*map(torch.from_numpy, learned))
