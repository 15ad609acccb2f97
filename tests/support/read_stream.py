"""Reads the stream of a backend or an ensemble to its end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from zooter_core.backends import Piece, Request
from zooter_core.records import Response


def read(pieces: Iterable[Piece], requests: Sequence[Request]) -> tuple[list[str], list[Response]]:
    """The text of the pieces and the response of every request; a piece after a response fails."""
    texts, responses = dict.fromkeys(requests, ""), {}
    for piece in pieces:
        assert piece.request not in responses, "a piece after the response"
        texts[piece.request] += piece.text
        if piece.response is not None:
            responses[piece.request] = piece.response
    return list(texts.values()), [responses[request] for request in requests]
