"""What the compact global descriptor is judged by: recall among photos of known places."""

import numpy as np
import PIL.Image
import torch
from torch import nn

from localize.io.images import read_photo
from localize.train.compact.places import PlacedPhotos
from localize.train.loop.machine import Machine
from localize.types import InputError


class Recognition:
    """Recall of a network on photos of known places: the share of the queries with a right reference among the first.

    A query is a photo whose name starts with `queries`, the others are references.
    """

    def __init__(self, places: PlacedPhotos, queries: str, near_m: float, edge_px: int):
        """edge_px: photos are shrunk to this longer side. InputError if there are no queries or no references."""
        asked = np.array([name.startswith(queries) for name in places.names])
        if asked.all() or not asked.any():
            what = "only" if asked.any() else "no"
            raise InputError(f"the validation photos hold {what} names that start with {queries!r}, the queries")
        self.places, self.asked, self.edge_px = places, asked, edge_px
        distance_m = np.linalg.norm(places.centers[asked][:, None] - places.centers[~asked], axis=2)
        self.right = distance_m <= near_m
        if not self.right.any():
            raise InputError(f"no validation query has a reference within {near_m:g} m: see places.txt")

    def __call__(self, module: nn.Module, machine: Machine) -> dict[str, float]:
        """recall_1 and recall_5 in percent, of the queries that have a right reference."""
        found = np.stack([self._described(module, machine, path) for path in self.places.paths])
        return self.measured(found[self.asked], found[~self.asked])

    def measured(self, queries: np.ndarray, references: np.ndarray) -> dict[str, float]:
        """The recalls of vectors (Q, D) and (R, D)."""
        order = np.argsort(-(queries @ references.T), 1, kind="stable")
        right = np.take_along_axis(self.right, order, 1)[self.right.any(1)]
        return {f"recall_{k}": 100 * float(right[:, :k].any(1).mean()) for k in (1, 5)}

    def _described(self, module: nn.Module, machine: Machine, path) -> np.ndarray:
        picture = PIL.Image.fromarray(read_photo(path))
        picture.thumbnail((self.edge_px, self.edge_px), PIL.Image.Resampling.BILINEAR)
        image = torch.from_numpy(np.array(picture).transpose(2, 0, 1)[None]).to(machine.device)
        return module.compact(image.float())[0].float().cpu().numpy()
