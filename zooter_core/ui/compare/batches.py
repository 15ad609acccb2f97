"""A list of queries, compared one after the other; other visitors' queries are served in between."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Sequence

import streamlit as st

from zooter_core.fleet.ensemble import Ensemble
from zooter_core.ui.background import BackgroundWork, attach
from zooter_core.ui.compare import comparisons
from zooter_core.ui.compare.comparisons import Comparison
from zooter_core.ui.registry import Registry

MOST_BATCHES = 50  # in memory


class Batch(BackgroundWork):
    """Compares one query at a time. Each comparison is a job of its own, which queues behind all earlier jobs.

    Attributes:
        finished: the comparisons that have ended, in the order of the queries. A stop drops the one that runs.
        current: the comparison that runs.
    """

    subject = "list"

    def __init__(self, ensemble: Ensemble, queries: Sequence[str], candidates: Sequence[str] = ()) -> None:
        """Start at once.

        Raises:
            ZooterError: there are fewer than two candidates.
        """
        super().__init__()
        self.id = secrets.token_urlsafe(9)
        self.queries = tuple(queries)
        self.candidates = comparisons.pick(ensemble.fleet.pool, candidates)
        self.finished: list[Comparison] = []
        self.current: Comparison | None = None
        self._ensemble = ensemble
        self._lock = threading.Lock()  # a stop sees either no comparison or one that it can stop
        self.start()

    @property
    def remaining(self) -> int:
        """How many queries are not finished; `start` continues with the first of them."""
        return len(self.queries) - len(self.finished)

    def stop(self) -> None:
        """End at the next token, and wait a moment for it."""
        with self._lock:
            self._stop.set()
            current = self.current
        if current is not None:
            current.job.stop()
        super().stop()

    def _execute(self) -> None:
        while self.remaining and self._compare(self.queries[len(self.finished)]):
            pass

    def _finish(self) -> None:
        self.current = None

    def _compare(self, query: str) -> bool:
        """Compare one query; False if a stop came first."""
        with self._lock:
            if self.stopping:
                return False
            self.current = comparisons.start(self._ensemble, query, self.candidates)
        self.current.job.wait()
        if self.stopping:
            return False
        self.finished.append(self.current)
        return True


def summary_lines(rows: Sequence[Comparison]) -> list[str]:
    """What comparisons show about the router, as sentences in Markdown."""
    failed = sum(row.job.problem is not None for row in rows)
    lines = [f"{failed} of {len(rows)} queries failed."] if failed else []
    choices, best, tokens = [], 0.0, 0
    for row in rows:
        scored = {item.response.candidate: item for item in row.ranked() if item.reward is not None}
        if row.decision.candidate in scored:
            choices.append(scored[row.decision.candidate])
            best += max(item.reward or 0.0 for item in scored.values())
            tokens += sum(item.response.tokens for item in row.ranked())
    if not choices:
        return [*lines, "None of the responses has a reward, so there is nothing to rank."]
    n, agreed = len(choices), sum(choice.rank == 1 for choice in choices)
    earned, most = sum(choice.reward or 0.0 for choice in choices) / n, best / n
    lines.append(
        f"The router's choice had the highest reward in **{agreed} of {n}** queries ({agreed / n:.0%}). Its mean "
        f"reward is {earned:.2f}, that of the best responses {most:.2f}: running its choice alone loses "
        f"{most - earned:.2f} per query."
    )
    if tokens:
        used = sum(choice.response.tokens for choice in choices)
        saved = f"{1 - used / tokens:.0%} saved"
        lines.append(f"The router's choices took {used:,} tokens instead of {tokens:,}: {saved}.")
    return lines


@st.cache_resource(show_spinner=False)
def registry() -> Registry[Batch]:
    return Registry("list", "batch", MOST_BATCHES)


def current() -> Batch | None:
    """This session's list: its own, or the one that the address names."""
    batch = registry().current()
    attach(batch)
    return batch


def show(batch: Batch | None) -> None:
    """Let this session look at a list, or at none; its previous list is stopped."""
    previous = registry().current()
    if previous is not None and previous is not batch:
        previous.stop()
    registry().show(batch)
