"""Visual words of a photo, each with one code for all of its features that belong to it."""

from dataclasses import dataclass

import numpy as np

from localize.types.checks import check_array, check_range


@dataclass(frozen=True, eq=False)
class VisualWords:
    """The words that a photo has, each once, and the signs of what is left of its features without the word."""

    words: np.ndarray  # (M,) int32, ascending, rows of a codebook
    codes: np.ndarray  # (M, W) uint64, a bit a value
    num_bits: int  # that count; those beyond are 0

    def __post_init__(self):
        check_array(self, "words", np.int32, (None,))
        check_array(self, "codes", np.uint64, (len(self.words), None))
        check_range(self, "words", 0, 2**31 - 1)
        if (np.diff(self.words) <= 0).any():
            raise ValueError("VisualWords.words must rise")

    def __len__(self) -> int:
        return len(self.words)
