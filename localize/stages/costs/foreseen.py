"""What of a run is in the store already: the chain is gone through without computing anything."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from localize.mapping.base import MapImport
from localize.stages.descriptors import describe_references
from localize.stages.features import extract_features
from localize.stages.index import build_index
from localize.stages.keypoints import given_keypoints
from localize.stages.mapping import map_points
from localize.stages.photos import Photos, query_photos, reference_photos
from localize.stages.poses import estimate_poses
from localize.stages.reconstruction import place_references
from localize.stages.retrieval import retrieve
from localize.stages.shelved import Shelved
from localize.stages.union import match_points
from localize.stages.workbench import StageRecord, Workbench
from localize.store import Shelf
from localize.types import Scene

if TYPE_CHECKING:
    from localize.roles import Components

PAIRS_EACH = 0.6  # of the pairs of an image and a neighbour, those that the other image does not count too


class _NotStored(Exception):
    """What comes after needs a result that is not there yet."""


@dataclass(frozen=True)
class Stage:
    """How much a stage has to do."""

    name: str  # as in the records of the workbench
    items: int
    stored: int = 0  # of the items, those that are in the store

    @property
    def todo(self) -> int:
        """Items that cost something."""
        return self.items - self.stored


@dataclass
class _Looking(Workbench):
    """A workbench that only looks into the store."""

    found: dict[str, Stage] = field(default_factory=dict)

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[StageRecord]:
        yield StageRecord(name)

    def artifact(self, name: str, spec: dict, build: Callable, **_) -> tuple[object, str]:
        def refuse():
            self.found[name] = Stage(name, 1)
            raise _NotStored

        record, key, _ = self.store.artifact(name, spec, refuse)
        self.found[name] = Stage(name, 1, 1)
        return record, key

    def fill(self, name: str, shelf: Shelf, keys: dict, work: Callable, **_) -> Shelved:
        items = set(keys.values())
        self.found[name] = Stage(name, len(items), sum(key in shelf for key in items))
        if self.found[name].todo and name not in ("reference_features", "query_features"):
            raise _NotStored
        return Shelved(shelf, keys)


@dataclass(frozen=True, eq=False)
class Foreseen:
    """The stages of a run in their order, and the photos as far as they are known."""

    stages: tuple[Stage, ...]
    references: Photos
    queries: Photos | None

    def stage(self, name: str) -> Stage:
        """A stage by name, without items if it is none of this run's."""
        return next((s for s in self.stages if s.name == name), Stage(name, 0))

    @property
    def photos_todo(self) -> int:
        """Photos without features."""
        return self.stage("reference_features").todo + self.stage("query_features").todo


def foresee(bench: Workbench, use: "Components", scene: Scene, *, describe: bool, queries: bool) -> Foreseen:
    """The stages of a run. describe: whether references get global descriptors; queries: whether there are any."""
    looking = _Looking(bench.store, bench.workers)
    references = extract_features(looking, use.feature, reference_photos(scene), given_keypoints(bench, use, scene))
    asked = extract_features(looking, use.feature, query_photos(scene)) if queries else None
    with contextlib.suppress(_NotStored):
        _follow(looking, use, scene, references, asked, describe)
    expected = _expected(use, scene, len(references.images), len(asked.images) if queries else 0, describe)
    stages = (looking.found.get(name, stage) for name, stage in expected.items())
    return Foreseen(tuple(stages), references, asked)


def _follow(bench: _Looking, use, scene: Scene, references: Photos, queries: Photos | None, describe: bool) -> None:
    """The chain, up to the first result that is not in the store."""
    if bench.found["reference_features"].todo:
        raise _NotStored
    if scene.unposed is not None:
        scene = place_references(bench, use, scene)
        references = dataclasses.replace(references, images=scene.references)
        queries = queries and dataclasses.replace(queries, images=scene.queries)
    described = describe_references(bench, use, references) if describe else None
    points = map_points(bench, use, scene, references, described)
    index = build_index(bench, use.index, points) if use.search.uses_leaves else None
    if queries is None or bench.found["query_features"].todo:
        return
    frames = retrieve(bench, use, queries, described) if use.search.uses_frames else None
    estimate_poses(bench, use, match_points(bench, use, queries, points, index=index, frames=frames), points)


def _expected(use: "Components", scene: Scene, references: int, queries: int, describe: bool) -> dict[str, Stage]:
    """The stages of a run that begins with an empty store, by name."""
    vectors = describe and hasattr(use.retrieval, "fit")
    counts = {"reference_features": references}
    if vectors:
        counts |= {"retrieval_model": 1, "reference_global": references}
    if not isinstance(use.mapping, MapImport):
        counts["pair_matches"] = num_pairs(use.mapping, references)
    if scene.unposed is not None:
        counts["reconstruction"] = 2 if scene.unposed.held_out else 1
    counts |= {"map": 1, "map_descriptors": 1}
    if use.search.uses_leaves:
        counts["index"] = 1
    if queries:
        counts["query_features"] = queries
        if vectors and use.search.uses_frames:
            counts["query_global"] = queries
        counts |= {"matches": queries, "poses": queries}
    return {name: Stage(name, number) for name, number in counts.items()}


def num_pairs(mapping, references: int) -> int:
    """About how many pairs of references are matched."""
    every = references * (references - 1) // 2
    if mapping.pairs == "exhaustive":
        return every
    return min(every, round(PAIRS_EACH * references * mapping.num_neighbours))
