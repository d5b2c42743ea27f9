"""Connected components of a graph whose edges come in parts. Arrays in, arrays out, on one thread without the GIL."""

from numba import njit


@njit(nogil=True, cache=True)
def join(parent, first, second):
    """Join the components of the nodes first[i] and second[i] (M,); parent (N,) int32, arange(N) at the start.

    A node's parent is not above it, so that each component's root is its smallest node.
    """
    for i in range(first.shape[0]):
        a, b = first[i], second[i]
        while parent[a] != a:
            parent[a] = parent[parent[a]]
            a = parent[a]
        while parent[b] != b:
            parent[b] = parent[parent[b]]
            b = parent[b]
        parent[max(a, b)] = min(a, b)


@njit(nogil=True, cache=True)
def flatten(parent):
    """Make every node's parent its root."""
    for node in range(parent.shape[0]):
        parent[node] = parent[parent[node]]
