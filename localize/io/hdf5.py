"""Values of HDF5 files that came from elsewhere: only what lies in the file itself, and no more than fits its size.

A link may name another file, and so may the storage of a dataset or the parts that a virtual one is made of; a few
bytes may say that a dataset has a petabyte of zeros.
"""

import math

import h5py
import numpy as np

PACKED = 2000  # times the file's size that its values may take: deflate makes at most 1032 bytes of one
SMALL = 1 << 20  # bytes that any dataset may take


def group_in(parent: h5py.Group, path: str) -> h5py.Group:
    """The group of this path; KeyError if there is none, OSError if a link leads to it."""
    found = item_in(parent, path)
    if not isinstance(found, h5py.Group):
        raise KeyError(f"there is no {path}")
    return found


def item_in(parent: h5py.Group, path: str) -> h5py.Group | h5py.Dataset | None:
    """What lies at a path, names with / between them; None if nothing does; OSError for a link on the way."""
    found = parent
    for name in filter(None, path.split("/")):
        link = found.get(name, getlink=True) if isinstance(found, h5py.Group) else None
        if link is None:
            return None
        if not isinstance(link, h5py.HardLink):
            raise OSError(f"{name} is a link to another place")
        found = found[name]
    return found


def values_in(group: h5py.Group, name: str) -> np.ndarray:
    """All values of a dataset; KeyError if there is none, OSError if they lie elsewhere or are more than the file's."""
    found = item_in(group, name)
    if not isinstance(found, h5py.Dataset):
        raise KeyError(f"there is no {name}")
    if found.is_virtual or found.external:
        raise OSError(f"the values of {name} lie in another file")
    if found.dtype.hasobject and h5py.check_string_dtype(found.dtype) is None:
        raise OSError(f"{name} holds references and no values")
    size = math.prod(found.shape or ()) * found.dtype.itemsize
    if found.shape is None or size > SMALL + PACKED * found.file.id.get_filesize():
        raise OSError(f"{name} is said to take more than its file can hold: {size} bytes")
    return found[()]
