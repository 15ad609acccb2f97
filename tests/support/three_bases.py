"""Three tiny base models of one size, in memory that may be too small for all of them."""

from __future__ import annotations

import threading

from support.read_stream import read
from zooter_core.backends import Request
from zooter_core.backends.local.checkpoint import Checkpoint
from zooter_core.base.records import Message
from zooter_core.config.candidates import CandidateConfig, MemoryConfig
from zooter_core.config.fleet import GenerationConfig

GREEDY = GenerationConfig(max_new_tokens=10, temperature=0.0)
QUERIES = ("What is the sea?", "Add up 7 apples", "Why?", "List 12 + 30", "Explain the sea")
ONE, TWO = 1.5, 2.5  # budgets, in models
NAMES = ("a", "b", "c")


def pool(folders, models: float | None = None) -> dict[str, CandidateConfig]:
    """A candidate a base; the budget is in models."""
    size = Checkpoint.of(CandidateConfig("x", "transformers", str(folders["a"]), dtype="float32")).bytes
    budget = None if models is None else MemoryConfig(models * size / 1e9)
    return {
        name: CandidateConfig(name, "transformers", str(folder), dtype="float32", memory=budget)
        for name, folder in folders.items()
    }


def ask(backend, candidates, queries=QUERIES[:1], stop=None):
    """The response to each query of each candidate, in order, and the notes."""
    requests = [Request(candidate, (Message("user", query),)) for candidate in candidates for query in queries]
    pieces = list(backend.stream(requests, GREEDY, stop or threading.Event()))
    return read(pieces, requests)[1], [piece.note for piece in pieces if piece.note]


def texts(backend, candidates, queries=QUERIES[:1]) -> list[str]:
    responses, _ = ask(backend, candidates, queries)
    assert [response.error for response in responses] == [None] * len(responses)
    return [response.text for response in responses]
