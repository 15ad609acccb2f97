"""A few functions of arrays, for those of numpy and those of PyTorch alike.

A router kind writes its equation once with them. Numpy runs it where routers learn and route; PyTorch runs it where an
encoder learns too, and where a router is exported. Importing this module does not load PyTorch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

Array = Any  # numpy's or PyTorch's, of single precision
# erf within 1.5e-7 (Abramowitz and Stegun, 1964, formula 7.1.26).
_ERF, _SLOPE = (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429), 0.3275911
_LEAST = 1e-12  # a vector's length, where it is divided by


def _torch() -> Any:
    import torch

    return torch


def _is_numpy(values: Array) -> bool:
    return isinstance(values, np.ndarray)


def normal(values: Array) -> tuple[Array, Array]:
    """The standard normal distribution function and its density, of an array of numpy."""
    powers = np.exp(values * values * -0.5)
    near = 1 / (1 + (_SLOPE / math.sqrt(2)) * np.abs(values))
    tail = np.full_like(near, _ERF[-1])
    for factor in reversed(_ERF[:-1]):
        tail *= near
        tail += factor
    tail *= near
    tail *= powers
    tail *= 0.5
    return np.where(values < 0, tail, 1 - tail), powers * (1 / math.sqrt(2 * math.pi))


def gelu(values: Array) -> Array:
    if not _is_numpy(values):
        return _torch().nn.functional.gelu(values)
    return values * normal(values)[0]


def softmax(logits: Array) -> Array:
    """Over the last axis, as all of these but `logsumexp`."""
    if not _is_numpy(logits):
        return _torch().softmax(logits, dim=-1)
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def log_softmax(logits: Array) -> Array:
    if not _is_numpy(logits):
        return _torch().log_softmax(logits, dim=-1)
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def logsumexp(logits: Array, axis: int) -> Array:
    if not _is_numpy(logits):
        return _torch().logsumexp(logits, dim=axis)
    most = logits.max(axis=axis, keepdims=True)
    return np.squeeze(most, axis) + np.log(np.exp(logits - most).sum(axis=axis))


def unit(vectors: Array) -> Array:
    """Vectors of unit length."""
    if not _is_numpy(vectors):
        return _torch().nn.functional.normalize(vectors, dim=-1, eps=_LEAST)
    return vectors / np.maximum(np.sqrt((vectors * vectors).sum(axis=-1, keepdims=True)), _LEAST)


def largest(values: Array) -> Array:
    """Over the last axis, which stays with length 1."""
    return values.max(axis=-1, keepdims=True) if _is_numpy(values) else values.amax(-1, keepdim=True)


def concatenate(parts: Sequence[Array], axis: int) -> Array:
    return np.concatenate(parts, axis) if _is_numpy(parts[0]) else _torch().cat(list(parts), axis)
