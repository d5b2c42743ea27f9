"""Several global descriptors as one: their vectors, weighted, one after the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from localize.components import check_component, files_of, missing
from localize.retrieval.base import GlobalDescriptor, PhotoSource
from localize.retrieval.compact import Compact
from localize.retrieval.crbnet_vlad import CrbnetVlad
from localize.types import InputError


@dataclass(frozen=True, eq=False)
class FusedModel:
    """What each part learned."""

    parts: tuple


@dataclass(frozen=True)
class Fusion:
    """Unit vectors times the roots of their shares, so that a dot product is the weighted mean of the similarities.

    Each part learns by itself. A photo of which a part makes nothing (zeros) has the other parts' similarities alone.
    By default two that come along: what stands in the photo, and what the whole looks like, for which few pixels do.
    """

    parts: tuple = (CrbnetVlad(), Compact(max_edge_px=160))  # global descriptors
    weights: tuple = (0.95, 0.05)  # of the parts, above 0; (): equal

    VERSION: ClassVar[int] = 1

    def __post_init__(self):
        check_component(self)
        object.__setattr__(self, "parts", tuple(self.parts))
        if self.weights and len(self.weights) != len(self.parts):
            raise InputError(
                f"Fusion.weights has {len(self.weights)} numbers for {len(self.parts)} parts: give as many, or [] for "
                "equal ones"
            )
        if any(not isinstance(w, int | float) or not w > 0 for w in self.weights):
            raise InputError(f"Fusion.weights is {list(self.weights)}, but must be numbers greater than 0")
        object.__setattr__(self, "weights", tuple(float(w) for w in self.weights))
        unfit = [part for part in self.parts if not isinstance(part, GlobalDescriptor)]
        if unfit:
            raise InputError(
                f"Fusion.parts holds {type(unfit[0]).__name__}, but must hold global descriptors that look at features "
                "or pixels"
            )

    @property
    def needs(self) -> str:
        """What the parts look at, or `both`."""
        asked = {part.needs for part in self.parts}
        return asked.pop() if len(asked) == 1 else "both"

    def preflight(self) -> list[str]:
        """What is missing."""
        if not self.parts:
            return ["retrieval=fusion has no parts: name global descriptors, as docs/global_descriptors.md shows"]
        return [sentence for part in self.parts for sentence in missing(part)]

    def files(self) -> list:
        """The files that decide the vectors, of all parts."""
        return [path for part in self.parts for path in files_of(part)]

    def fit(self, sources: Sequence) -> FusedModel:
        """What each part learns from the references."""
        return FusedModel(tuple(part.fit(_View(sources, part.needs, self.needs)) for part in self.parts))

    def describe(self, source, learned: FusedModel) -> np.ndarray:
        """(sum of the parts' D,) float32, unit length."""
        weights = np.array(self.weights or [1.0] * len(self.parts))
        vectors = [
            np.sqrt(share) * part.describe(_seen(source, part.needs, self.needs), model)
            for part, model, share in zip(self.parts, learned.parts, weights / weights.sum(), strict=True)
        ]
        whole = np.concatenate(vectors).astype(np.float32)
        return whole / max(float(np.linalg.norm(whole)), 1e-12)


def _seen(source, needs: str, given: str):
    """What a part looks at, of a photo's source."""
    return getattr(source, needs) if given == "both" and needs != "both" and isinstance(source, PhotoSource) else source


class _View:
    """The references' sources as one part sees them, read one at a time."""

    def __init__(self, sources: Sequence, needs: str, given: str):
        self.sources, self.needs, self.given = sources, needs, given

    def __len__(self) -> int:
        return len(self.sources)

    def __getitem__(self, i: int):
        return _seen(self.sources[i], self.needs, self.given)
