"""Turns of the learner on scripted models: `one` answers sums best, `two` everything else, and rewards say so."""

from __future__ import annotations

import threading
from pathlib import Path

from zooter_core.backends import Piece
from zooter_core.base.errors import ZooterError
from zooter_core.base.records import Response
from zooter_core.config.fleet import load_fleet
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.labelling.rewards.scoring import QueryRewards
from zooter_core.learn.cycle import Cycle
from zooter_core.learn.deciding import SamplingPlan
from zooter_core.learn.judging import LearnSettings
from zooter_core.learn.traffic_rows import LoggedDecision
from zooter_core.learn.versions import Versions
from zooter_core.method.promotion import Gate

POOL = ("base", "one", "two")
GOOD = {"sum": "one", "sea": "two"}
STOP = threading.Event()


class Scripted(Ensemble):
    """Candidates that answer their name, and a reward model that knows who should have answered.

    Attributes:
        questions: (candidate, text) of every call.
        broken: candidates that fail.
        refused: whether the reward model fails on a query; drift: is added to every reward.
    """

    def __init__(self, fleet, backends=None, good=GOOD, refused=lambda query: False, drift=0.0) -> None:
        super().__init__(fleet, backends)
        self.questions: list[tuple[str, str]] = []
        self.good, self.broken, self.refused, self.drift = good, set(), refused, drift

    @property
    def reward_model(self):
        return object()

    def run_requests(self, requests, stop, generation=None):
        for request in requests:
            name = request.candidate.name
            self.questions.append((name, request.messages[-1].content))
            failure = ZooterError("an answer", "none", "") if name in self.broken else None
            text = "" if failure else name
            yield Piece(request, "", Response(name, text, tokens=10, error=failure and failure.failure))

    def score_responses(self, queries, progress=lambda done: None, stop=None, cached=True):
        return [
            QueryRewards((None,) * len(texts), "refused")
            if self.refused(query)
            else QueryRewards(tuple(self.drift + (text == self.good[classify_turn(query)]) for text in texts))
            for query, texts in queries
        ]


def classify_turn(query: str) -> str:
    return "sum" if "Add" in query else "sea"


def decisions(count: int, first: int = 0, candidate: str = "base", answer: str | None = "kept") -> list[LoggedDecision]:
    texts = ("Add up {} and 3 apples", "Tell me about the sea near town {}")
    return [
        LoggedDecision(
            f"r{n}", 1000.0 + n, texts[n % 2].format(n), choice=candidate, candidate=candidate, probability=0.5,
            answer=None if answer is None else candidate, prompt_tokens=8,
        )
        for n in range(first, first + count)
    ]  # fmt: skip


def turn(place, stop=STOP, ensemble=None, **settings):
    fleet, _, traffic = place
    parts = load_fleet(fleet)
    ensemble = ensemble or Scripted(parts)
    versions = Versions(parts)
    usual = {"sampling": SamplingPlan(0.5, 1.0), "gate": Gate(pairs=20), "calls": 10_000}
    summary = Cycle(versions, ensemble, traffic, LearnSettings(**usual | settings)).turn(stop)
    return summary, versions, ensemble


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
