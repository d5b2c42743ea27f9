"""Photos as a training sees them, and the maps of a frozen trunk, kept on disk so that each is computed once."""

import io
import json
import pathlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from localize.components import check_component
from localize.io.files import write_bytes, writing
from localize.io.images import read_photo
from localize.kernels.area import shrunk_by_area
from localize.train.loop.machine import Machine
from localize.train.photos.photometric import random_change
from localize.types import InputError


@dataclass(frozen=True)
class Light:
    """How photos are shown: version 0 as it is, each other one in a light that is its own for good."""

    edge_px: int = 1024  # longer side; larger photos are shrunk by area
    versions: int = 1  # of each photo
    night: float = 0.15  # share of the versions in other light that are at night

    VERSION: ClassVar[int] = 1

    def __post_init__(self):
        check_component(self, positive=("edge_px", "versions"), ranges={"night": (0, 1)})

    def shown(self, path: pathlib.Path, number: int, version: int) -> np.ndarray:
        """(H, W, 3) float32, 0 to 255; number: the photo's, which decides the light."""
        photo = shrunk_by_area(read_photo(path), self.edge_px)
        if version == 0:
            return photo
        rng = np.random.default_rng([number, version])
        return random_change(photo, rng, night_share=self.night).astype(np.float32)


class TrunkMaps:
    """Maps (C, h, w) float16 of a trunk, by photo and version; those in the folder are not computed again.

    The trunk must not change meanwhile: `seen` asks the one that it is given, `kept` the files.
    """

    def __init__(
        self,
        paths: Sequence[pathlib.Path],
        light: Light,
        trunk: nn.Module,
        machine: Machine,
        folder: pathlib.Path | None,
        made_from: dict[str, str],
    ):
        """folder: None keeps nothing; made_from: all that decides the maps: those of another training are replaced.

        InputError for a folder of others' .npy files.
        """
        self.paths, self.light, self.trunk, self.machine = paths, light, trunk, machine
        self.folder, self.made_from = folder, made_from
        if folder is not None:
            with writing(folder):
                folder.mkdir(parents=True, exist_ok=True)
                told, decided = folder / "maps.json", json.dumps(made_from, indent=1).encode()
                if not told.is_file() and any(folder.glob("*.npy")):
                    raise InputError(
                        f"{folder} holds .npy files that are no maps: give another folder as pipeline.data.maps"
                    )
                if not (told.is_file() and told.read_bytes() == decided):
                    for old in folder.glob("*.npy"):
                        old.unlink()
                    write_bytes(told, decided)

    def of_others(self, name: str, paths: Sequence[pathlib.Path], made_from: dict[str, str]) -> "TrunkMaps":
        """The same of other photos, as they are; kept in a folder of this name within this one's."""
        folder = self.folder and self.folder / name
        light = replace(self.light, versions=1)
        return TrunkMaps(paths, light, self.trunk, self.machine, folder, self.made_from | made_from)

    def image(self, photo: int, version: int = 0) -> torch.Tensor:
        """(3, H, W) float32, 0 to 255."""
        shown = self.light.shown(self.paths[photo], photo, version)
        return torch.from_numpy(np.ascontiguousarray(shown.transpose(2, 0, 1)))

    def seen(self, photo: int, version: int = 0) -> torch.Tensor:
        """The trunk's map as it is now, not kept, (C, h, w) on the machine."""
        with torch.no_grad(), self.machine.autocast():
            return self.trunk(self.image(photo, version)[None].to(self.machine.device))[0]

    def kept(self, photo: int, version: int = 0) -> torch.Tensor:
        """The frozen trunk's map (C, h, w) float16, on the CPU."""
        if self.folder is None:
            return self.seen(photo, version).half().cpu()
        path = self.folder / f"{photo:06}_{version}.npy"
        if not path.is_file():
            whole = io.BytesIO()
            np.save(whole, self.seen(photo, version).half().cpu().numpy())
            with writing(path):
                write_bytes(path, whole.getbuffer())
        return torch.from_numpy(np.load(path))
