"""One vector of a feature map, pooled over the places: MAC, SPoC, GeM, R-MAC; and of several scales.

SPoC: Babenko & Lempitsky, ICCV 2015. MAC and R-MAC: Tolias, Sicre & Jegou, ICLR 2016. GeM: Radenovic, Tolias & Chum,
TPAMI 2019, eq. 2 and 3, whose code decides the constants. Maps are (B, C, h, w) of values >= 0.
"""

import torch

SMALLEST = 1e-6  # below, GeM's power has no gradient worth the name
EPS = 1e-6  # added to lengths
OVERLAP = 0.4  # of neighbouring regions of R-MAC, aimed at
STEPS = (2, 3, 4, 5, 6, 7)  # regions along the longer side of R-MAC's coarsest level, to choose from
LEVELS = 3  # of R-MAC

POOLINGS = ("gem", "mac", "spoc", "rmac")


def pooled(maps: torch.Tensor, pooling: str, power: float | torch.Tensor = 3.0) -> torch.Tensor:
    """(B, C) float32 of length 1, pooled in one of the ways of `POOLINGS`; power: of GeM."""
    with torch.autocast(maps.device.type, enabled=False):  # a power of bfloat16 has no digits left
        maps = maps.float()
        if pooling == "gem":
            return unit(gem(maps, power))
        return unit({"mac": mac, "spoc": spoc, "rmac": rmac}[pooling](maps))


def unit(vectors: torch.Tensor) -> torch.Tensor:
    """The vectors (B, C) at length 1, zeros as they are."""
    return vectors / (torch.linalg.vector_norm(vectors, dim=1, keepdim=True) + EPS)


def mac(maps: torch.Tensor) -> torch.Tensor:
    """(B, C), the maximum of each channel."""
    return maps.amax((2, 3))


def spoc(maps: torch.Tensor) -> torch.Tensor:
    """(B, C), the mean of each channel."""
    return maps.mean((2, 3))


def gem(maps: torch.Tensor, power: float | torch.Tensor = 3.0) -> torch.Tensor:
    """(B, C), the generalised mean of each channel; power: one, or (C,), one per channel."""
    power = torch.as_tensor(power, dtype=maps.dtype, device=maps.device)
    wide = power.view(-1, 1, 1)  # (1 or C, 1, 1)
    return maps.clamp(min=SMALLEST).pow(wide).mean((2, 3)).pow(1 / power)


def rmac(maps: torch.Tensor, levels: int = LEVELS) -> torch.Tensor:
    """(B, C), the sum of the maxima over the whole map and over squares of it, each at length 1."""
    total = unit(mac(maps))
    for top, left, side in regions(*maps.shape[2:], levels):
        total = total + unit(mac(maps[:, :, top : top + side, left : left + side]))
    return total


def regions(height: int, width: int, levels: int = LEVELS) -> list[tuple[int, int, int]]:
    """(top, left, side) of R-MAC's squares on a map of this size, level by level, row by row."""
    short, long = min(height, width), max(height, width)
    overlaps = [1 - (long - short) / (steps - 1) / short for steps in STEPS]
    more = 0 if long == short else 1 + min(range(len(STEPS)), key=lambda i: abs(overlaps[i] - OVERLAP))
    found = []
    for level in range(1, levels + 1):
        side = 2 * short // (level + 1)
        if side:
            tops = _starts(height, side, level + more * (height > width))
            lefts = _starts(width, side, level + more * (width > height))
            found += [(top, left, side) for top in tops for left in lefts]
    return found


def _starts(length: int, side: int, number: int) -> list[int]:
    """Where this number of regions begin, spread evenly; whole numbers throughout, so no rounding shifts one."""
    return [i * (length - side) // max(1, number - 1) for i in range(number)]


def over_scales(vectors: torch.Tensor, power: float | torch.Tensor = 1.0) -> torch.Tensor:
    """(C,) of length 1 of one photo's vectors at several scales (S, C), each of length 1, none negative.

    power: GeM's for vectors pooled by it, else 1, the mean.
    """
    return unit(vectors.pow(power).mean(0, keepdim=True).pow(1 / torch.as_tensor(power)))[0]
