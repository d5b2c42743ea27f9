"""The matches of all pairs as flat arrays, and the blocks of them that can be triangulated one by one.

A track is made of keypoints that matches connect. With known poses nothing else ties points to one another, so whole
connected components of the matches may be triangulated apart, in as little memory as is wanted.
"""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import reverse_cuthill_mckee

from localize.kernels.components import flatten, join

log = logging.getLogger(__name__)
BYTES = 1200  # of a keypoint while it is triangulated


@dataclass(frozen=True, eq=False)
class FlatMatches:
    """Matches of pairs of images behind one another: those of pair p are rows[indptr[p]:indptr[p + 1]]."""

    pairs: np.ndarray  # (P, 2) int32, numbers of the images
    indptr: np.ndarray  # (P + 1,) int64
    rows: np.ndarray  # (M, 2) int32, keypoint in the first and in the second image

    @classmethod
    def of(cls, parts: Iterable[tuple[int, int, np.ndarray]]) -> "FlatMatches":
        """Of (first image, second image, rows (K, 2)), which come one by one; pairs without matches are left out."""
        pairs, rows = [], []
        for first, second, found in parts:
            if len(found):
                pairs.append((first, second))
                rows.append(found.astype(np.int32))
        indptr = np.concatenate([[0], np.cumsum([len(found) for found in rows], dtype=np.int64)])
        rows = np.concatenate([np.zeros((0, 2), np.int32), *rows])
        return cls(np.array(pairs, np.int32).reshape(-1, 2), indptr, rows)

    def __iter__(self) -> Iterator[tuple[int, int, np.ndarray]]:
        for (first, second), lo, hi in zip(self.pairs.tolist(), self.indptr[:-1], self.indptr[1:], strict=True):
            yield first, second, self.rows[lo:hi]

    def keypoints(self) -> dict[int, np.ndarray]:
        """The keypoints of each image that have matches, ascending."""
        seen: dict[int, list] = {}
        for first, second, rows in self:
            seen.setdefault(first, []).append(rows[:, 0])
            seen.setdefault(second, []).append(rows[:, 1])
        return {image: np.unique(np.concatenate(seen[image])) for image in sorted(seen)}

    def blocks(self, num_keypoints: np.ndarray, size: int) -> list["FlatMatches"]:
        """Whole components of the matches in blocks of about `size` keypoints; num_keypoints (I,) of each image.

        The components come in the order of their first images, such that images that share pairs are near one another.
        A block is larger than `size` by its last component at most.
        """
        start = self._starts(num_keypoints)
        root = np.arange(num_keypoints.sum(), dtype=np.int32)
        for first, second, rows in self:
            join(root, start[first] + rows[:, 0], start[second] + rows[:, 1])
        flatten(root)
        members = np.bincount(root, minlength=len(root)).astype(np.int32)
        members[members < 2] = 0  # keypoints that no match names
        if members.max(initial=0) > size:
            log.warning(
                "%d keypoints of references are connected by matches, so false ones join the points of many: they are "
                "triangulated at once, in about %.0f GB",
                *(members.max(), members.max() * BYTES / 1e9),
            )
        block_of_root = ((np.cumsum(members, dtype=np.int64) - members) // size).astype(np.int32)
        blocks = np.concatenate(
            [np.zeros(0, np.int32), *(block_of_root[root[start[first] + rows[:, 0]]] for first, _, rows in self)]
        )
        del root, members, block_of_root
        return self._split(blocks)

    def _starts(self, num_keypoints: np.ndarray) -> np.ndarray:
        """The node (I,) int64 of each image's first keypoint, with images that share pairs near one another."""
        number = len(num_keypoints)
        of_pairs = coo_array((np.ones(len(self.pairs), np.int8), self.pairs.T), shape=(number, number))
        order = reverse_cuthill_mckee((of_pairs + of_pairs.T).tocsr(), symmetric_mode=True)
        start = np.empty(number, np.int64)
        start[order] = np.cumsum(num_keypoints[order], dtype=np.int64) - num_keypoints[order]
        return start

    def _split(self, blocks: np.ndarray) -> list["FlatMatches"]:
        """The matches by block, (M,) int32, each in the order of the pairs; blocks without matches are left out."""
        if not blocks.any():
            return [self] if len(blocks) else []
        pair = np.repeat(np.arange(len(self.pairs), dtype=np.int32), np.diff(self.indptr))
        order = np.argsort(blocks, kind="stable")
        bounds = np.flatnonzero(np.diff(blocks[order])) + 1
        found = []
        for own in np.split(order, bounds):
            pairs, lengths = np.unique(pair[own], return_counts=True)
            found.append(FlatMatches(self.pairs[pairs], np.concatenate([[0], np.cumsum(lengths)]), self.rows[own]))
        return found
