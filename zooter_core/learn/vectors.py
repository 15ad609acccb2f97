"""The vectors of stored queries, kept with the traffic, so that a refit embeds only the new ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zooter_core.learn.traffic import Traffic
from zooter_core.learn.traffic_rows import LoggedDecision

if TYPE_CHECKING:
    from zooter_core.router.text_encoder import TextEncoder

AT_ONCE = 16  # texts


def embed_decisions(encoder: TextEncoder, decisions: Sequence[LoggedDecision], traffic: Traffic) -> NDArray[np.float32]:
    """The vectors of decisions in the order of their numbers, shape (n, width).

    The traffic has them afterwards, and none of earlier decisions.
    """
    vectors = np.full((len(decisions), 2 * encoder.width), np.nan, dtype=np.float32)
    rows = {one.number: row for row, one in enumerate(decisions)}
    traffic.drop_vectors(min(rows, default=0))
    for number, vector in traffic.vectors(encoder.identity):
        if number in rows:
            vectors[rows[number]] = np.frombuffer(vector, dtype=np.float32)
    missing = np.flatnonzero(np.isnan(vectors[:, 0])).tolist()
    for first in range(0, len(missing), AT_ONCE):
        part = missing[first : first + AT_ONCE]
        vectors[part] = encoder.embed([decisions[row].routed_text for row in part])
        traffic.add_vectors(encoder.identity, [(decisions[row].number, vectors[row].tobytes()) for row in part])
    return vectors
