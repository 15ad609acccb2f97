"""The vectors of stored queries, in a private file beside the traffic, so that a refit embeds only the new ones.

A file that is torn, or of another encoder, has none: they are computed again. Vectors of deleted decisions leave it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zooter_core.base.files import TORN, atomic, writing
from zooter_core.learn.traffic_rows import LoggedDecision

if TYPE_CHECKING:
    from zooter_core.router.text_encoder import TextEncoder

VECTORS = "learned-vectors.npz"
AT_ONCE = 16  # texts


def embed_decisions(encoder: TextEncoder, decisions: Sequence[LoggedDecision], folder: Path) -> NDArray[np.float32]:
    """The vectors of decisions, shape (n, width). The file has these afterwards, and no others.

    Args:
        folder: of the traffic.
    """
    vectors, present, count = read_vectors(encoder, decisions, folder)
    missing = np.flatnonzero(~present)
    for first in range(0, len(missing), AT_ONCE):
        rows = missing[first : first + AT_ONCE]
        vectors[rows] = encoder.embed([decisions[row].routed_text for row in rows.tolist()])
    if not present.all() or count != len(decisions):
        numbers = np.array([one.number for one in decisions], dtype=np.int64)
        with writing(folder):
            _write(folder / VECTORS, numbers, vectors, np.array(encoder.identity))
    return vectors


def read_vectors(
    encoder: TextEncoder, decisions: Sequence[LoggedDecision], folder: Path
) -> tuple[NDArray[np.float32], NDArray[np.bool_], int]:
    """The vectors that the file has for decisions.

    Args:
        folder: of the traffic.

    Returns:
        The vectors, shape (n, width); which decisions have one, shape (n,); and how many the file holds in all.
    """
    width, count = 2 * encoder.width, 0
    vectors, present = np.zeros((len(decisions), width), dtype=np.float32), np.zeros(len(decisions), dtype=bool)
    with suppress(*TORN), np.load(folder / VECTORS) as stored:
        before, rows = stored["numbers"], stored["vectors"]
        if str(stored["encoder"]) == encoder.identity and rows.shape == (len(before), width) and len(before):
            numbers, count = np.array([one.number for one in decisions], dtype=np.int64), len(before)
            places = np.minimum(np.searchsorted(before, numbers), count - 1)
            present = before[places] == numbers
            vectors[present] = rows[places[present]]
    return vectors, present, count


def forget_vectors(folder: Path, numbers_from: Callable[[int], list[int]]) -> None:
    """Remove the vectors of decisions that have been deleted; a torn file goes.

    Args:
        folder: of the traffic.
        numbers_from: gives the numbers of the stored decisions from one on (`Traffic.numbers`).

    Raises:
        WorkError: the file cannot be removed.
    """
    path = folder / VECTORS
    try:
        with np.load(path) as stored:
            numbers = stored["numbers"]
            left = np.isin(numbers, numbers_from(int(numbers.min())))
            if left.all():
                return
            numbers, vectors, identity = numbers[left], stored["vectors"][left], stored["encoder"]
    except FileNotFoundError:
        return
    except TORN:
        numbers = np.zeros(0)
    with writing(folder):
        if len(numbers):
            with suppress(OSError):  # a deletion must not fail because the disk is full: vectors can be made again
                _write(path, numbers, vectors, identity)
                return
        path.unlink(missing_ok=True)


def _write(path: Path, numbers: NDArray[np.int64], vectors: NDArray[np.float32], identity: NDArray[np.str_]) -> None:
    with atomic(path, private=True) as partial, partial.open("wb") as file:
        np.savez(file, numbers=numbers, vectors=vectors, encoder=identity)
