"""How near two vectors are."""

from __future__ import annotations

import numpy as np

from standins.pinecone.checks import Vectors


def nearest(metric: str, matrix: Vectors, query: Vectors, limit: int) -> tuple[list[int], list[float]]:
    """Rows of the matrix, the best first, and their scores (of `euclidean`, squared distances)."""
    if metric == "euclidean":
        scores = ((matrix - query) ** 2).sum(axis=1)
        best = np.argsort(scores, kind="stable")[:limit]
    else:
        scores = matrix @ query
        if metric == "cosine":
            lengths = np.linalg.norm(matrix, axis=1) * np.linalg.norm(query)
            scores = scores / np.maximum(lengths, np.float32(1e-30))
        best = np.argsort(-scores, kind="stable")[:limit]
    return best.tolist(), scores[best].tolist()
