"""A list of queries, each answered by several candidates: one after the other, others' queries in between."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from zooter_core.errors import ZooterError
from zooter_core.ui import watch
from zooter_core.ui.compare import comparison
from zooter_core.ui.compare.comparison import Comparison
from zooter_core.ui.registry import Registry

if TYPE_CHECKING:
    from zooter_core.ensemble import Ensemble


class Batch:
    """A thread that compares one query at a time; each is a job of its own, at the end of the line of all jobs.

    Attributes:
        done: the comparisons that have ended, in the order of the queries; a stop drops the one that runs.
        problem: why the work cannot go on.
        sessions: who looks at it.
    """

    def __init__(self, ensemble: Ensemble, queries: Sequence[str], candidates: Sequence[str] = ()) -> None:
        """Begin at once.

        Raises:
            ZooterError: there are fewer than two candidates.
        """
        self.id = secrets.token_urlsafe(9)
        self.queries = tuple(queries)
        self.candidates = comparison.chosen(ensemble.fleet.pool, candidates)
        self.done: list[Comparison] = []
        self.problem: str | None = None
        self.sessions: set[str] = set()
        self._ensemble = ensemble
        self._now: Comparison | None = None
        self._stop = threading.Event()
        self._lock = threading.Lock()  # a stop meets either no comparison or one that it can stop
        self._thread = threading.Thread()
        self.resume()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    @property
    def stopping(self) -> bool:
        return self._stop.is_set()

    @property
    def left(self) -> int:
        """Queries that are not done."""
        return len(self.queries) - len(self.done)

    @property
    def now(self) -> Comparison | None:
        """The comparison that runs."""
        return self._now

    def resume(self) -> None:
        """Go on with the first query that is not done."""
        if self.running:
            return
        self._stop.clear()
        self.problem = None
        self._thread = threading.Thread(target=self._work, name="batch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End at the next token. A short wait lets a page show the end at once."""
        with self._lock:
            self._stop.set()
            running = self._now
        if running is not None:
            running.job.stop()
        self.wait(0.25)

    def wait(self, seconds: float | None = None) -> None:
        """Wait for the end, for tests and for whoever needs the whole."""
        self._thread.join(seconds)

    def _work(self) -> None:
        try:
            while self.left and self._compare(self.queries[len(self.done)]):
                pass
        except ZooterError as problem:
            self.problem = str(problem)
        except Exception as problem:  # shown on the page: a thread has nobody else to tell
            self.problem = f"The list failed: {type(problem).__name__}: {problem}"
        finally:
            self._now = None

    def _compare(self, query: str) -> bool:
        """Compare one query; False where a stop came first."""
        with self._lock:
            if self._stop.is_set():
                return False
            self._now = comparison.start(self._ensemble, query, self.candidates)
        self._now.job.wait()
        if self._stop.is_set():
            return False
        self.done.append(self._now)
        return True


@dataclass(frozen=True)
class Summary:
    """What a list has shown.

    Attributes:
        ranked: queries whose responses have rewards; the router's choice among them.
        agreed: how many of them have the highest reward where the router chose.
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
    """None where nothing can be said."""
    pairs = []
    for row in rows:
        placed = {item.response.candidate: item for item in row.ranked() if item.reward is not None}
        if row.decision.candidate in placed:
            pairs.append((placed[row.decision.candidate], max(item.reward or 0.0 for item in placed.values()), row))
    if not pairs:
        return None
    n = len(pairs)
    return Summary(
        ranked=n,
        agreed=sum(chosen.rank == 1 for chosen, _, _ in pairs),
        router=sum(chosen.reward or 0.0 for chosen, _, _ in pairs) / n,
        best=sum(best for _, best, _ in pairs) / n,
        tokens_router=sum(chosen.response.tokens for chosen, _, _ in pairs),
        tokens_all=sum(item.response.tokens for _, _, row in pairs for item in row.ranked()),
    )


@st.cache_resource(show_spinner=False)
def registry() -> Registry[Batch]:
    """The lists of this server."""
    return Registry(50)


def current() -> Batch | None:
    """This session's list: the one it has, or the one that the address names."""
    found: Batch | None = st.session_state.get("batch")
    if found is None and (named := st.query_params.get("batch")):
        found = st.session_state["batch"] = registry().find(named)
        if found is None:
            comparison.lost("list", "batch")
    if found is None:
        return None
    st.query_params["batch"] = found.id
    registry().add(found)
    watch.look_after(found)
    return found


def show(found: Batch | None) -> None:
    """Let this session look at a list, or at none; one that runs is stopped."""
    earlier: Batch | None = st.session_state.get("batch")
    if earlier is not None and earlier is not found:
        earlier.stop()
    st.session_state["batch"] = found
    if found is None:
        st.query_params.pop("batch", None)
