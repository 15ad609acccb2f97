"""Array functions that router kinds share. They work along the last axis."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
# Coefficients for erf, within 1.5e-7 (Abramowitz and Stegun, 1964, formula 7.1.26).
_ERF, _SLOPE = (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429), 0.3275911
_LEAST = 1e-12  # a lower bound of norms, against division by zero


def normal(values: Array) -> tuple[Array, Array]:
    """The standard normal distribution function and its density."""
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
    return values * normal(values)[0]


def softmax(logits: Array) -> Array:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def log_softmax(logits: Array) -> Array:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def unit(vectors: Array) -> Array:
    """The vectors, scaled to unit norm."""
    return vectors / np.maximum(np.sqrt((vectors * vectors).sum(axis=-1, keepdims=True)), _LEAST)
