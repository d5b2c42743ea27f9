"""Describe-and-detect: keypoints, descriptors and scores from any feature map (C, h, w).

Dusmanu et al., CVPR 2019, section 3.2, and the authors' code (lib/model_test.py, lib/utils.py), whose edge test and
sub-cell step the paper leaves out. A map may be on any device, and in any precision: what is compared is compared as it
is, what is computed is computed in float64, and only at cells that can be keypoints.
"""

import torch

CHANNELS_AT_ONCE = 32  # bounds the memory beside the map
POINTS_AT_ONCE = 4096
MAX_STEP = 0.5  # cells


def detect(maps: torch.Tensor, edge_threshold: float = 5.0) -> torch.Tensor:
    """(N, 3) int64: channel, row and column, in that order, of the values that are all of

    the largest of all channels at their cell; the largest of 3 x 3 cells in their channel; a maximum there that is no
    edge: det > 0 and trace^2 / det <= (t + 1)^2 / t of the second derivatives (Lowe, IJCV 2004), zeros outside the map.
    Equal values are all taken.
    """
    top = maps.amax(0)
    seen = top != 0 if maps.amin() >= 0 else torch.ones_like(top, dtype=torch.bool)  # all zeros: det is 0 there
    found = []
    for first in range(0, len(maps), CHANNELS_AT_ONCE):
        cells = ((maps[first : first + CHANNELS_AT_ONCE] == top) & seen).nonzero()
        cells[:, 0] += first
        values, inside = _around(maps, cells)
        peak = values[:, 1, 1] == values.flatten(1).amax(1)
        cells, values = cells[peak], values[peak].where(inside[peak], 0.0)
        dii, djj, dij = second_derivatives(values)
        det, trace = dii * djj - dij * dij, dii + djj
        found.append(cells[(det > 0) & (trace * trace <= (edge_threshold + 1) ** 2 / edge_threshold * det)])
    return torch.cat(found)


def _around(maps: torch.Tensor, cells: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The 3 x 3 values (N, 3, 3) float64 around cells, the map's edge going on, and which of them are inside it."""
    step = torch.arange(-1, 2, device=maps.device)
    rows, columns = cells[:, 1, None, None] + step[:, None], cells[:, 2, None, None] + step
    height, width = maps.shape[1:]
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    at = cells[:, 0, None, None], rows.clamp(0, height - 1), columns.clamp(0, width - 1)
    return maps[at].double(), inside


def second_derivatives(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(N,) each: down, to the right, and mixed, in the middle of (N, 3, 3)."""
    dii = values[:, 0, 1] - 2 * values[:, 1, 1] + values[:, 2, 1]
    djj = values[:, 1, 0] - 2 * values[:, 1, 1] + values[:, 1, 2]
    dij = (values[:, 0, 0] - values[:, 0, 2] - values[:, 2, 0] + values[:, 2, 2]) / 4
    return dii, djj, dij


def localise(maps: torch.Tensor, cells: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Positions (N, 2) float64, row and column in cells, after one step of Newton's; and which of them (N,) hold.

    One that steps half a cell or more is dropped, not moved, as in the code; so is one between cells that are not all
    in the map.
    """
    values, inside = _around(maps, cells)
    values = values.where(inside, 0.0)
    dii, djj, dij = second_derivatives(values)
    di, dj = (values[:, 2, 1] - values[:, 0, 1]) / 2, (values[:, 1, 2] - values[:, 1, 0]) / 2
    det = dii * djj - dij * dij
    step = torch.stack([-(djj * di - dij * dj) / det, -(-dij * di + dii * dj) / det], 1)
    positions = cells[:, 1:] + step
    last = torch.tensor(maps.shape[1:], device=maps.device) - 1
    within = (positions.floor() >= 0) & (positions.ceil() <= last)
    return positions, ((step.abs() < MAX_STEP) & within).all(1)


def describe(maps: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """(N, C) float32 of unit length: the map between the four cells around positions (N, 2), all inside the map."""
    out = torch.empty((len(positions), len(maps)), device=maps.device)
    for first in range(0, len(positions), POINTS_AT_ONCE):
        part = positions[first : first + POINTS_AT_ONCE]
        (top, left), (bottom, right) = part.floor().long().T, part.ceil().long().T
        down, across = (part - part.floor()).float().T
        mixed = (1 - down) * (1 - across) * maps[:, top, left] + (1 - down) * across * maps[:, top, right]
        mixed += down * (1 - across) * maps[:, bottom, left] + down * across * maps[:, bottom, right]
        out[first : first + POINTS_AT_ONCE] = torch.nn.functional.normalize(mixed.T)
    return out


def scores(maps: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
    """(N,) float32: the values at the cells."""
    return maps[tuple(cells.T)].float()
