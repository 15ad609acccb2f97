"""Reads the stream of a backend or an ensemble to its end."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence

from zooter_core.backends import Piece, Request
from zooter_core.base.records import Message, Response
from zooter_core.config.fleet import GenerationConfig

GREEDY = GenerationConfig(max_new_tokens=12, temperature=0.0)
SAMPLED = GenerationConfig(max_new_tokens=12, temperature=0.9)
LONG = GenerationConfig(max_new_tokens=400, temperature=0.0)
ASK = (Message("user", "What is the sea?"),)


def read(pieces: Iterable[Piece], requests: Sequence[Request]) -> tuple[list[str], list[Response]]:
    """The text of the pieces and the response of every request; a piece after a response fails."""
    texts, responses = dict.fromkeys(requests, ""), {}
    for piece in pieces:
        assert piece.request not in responses, "a piece after the response"
        texts[piece.request] += piece.text
        if piece.response is not None:
            responses[piece.request] = piece.response
    return list(texts.values()), [responses[request] for request in requests]


def stream(backend, candidates, generation=GREEDY, messages=ASK, stop=None):
    """Texts of the pieces and the response of each request."""
    requests = [Request(candidate, messages) for candidate in candidates]
    return read(backend.stream(requests, generation, stop or threading.Event()), requests)


def answers(backend, candidates, generation=GREEDY, messages=ASK) -> list[str]:
    responses = stream(backend, candidates, generation, messages)[1]
    assert [response.error for response in responses] == [None] * len(responses)
    return [response.text for response in responses]
