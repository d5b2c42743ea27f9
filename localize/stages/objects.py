"""Objects that are looked for in a gallery: what was found in each photo is kept by content."""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from localize.keys import describe, key_of
from localize.retrieval.objects import Box, FoundObjects, ObjectFinder
from localize.stages.photos import LearnedFrom, Photos, learn_from
from localize.stages.workbench import Workbench


@dataclass(frozen=True, eq=False)
class GallerySearch:
    """A finder that has learned from a gallery."""

    finder: ObjectFinder
    made: LearnedFrom
    gallery: Photos

    def query(self, photo: np.ndarray, box: Box) -> np.ndarray:
        """What is looked for, see `ObjectFinder.learn_query`."""
        return self.finder.learn_query(photo, box, self.made.learned)

    def find(self, bench: Workbench, wanted: Mapping[int, np.ndarray], asked: Mapping[str, Iterable[int]]) -> dict:
        """{(query, photo name): FoundObject, or None}. wanted: by query, as `query` made it; asked: by photo, which."""
        asked = {name: tuple(queries) for name, queries in asked.items()}
        shelf = bench.store.shelf("objects", {"finder": describe(self.finder), "model": self.made.key})
        keys = {
            n: key_of({"photo": self.gallery.digests[n], "wanted": [wanted[q] for q in qs]}) for n, qs in asked.items()
        }
        work = functools.partial(self._find, wanted, asked)
        kept = bench.fill("objects", shelf, keys, work, read=self.gallery.read)
        of_photos = ((name, zip(queries, kept[name].objects, strict=True)) for name, queries in asked.items())
        return {(query, name): found for name, pairs in of_photos for query, found in pairs}

    def _find(self, wanted: dict, asked: dict, name: str, pixels: np.ndarray) -> FoundObjects:
        found = self.finder.find(pixels, [wanted[q] for q in asked[name]], self.made.learned)
        self.made.stamps.check()
        return found


def search_gallery(bench: Workbench, finder: ObjectFinder, gallery: Photos) -> GallerySearch:
    """The finder after it has learned the mean feature of the gallery's photos, of which there is at least one."""
    return GallerySearch(finder, learn_from(bench, "object_model", "finder", finder, gallery), gallery)
