"""Converts Q4_1 weights to Q4_0 weights and offsets, which become part of the LoRA adapters, to make llama.cpp faster.

For each block of 32 inputs, Q4_1 stores d, m and 32 numbers q from 0 to 15; the weights are d q + m. Q4_0 stores only d
and q; the weights are d (q - 8). The difference is the offset m + 8 d, which is the same for a whole block. The offsets
add to each output the sum, over the blocks, of 32 (m + 8 d) times the mean of the block's inputs. This is the product
of two small matrices, as in an adapter. The weights therefore do not change, except that the matrices of the adapter
are rounded to float16.

llama.cpp's code for Q4_0 is its fastest (docs/notebook/runtimes.md#q4_1-weights-in-llamacpp).
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from zooter_core.backends.gguf.header import Header, Tensor
from zooter_core.base.files import atomic
from zooter_core.base.weights import cache_dir, writing_cache

Q4_0, Q4_1 = 2, 3  # numbers of gguf.GGMLQuantizationType
BLOCK = 32  # weights in a block
BYTES = 20  # in a block of Q4_1: d and m in float16, then the 32 numbers
Q4_0_BYTES = (0, 1, *range(4, BYTES))  # the bytes of a block without m
VERSION = 1  # of the conversion; a new version converts models again
SAMPLES, SAMPLE = 256, 1 << 14  # the number of samples that identify a file, and the bytes of each
# Tensors to which llama.cpp applies adapters; the offsets of others would be ignored.
ARCHITECTURE = "llama"
NAME = re.compile(r"blk\.\d+\.(attn_(q|k|v|output)|ffn_(gate|up|down))\.weight")

Matrix = np.ndarray[Any, np.dtype[Any]]
Bytes = np.ndarray[Any, np.dtype[np.uint8]]


def without_offsets(header: Header) -> Header:
    """Convert a model from Q4_1 to Q4_0, once, in the cache. A model without Q4_1 is returned unchanged.

    Use the result only for candidates whose adapters include the offsets (`with_offsets`).

    Raises:
        WorkError: the cache folder cannot be written.
    """
    if not (tensors := _q4_1(header)):
        return header
    done = cache_dir() / f"{header.path.stem}-q4_0-{_hash_samples(header.path)}.gguf"
    if not done.is_file():
        with writing_cache(done), atomic(done) as partial:
            _write(header, tensors, partial)
    return replace(header, path=done, bytes=done.stat().st_size, original=header)


def _hash_samples(path: Path) -> str:
    """A hash of samples across a file, which takes milliseconds. Copies of the file have the same hash."""
    size = path.stat().st_size
    digest = hashlib.sha256(f"{VERSION} {size}".encode())
    with path.open("rb") as content:
        for place in range(0, size, max(size // SAMPLES, SAMPLE)):
            content.seek(place)
            digest.update(content.read(SAMPLE))
    return digest.hexdigest()[:16]


def with_offsets(matrices: Mapping[str, Matrix], alpha: float, original: Header) -> dict[str, Matrix]:
    """Add a model's offsets to an adapter's matrices.

    Args:
        matrices: as in a GGUF file: `NAME.lora_a` (rank, inputs) and `NAME.lora_b` (outputs, rank).
        alpha: llama.cpp multiplies the product of the two matrices by alpha / rank. For the result, alpha is 1.
        original: the model in Q4_1.

    Returns:
        The matrices in float16.
    """
    content, tensors, joined = _bytes(original), _q4_1(original), dict[str, Matrix]()
    for name in sorted(tensors | dict.fromkeys(matrix.rpartition(".lora_")[0] for matrix in matrices)):
        inputs, outputs = original.tensors[name].shape
        a = matrices.get(f"{name}.lora_a", np.zeros((0, inputs)))
        b = matrices.get(f"{name}.lora_b", np.zeros((outputs, 0))) * (alpha / max(len(a), 1))
        if name in tensors:
            blocks = content[original.start(tensors[name]) :][: tensors[name].bytes].reshape(outputs, -1, BYTES)
            d, m = np.moveaxis(np.ascontiguousarray(blocks[..., :4]).view("<f2").astype(np.float32), -1, 0)
            a = np.concatenate([a, np.kron(np.eye(inputs // BLOCK), np.full(BLOCK, 1 / BLOCK))])
            b = np.concatenate([b, BLOCK * (m + 8 * d)], axis=1)
        joined[f"{name}.lora_a"], joined[f"{name}.lora_b"] = a.astype(np.float16), (b * len(a)).astype(np.float16)
    return joined


def _q4_1(header: Header) -> dict[str, Tensor]:
    """The tensors in Q4_1 whose offsets an adapter can include."""
    copied = all(tensor.bytes for tensor in header.tensors.values()) and "split.count" not in header.values
    if header.architecture != ARCHITECTURE or not copied:
        return {}
    return {name: tensor for name, tensor in header.tensors.items() if tensor.kind == Q4_1 and NAME.fullmatch(name)}


def _bytes(header: Header) -> Bytes:
    return np.memmap(header.path, np.uint8, "r")


def _write(header: Header, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Copy a model and convert the given tensors to Q4_0. Tensors follow each other without gaps, as llama.cpp
    requires."""
    content, offset = _bytes(header), 0
    beginning = bytearray(content[: header.start(next(iter(header.tensors.values())))])
    with path.open("wb") as file:
        file.write(beginning)
        for name, tensor in header.tensors.items():
            numbers, kind = content[header.start(tensor) :][: tensor.bytes], tensor.kind
            if name in tensors:
                numbers, kind = numbers.reshape(-1, BYTES)[:, Q4_0_BYTES], Q4_0
            struct.pack_into("<IQ", beginning, tensor.entry, kind, offset)
            offset += file.write(numbers.tobytes() + bytes(-numbers.size % header.alignment))
        file.seek(0)
        file.write(beginning)
