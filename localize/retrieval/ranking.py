"""Nearest references by global descriptor: exact search by faiss."""

import faiss
import numpy as np

from localize.types import ImageList, Retrieval


def rank(
    queries: ImageList, query_vectors: np.ndarray, references: ImageList, reference_vectors: np.ndarray, num_frames: int
) -> Retrieval:
    """The `num_frames` most similar references of each query by dot product, never the query itself.

    query_vectors (Q, D), reference_vectors (R, D) float32. Ties go to the earlier reference.
    """
    num_frames = min(num_frames, len(references))
    same = {name: i for i, name in enumerate(references.names)}
    index = np.full((len(queries), num_frames), -1, np.int32)
    score = np.full((len(queries), num_frames), -np.inf, np.float32)
    if len(queries) and num_frames:
        flat = faiss.IndexFlatIP(reference_vectors.shape[1])
        flat.add(np.ascontiguousarray(reference_vectors, np.float32))
        ahead = min(len(references), num_frames + 1)  # one more, as the photo itself may be among them
        scores, indices = flat.search(np.ascontiguousarray(query_vectors, np.float32), ahead)
        for q, name in enumerate(queries.names):
            order = np.lexsort((indices[q], -scores[q]))
            order = order[indices[q][order] != same.get(name, -1)][:num_frames]
            index[q, : len(order)] = indices[q][order]
            score[q, : len(order)] = scores[q][order]
    return Retrieval(queries.names, references.names, index, score)
