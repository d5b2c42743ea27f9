"""Supervised random trees over binary descriptors."""

from dataclasses import dataclass
from typing import ClassVar

from localize.index.literal_trees import LiteralTrees


@dataclass(frozen=True)
class RandomTrees(LiteralTrees):
    """The trees that are taken by default."""

    VERSION: ClassVar[int] = 2
