"""The state of a training on disk: whole or not there, and only for the training it belongs to."""

import io
import pathlib
import pickle
from dataclasses import dataclass

import torch

from localize.io.files import write_bytes, writing
from localize.types import InputError


@dataclass(frozen=True)
class Checkpoint:
    """A file, and what decides the training: settings and data in words, by their names after `pipeline.`."""

    path: pathlib.Path
    made_from: dict[str, str]

    def save(self, state: dict) -> None:
        """Replace the file; a kill at any moment leaves the old one or the new one."""
        whole = io.BytesIO()
        torch.save({"made_from": self.made_from, **state}, whole)  # not into the file: torch hides a full disk
        with writing(self.path):
            write_bytes(self.path, whole.getbuffer())

    def load(self, device: str) -> dict | None:
        """What `save` was given, None if there is no file; InputError if it is damaged or of another training."""
        if not self.path.exists():
            return None
        whole = self.path.read_bytes()
        try:
            state = torch.load(io.BytesIO(whole), map_location=device, weights_only=True)
            theirs = state.pop("made_from")
        except (RuntimeError, pickle.UnpicklingError, EOFError, KeyError, AttributeError, TypeError, ValueError) as e:
            raise InputError(f"{self.path} is damaged or no checkpoint: delete it to start again from step 0") from e
        names = [*self.made_from, *(name for name in theirs if name not in self.made_from)]
        for name in names:
            old, new = theirs.get(name, "not set"), self.made_from.get(name, "not set")
            if old != new:
                raise InputError(
                    f"{self.path} is of a training with pipeline.{name} {old}, but now it is {new}: take another "
                    "hydra.run.dir for a new training, or the old settings and data to go on with this one"
                )
        return state
