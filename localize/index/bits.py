"""The bits of real descriptors: how they are chosen for a map, and how a descriptor gets them."""

from dataclasses import dataclass

import numpy as np

from localize.index.itq import itq_rotation
from localize.kernels.codes import pack_codes, project_rows
from localize.kernels.rows import as_stored
from localize.types import InputError
from localize.types.checks import check_array, check_finite

BITS = ("auto", "sign", "median", "itq")
ITQ_BITS = 256
SAMPLE = 100_000  # rows looked at for statistics of the whole map
ITQ_SAMPLE = 20_000  # rows that the rotation is learned from
BLOCK = 8192  # rows projected at a time


@dataclass(frozen=True, eq=False)
class Coding:
    """How the bits of a map are made. Indexes that use them derive their records from this one."""

    binarisation: str  # sign, median or itq
    rotation: np.ndarray  # (D, K) float32; (0, 0): none, bit k is made of value k
    thresholds: np.ndarray  # (K,) float32, bit = value > threshold

    def __post_init__(self):
        check_array(self, "thresholds", np.float32, (None,))
        check_array(self, "rotation", np.float32, (None, len(self.thresholds) if np.size(self.rotation) else 0))
        check_finite(self, "thresholds", "rotation")

    def check_length(self, length: int) -> None:
        """ValueError unless it is made for descriptors of this length."""
        made_for = len(self.rotation) or len(self.thresholds)
        if made_for != length:
            raise ValueError(f"the index is of descriptors of {made_for} values, but those of the map have {length}")

    def projected(self, descriptors: np.ndarray) -> np.ndarray:
        """The values (N, K) that the thresholds are for; without a rotation the descriptors themselves."""
        if not self.rotation.size:
            return descriptors
        values = np.empty((len(descriptors), len(self.thresholds)), np.float32)
        project_rows(*as_stored(descriptors), np.asarray(self.rotation), values)
        return values

    def columns(self, descriptors: np.ndarray, which: np.ndarray) -> np.ndarray:
        """Some columns (N, len(which)) of `projected`."""
        if not self.rotation.size:
            return descriptors[:, which]
        return descriptors.astype(np.float32) @ self.rotation[:, which]

    def bits(self, descriptors: np.ndarray) -> np.ndarray:
        """(N, K) bool."""
        bits = np.empty((len(descriptors), len(self.thresholds)), bool)
        for at in range(0, len(descriptors), BLOCK):
            np.greater(self.projected(descriptors[at : at + BLOCK]), self.thresholds, out=bits[at : at + BLOCK])
        return bits

    def packed_bits(self, descriptors: np.ndarray) -> np.ndarray:
        """(N, bytes) uint8, eight bits in each, the lowest first."""
        packed = np.empty((len(descriptors), -(-len(self.thresholds) // 8)), np.uint8)
        for at in range(0, len(descriptors), BLOCK):
            packed[at : at + BLOCK] = np.packbits(self.bits(descriptors[at : at + BLOCK]), axis=1, bitorder="little")
        return packed

    def pack(self, descriptors: np.ndarray, codes: np.ndarray) -> None:
        """The bits as codes (N, words) uint64, on one thread."""
        for at in range(0, len(descriptors), BLOCK):
            stored = as_stored(self.projected(descriptors[at : at + BLOCK]))
            pack_codes(*stored, np.asarray(self.thresholds), codes[at : at + BLOCK])


def check_bits(component) -> None:
    """InputError for a number of bits that the component's way to make them cannot give."""
    if component.num_bits is not None and component.bits in ("sign", "median"):
        name = type(component).__name__
        raise InputError(
            f"{name}.num_bits is {component.num_bits}, but bits={component.bits} makes one bit of each value: "
            "take bits=itq"
        )


def learn_coding(descriptors: np.ndarray, bits: str, num_bits: int | None, seed: int) -> Coding:
    """The coding for descriptors (N, D), float16 or float32, looked at in evenly spaced rows.

    sign: value > 0. median: value > median of its dimension. itq: signs after a learned rotation, `num_bits` of them
    (None: 256). auto: sign; where no value is negative, the sign says little: median, as of SIFT, or itq where there
    are more than 256 values, as of D2-Net.
    """
    rows = sample_rows(descriptors, SAMPLE)
    if bits == "auto":
        bits = "sign" if rows.min(initial=0) < 0 else "median" if rows.shape[1] <= ITQ_BITS else "itq"
    if bits == "itq":
        return Coding(bits, *itq_rotation(sample_rows(descriptors, ITQ_SAMPLE), num_bits or ITQ_BITS, seed))
    thresholds = np.median(rows, axis=0) if bits == "median" else np.zeros(rows.shape[1])
    return Coding(bits, np.zeros((0, 0), np.float32), thresholds.astype(np.float32))


def sample_rows(descriptors: np.ndarray, number: int) -> np.ndarray:
    """About `number` rows (N, D) float32 evenly spaced, or all if there are fewer than twice as many."""
    return np.asarray(descriptors[:: max(1, len(descriptors) // number)], np.float32)
