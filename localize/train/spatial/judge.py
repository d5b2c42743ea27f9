"""What HOW is judged by while it learns: recall among photos of known places, and how bursty its features are."""

from collections.abc import Iterable

import numpy as np

from localize.evaluate.revisited import average_precision
from localize.kernels.asmk import count_words
from localize.retrieval.words import learned_words
from localize.train.compact.recognition import Recognition
from localize.train.loop.machine import Machine
from localize.train.spatial.learner import SpatialLearner, described, map_groups
from localize.train.spatial.maps import TrunkMaps

ROUNDS = 10  # of k-means
SAMPLES, OF_PHOTO = 40, 100  # local features that k-means sees for each word, and of one photo


class SpatialJudge:
    """Recall at 1 and 5 and mean average precision in percent; C_X, the mean number of visual words of a photo.

    C_X is the slides' figure of burstiness: of a photo's strongest local features, how many different words of a
    codebook of the training photos are nearest (the vectors that ASMK aggregates them to); fewer are burstier.
    """

    def __init__(self, recognition: Recognition, maps: TrunkMaps, learned: TrunkMaps, *, words: int, strongest: int):
        """maps: of the validation photos; learned: of the training photos; words: 0 leaves C_X out; strongest: local
        features of a photo."""
        self.recognition, self.maps, self.learned = recognition, maps, learned
        self.words, self.strongest = words, strongest

    def __call__(self, learner: SpatialLearner, machine: Machine) -> dict[str, float]:
        """recall_1, recall_5, mean_ap and visual_words."""
        found = described(learner, self.maps, range(len(self.maps.paths)))
        asked = self.recognition.asked
        queries, references = found[asked], found[~asked]
        measured = self.recognition.measured(queries, references)
        measured["mean_ap"] = self.mean_average_precision(queries @ references.T)
        return measured | ({"visual_words": self.visual_words(learner)} if self.words else {})

    def mean_average_precision(self, alike: np.ndarray) -> float:
        """Percent, of similarities (Q, R); of the queries that have a right reference."""
        right = np.take_along_axis(self.recognition.right, np.argsort(-alike, 1, kind="stable"), 1)
        return 100 * float(np.mean([average_precision(np.flatnonzero(r), r.sum()) for r in right if r.any()]))

    def visual_words(self, learner: SpatialLearner) -> float:
        """C_X of the validation photos, with a codebook of the network as it is."""
        rng = np.random.default_rng(0)
        taken = np.sort(rng.permutation(len(self.learned.paths))[: -(-SAMPLES * self.words // OF_PHOTO)])
        sample = np.concatenate([rng.permutation(f)[:OF_PHOTO] for f in self._local(learner, self.learned, taken)])
        words = learned_words(sample, self.words, iterations=ROUNDS, seed=0)
        photos = self._local(learner, self.maps, range(len(self.maps.paths)))
        return float(np.mean([count_words(features, words) for features in photos]))

    def _local(self, learner: SpatialLearner, maps: TrunkMaps, photos: Iterable[int]) -> list[np.ndarray]:
        """(N, D) float32 of each photo: its strongest local features."""
        found = {}
        for places, group in map_groups(learner, maps, photos):
            attention, features, _ = learner.how.local(group)
            order = attention.argsort(dim=1, descending=True, stable=True)[:, : self.strongest]
            strong = features.gather(1, order[..., None].expand(-1, -1, features.shape[2])).float().cpu().numpy()
            found.update(zip(places.tolist(), strong, strict=True))
        return [found[i] for i in range(len(found))]
