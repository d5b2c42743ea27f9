"""What a stage holds of its items: the last ones in memory, all of them on a shelf of the store."""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping

import numpy as np

from localize.io.records import record_from_arrays, record_to_arrays
from localize.store import Shelf


class Shelved:
    """Records on a shelf by a name of ours (a photo, a pair of photos). The last ones stay in memory.

    item_keys: the item key of each name; failures: what was wrong with items that could not be made, by item key.
    """

    MEMORY_BYTES = 128 << 20

    def __init__(self, shelf: Shelf, item_keys: dict):
        self.shelf, self.item_keys, self.failures = shelf, item_keys, {}
        self._seconds: dict[str, float] = {}
        self._held: OrderedDict[str, tuple[object, int]] = OrderedDict()
        self._held_bytes, self._lock = 0, threading.Lock()

    @property
    def key(self) -> str:
        """Of the shelf: the component and its settings, whatever the items."""
        return self.shelf.key

    def __contains__(self, name) -> bool:
        return name in self.item_keys and self.item_keys[name] in self.shelf

    def __getitem__(self, name):
        key = self.item_keys[name]
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key][0]
        record, self._seconds[key] = self.shelf.read(key)
        self._hold(key, record)
        return record

    def seconds(self, name) -> float:
        """How long this item took when it was computed."""
        key = self.item_keys[name]
        if key not in self._seconds:
            self._seconds[key] = self.shelf.seconds(key)
        return self._seconds[key]

    def kept(self, results: Iterator[tuple[str, object, float]]) -> Iterator[tuple[str, object, float]]:
        """The same (item key, record, seconds), on their way to the shelf; who asks for one now need not read it."""
        for key, record, seconds in results:
            arrays, text = record_to_arrays(record)
            self._seconds[key] = seconds
            self._hold(
                key,
                record_from_arrays({k: np.ascontiguousarray(a) for k, a in arrays.items()}, text, self.shelf.makers),
            )
            yield key, record, seconds

    def _hold(self, key: str, record) -> None:
        size = sum(array.nbytes for array in record_to_arrays(record)[0].values())
        with self._lock:
            if key not in self._held:
                self._held[key], self._held_bytes = (record, size), self._held_bytes + size
            while self._held_bytes > self.MEMORY_BYTES:
                self._held_bytes -= self._held.popitem(last=False)[1][1]


class Streamed(Mapping):
    """All items by name as a mapping that reads each when it is asked for."""

    def __init__(self, items: Shelved):
        self._items = items

    def __getitem__(self, name):
        return self._items[name]

    def __iter__(self) -> Iterator:
        return iter(self._items.item_keys)

    def __len__(self) -> int:
        return len(self._items.item_keys)
