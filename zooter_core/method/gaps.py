"""Means of numbers of which some are missing (NaN), in numpy. Without any gap they are numpy's own, to the bit."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def mean(values: Array, axis: int | None = None, keepdims: bool = False) -> Any:
    """The mean of the numbers that there are; NaN where there is none."""
    if values.size and not np.isnan(values).any():
        return values.mean(axis=axis, keepdims=keepdims)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of a row without any number
        return np.nanmean(values, axis=axis, keepdims=keepdims)


def std(values: Array) -> float:
    """The standard deviation of the numbers that there are."""
    return float(np.nanstd(values) if np.isnan(values).any() else values.std())


def without_gaps(*columns: Array) -> list[Array]:
    """The rows of these columns, shape (n,) each, where all of them have a number."""
    rows = np.logical_and.reduce([np.isfinite(column) for column in columns])
    return [column[rows] for column in columns]
