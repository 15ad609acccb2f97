"""Reads safetensors files with numpy, so that PyTorch is not needed. Numpy has no bfloat16, so it is converted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Tensors = dict[str, NDArray[Any]]
FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
OTHERS = {"I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1", "BOOL": "?"}


def read_safetensors(content: bytes) -> Tensors:
    """The tensors of a safetensors file by name: floating-point numbers as float32, others unchanged.

    Raises:
        ValueError: a tensor has a type that is not supported; the message names it.
        SafetensorError: the file is damaged.
    """
    from safetensors import deserialize

    tensors: Tensors = {}
    for name, entry in deserialize(content):
        kind = entry["dtype"]
        if kind not in FLOATS | OTHERS:
            raise ValueError(f"{name} of the type {kind}")
        numbers = np.frombuffer(entry["data"], (FLOATS | OTHERS)[kind]).reshape(entry["shape"])
        if kind == "BF16":  # the upper half of a float32
            numbers = (numbers.astype("<u4") << 16).view("<f4")
        tensors[name] = numbers.astype(np.float32, copy=False) if kind in FLOATS else numbers
    return tensors


def first_broken(tensors: Mapping[str, NDArray[Any]]) -> str | None:
    """The name of the first tensor that contains NaN or infinity; None if all numbers are finite."""
    return next((name for name, numbers in tensors.items() if not np.isfinite(numbers).all()), None)
