"""Reward models that go by the length of a response, and queries for them."""

from __future__ import annotations

QUERIES = [(f"q{n}", [f"{n}", f"{n} and more"]) for n in range(10)]


class Lengths:
    """Rewards by length; counts the pairs and fails for some."""

    def __init__(self, special=None, raises=()):
        self.special, self.raises, self.scored, self.calls = special or {}, raises, [], 0

    def score(self, pairs):
        self.calls += 1
        self.scored += pairs
        if failing := [text for _, text in pairs if text in self.raises]:
            raise RuntimeError(f"CUDA error: {failing[0]}")
        return [self.special.get(text, float(len(text))) for _, text in pairs]


class Ahead:
    """Compares by length, a little in favour of the first."""

    def __init__(self, special=None):
        self.special, self.scored = special or {}, []

    def compare(self, triples):
        self.scored += triples
        return [self.special.get(one, len(one) - len(other) + 0.25) for _, one, other in triples]
