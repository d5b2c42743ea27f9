"""A faiss index over global descriptors: filled in blocks, kept as a file, opened without reading its lists."""

import pathlib
import tempfile
from dataclasses import dataclass

import faiss
import numpy as np

from localize.kernels.faiss_indexes import fill, opened_once
from localize.types import StoreError

BLOCK_BYTES = 64 << 20  # of vectors in float32 at a time


@dataclass(frozen=True, eq=False)
class FaissFile:
    """The bytes of a faiss index; none where the references are too few for one."""

    data: np.ndarray  # (B,) uint8


def empty_file() -> FaissFile:
    """What stands for an index where every reference is compared."""
    return FaissFile(np.zeros(0, np.uint8))


def filled(index: faiss.Index, vectors: np.ndarray) -> FaissFile:
    """The trained index with all vectors (R, D), added a block at a time; in a nameless file of $TMPDIR until saved."""
    fill(index, vectors, max(1, BLOCK_BYTES // (4 * index.d)))
    with tempfile.NamedTemporaryFile(prefix="localize-ranking-") as file:
        faiss.write_index(index, file.name)
        return FaissFile(np.memmap(file.name, np.uint8, "r"))  # the mapping outlives the name


def opened(built: FaissFile) -> faiss.Index:
    """The index of a record, its lists left on the disk; it lives as long as the record does."""
    return opened_once(built, _read)


def _read(built: FaissFile) -> faiss.Index:
    path = getattr(built.data, "filename", None)
    try:
        on_disk = path is not None and pathlib.Path(path).is_file()
        return _mapped(path, built.data.offset) if on_disk else faiss.deserialize_index(built.data)
    except RuntimeError as e:
        raise StoreError(f"the index {path or ''} of the ranking is damaged: remove it and run again") from e


def _mapped(path: str, offset: int) -> faiss.Index:
    """The index that starts `offset` bytes into a file (.npy has a header); faiss maps lists, and reads a graph."""
    reader = faiss.FileIOReader(str(path))
    reader(faiss.swig_ptr(np.empty(offset, np.uint8)), 1, offset)
    return faiss.read_index(reader, faiss.IO_FLAG_MMAP)
