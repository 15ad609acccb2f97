"""A list of queries, compared one after the other; other visitors' queries are served in between."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from zooter_core.ui.background import BackgroundWork, attach
from zooter_core.ui.compare import comparisons
from zooter_core.ui.compare.comparisons import Comparison
from zooter_core.ui.registry import Registry

if TYPE_CHECKING:
    from zooter_core.ensemble import Ensemble

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


@dataclass(frozen=True)
class Summary:
    """What a list shows about the router.

    Attributes:
        ranked: queries whose responses have rewards, the router's choice among them.
        agreed: in how many of them the router's choice has the highest reward.
        router, best: mean reward of the router's choice, and of the best response.
        tokens_router, tokens_all: tokens of the router's choices, and of all responses.
    """

    ranked: int
    agreed: int
    router: float
    best: float
    tokens_router: int
    tokens_all: int


def summary(rows: Sequence[Comparison]) -> Summary | None:
    """The summary of some comparisons; None if no router's choice among them has a reward."""
    choices = []
    for row in rows:
        scored = {item.response.candidate: item for item in row.ranked() if item.reward is not None}
        if row.decision.candidate in scored:
            choices.append((scored[row.decision.candidate], max(item.reward or 0.0 for item in scored.values()), row))
    if not choices:
        return None
    n = len(choices)
    return Summary(
        ranked=n,
        agreed=sum(choice.rank == 1 for choice, _, _ in choices),
        router=sum(choice.reward or 0.0 for choice, _, _ in choices) / n,
        best=sum(best for _, best, _ in choices) / n,
        tokens_router=sum(choice.response.tokens for choice, _, _ in choices),
        tokens_all=sum(item.response.tokens for _, _, row in choices for item in row.ranked()),
    )


@st.cache_resource(show_spinner=False)
def registry() -> Registry[Batch]:
    """The lists of this server."""
    return Registry(MOST_BATCHES)


def current() -> Batch | None:
    """This session's list: its own, or the one that the address names."""
    batch: Batch | None = st.session_state.get("batch")
    if batch is None and (id := st.query_params.get("batch")):
        batch = st.session_state["batch"] = registry().find(id)
        if batch is None:
            comparisons.report_missing("list", "batch")
    if batch is None:
        return None
    st.query_params["batch"] = batch.id
    registry().add(batch)
    attach(batch)
    return batch


def show(batch: Batch | None) -> None:
    """Let this session look at a list, or at none; its previous list is stopped."""
    previous: Batch | None = st.session_state.get("batch")
    if previous is not None and previous is not batch:
        previous.stop()
    st.session_state["batch"] = batch
    if batch is None:
        st.query_params.pop("batch", None)
