"""MinHash (Broder, 1997) with banding: near repeats among a million short texts, without comparing all pairs.

A text is the set of its character 5-grams. For each of 64 random orders of all 5-grams, a signature holds the text's
first one; two texts agree in a slot with the probability of their Jaccard similarity. A slot has 16 bits, and four
slots make a 64-bit band. Only texts that share a band are compared, slot by slot: at a similarity of 0.7, a pair shares
one with probability 0.99.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

GRAM = 5
SLOTS, BANDS = 64, 16
ROUNDS = 50  # the largest number of texts of a band that another one is compared with
PAIRS = 1 << 16  # compared at a time: bounds the memory
Signatures = NDArray[np.uint64]


def signatures(texts: Sequence[str]) -> Signatures:
    """Signatures of shape (texts, BANDS). A text's signature depends on that text alone. Texts must not be empty."""
    sizes = np.array([len(text) for text in texts], dtype=np.int64)
    hashes = _grams(texts, sizes)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    rng = np.random.default_rng(2311_08692)
    masks = rng.integers(0, 1 << 32, SLOTS, dtype=np.uint32)
    factors = rng.integers(0, 1 << 31, SLOTS, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    slots = np.empty((len(texts), SLOTS), dtype=np.uint16)
    for slot in range(SLOTS):  # xor and an odd factor: a permutation of all 32-bit numbers
        slots[:, slot] = np.minimum.reduceat((hashes ^ masks[slot]) * factors[slot], starts).astype(np.uint16)
    return slots.view(np.uint64)


def _grams(texts: Sequence[str], sizes: NDArray[np.int64]) -> NDArray[np.uint32]:
    """A 32-bit hash of the 5-gram at each character of each text; the last ones include padding."""
    gap = "\0" * (GRAM - 1)
    codes = np.frombuffer((gap.join(texts) + gap).encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)
    mixed = codes[: len(codes) - GRAM + 1].copy()
    for place in range(1, GRAM):
        mixed *= np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
        mixed += codes[place : place + len(mixed)]
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(31)
    mixed *= np.uint64(0x94D049BB133111EB)
    inside = np.ones(len(codes), dtype=bool)
    ends = np.cumsum(sizes + GRAM - 1)
    for place in range(1, GRAM):
        inside[ends - place] = False
    return (mixed >> np.uint64(32)).astype(np.uint32)[inside[: len(mixed)]]


def agreement(signed: Signatures, one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.float64]:
    """The estimated Jaccard similarity of pairs of rows, in [0, 1]; its standard deviation is at most 0.0625."""
    slots = signed.view(np.uint16)
    parts = [slice(start, start + PAIRS) for start in range(0, len(one), PAIRS)]
    return np.concatenate([np.zeros(0), *((slots[one[part]] == slots[other[part]]).mean(axis=1) for part in parts)])


def near_repeats(signed: Signatures, least: float) -> NDArray[np.bool_]:
    """The texts whose similarity to an earlier one is at least `least`, directly or through others; shape (texts,)."""
    repeats = np.zeros(len(signed), dtype=bool)
    for band in range(BANDS):
        remaining = np.flatnonzero(~repeats)
        order = remaining[np.argsort(signed[remaining, band], kind="stable")]
        for _ in range(ROUNDS):
            order, firsts = _groups(order, signed[order, band])
            if not len(order):
                break
            near = agreement(signed, order, firsts) >= least
            repeats[order[near & (order != firsts)]] = True
            order = order[~near]  # these may still resemble each other
    return repeats


def _groups(order: NDArray[np.int64], keys: Signatures) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows whose key another row has too, and the first row with that key for each. Rows are sorted by key."""
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])) if len(keys) else np.zeros(0, dtype=int)
    sizes = np.diff(np.append(starts, len(keys)))
    shared = np.repeat(sizes > 1, sizes)
    return order[shared], np.repeat(order[starts], sizes)[shared]
