"""A map of vectors onto the plane in which they differ most (principal component analysis), in numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Projection:
    """A linear map onto a plane: (vector - mean) @ axes.

    Attributes:
        mean: shape (width,).
        axes: shape (width, 2), unit and orthogonal; the first is the direction of the largest variance.
    """

    mean: Array
    axes: Array

    def __call__(self, vectors: NDArray[np.floating[Any]]) -> Array:
        """Places on the map, shape (..., 2), of vectors of shape (..., width)."""
        return np.asarray((vectors - self.mean) @ self.axes, dtype=np.float32)


def principal(vectors: NDArray[np.floating[Any]]) -> Projection:
    """The map onto the two principal axes of n vectors, shape (n, width), n and width of at least 1.

    The axes are eigenvectors of the covariance matrix, whose size does not grow with n. The sign of an axis is chosen
    so that its largest component is positive, hence the same vectors always give the same map. An axis without any
    variance is zero.
    """
    values = np.asarray(vectors, dtype=np.float64)
    mean = values.mean(axis=0)
    centred = values - mean
    _, strengths, rows = np.linalg.svd(centred.T @ centred)
    axes = np.zeros((values.shape[1], 2))
    for number, (strength, row) in enumerate(zip(strengths[:2], rows[:2], strict=True)):
        if strength > 1e-12 * max(strengths[0], 1e-12):
            axes[:, number] = row * np.sign(row[np.abs(row).argmax()])
    return Projection(mean.astype(np.float32), axes.astype(np.float32))
