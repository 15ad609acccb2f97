"""One turn of `zooter learn`: judge what was served since the last one, decide, and learn a new challenger.

The order matters: a decision is judged and compared before anything learns from it, so that every pair is a fair bet.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zooter_core.base.errors import WorkError, ZooterError
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.learn.deciding import Choices, Contest, Sampling
from zooter_core.learn.judging import BATCH, Budget, Judge, learnable
from zooter_core.learn.learner import DEFAULTS, Learning, choices
from zooter_core.learn.refit import (
    VECTORS,
    Material,
    forget_vectors,
    read_linear,
    refit,
    text_of,
    vectors_of,
    write_router,
)
from zooter_core.learn.traffic import Traffic
from zooter_core.learn.traffic_rows import LoggedDecision
from zooter_core.learn.versions import FOLLOW, PROMOTE, ROLLBACK, STARTING, Versions
from zooter_core.method.partial_rewards import Array, spread
from zooter_core.method.promotion import Evidence, Gate
from zooter_core.router.config import ENCODER_FOLDER, LEARNED
from zooter_core.router.router import Router

REFIT_EVERY = 100  # decisions
BURST = 200  # stored queries that a newcomer answers
RECENT = 2000  # decisions whose rewards tell the spread
COMPARABLE = 3.0  # times the traffic's spread, or a third of it: beyond, training rewards are of another scale
Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Settings:
    """How to learn.

    Attributes:
        manual: nothing is promoted by itself; a roll-back is.
    """

    sampling: Sampling = field(default_factory=Sampling)
    gate: Gate = field(default_factory=Gate)
    learning: Learning = DEFAULTS
    manual: bool = False


@dataclass
class Turn:
    """What a turn did.

    Attributes:
        judged: how many decisions were judged; `waiting`: whether some are left for later.
        stopped: whether a stop ended it before its work was done, and not the budget.
        calls, dollars: what was spent.
        event: PROMOTE, ROLLBACK, FOLLOW (a later router of a promoted learner took over) or "".
        evidence: of the contest, before the event.
        challenger: the router that was made; "" if there was too little new.
        follows: the learner is promoted: it serves as soon as it is ahead of the one that does.
    """

    judged: int = 0
    waiting: bool = False
    stopped: bool = False
    calls: int = 0
    dollars: float = 0.0
    event: str = ""
    evidence: Evidence | None = None
    challenger: str = ""
    follows: bool = False
    failures: dict[str, int] = field(default_factory=dict)


class Cycle:
    """The learner of one fleet at work.

    Args:
        data: the folder of the traffic.
        tell: called with a note for the user.
    """

    def __init__(
        self,
        versions: Versions,
        ensemble: Ensemble,
        traffic: Traffic,
        data: Path,
        settings: Settings,
        tell: Callable[[str], None] = lambda note: None,
    ) -> None:
        self.versions, self.ensemble, self.traffic, self.data = versions, ensemble, traffic, data
        self.settings, self.tell, self.pool = settings, tell, ensemble.fleet.pool
        self.names = tuple(ensemble.fleet.routed_as)  # of the pool, in a router
        if len(set(self.names)) < len(self.names):
            step = "Give each candidate a `routed_as` of its own, or none."
            raise ZooterError("candidates that a router can tell apart", "two with the same routed_as", step)

    def turn(self, budget: Budget, stop: threading.Event) -> Turn:
        """Judge, decide and learn.

        Raises:
            ZooterError: a part of the fleet does not work, or another candidate pool is to be judged by comparisons.
            WorkError: a file cannot be written. What was judged before stays.
        """
        state, turn = self.versions.state, Turn()
        if state.paused:
            return turn
        if self.traffic.last_number() < state.judged:  # another file than at the last turn: its numbers begin anew
            state.judged = state.learned = 0
            (self.data / VECTORS).unlink(missing_ok=True)
        forget_vectors(self.traffic)
        state.follows = state.follows and not self.settings.manual
        judge = Judge(self.ensemble, self.traffic, budget, self.settings.sampling, stop)
        self._newcomers(judge, turn)
        self._drop_torn_challenger()
        contest = state.contest(self.settings.gate)
        for decisions in self._waiting():
            if stop.is_set() or not self._judged(judge, contest, decisions, turn):
                turn.waiting = True
                break
        turn.calls, turn.dollars = budget.spent_calls, budget.spent_dollars
        material = Material.read(self.traffic, self.pool)
        scale = spread(material.judged[-RECENT:])
        turn.evidence = contest.evidence(scale)
        guard = contest.guard_evidence(scale)
        turn.event = self._decide(contest, scale)
        if turn.event:
            self.versions.switch(contest, turn.event, guard if turn.event == ROLLBACK else turn.evidence)
        turn.stopped = stop.is_set()
        if not turn.stopped:
            self._learn(material, turn)
        turn.follows = state.follows
        return turn

    def _waiting(self) -> Iterator[list[LoggedDecision]]:
        """The decisions that are not judged yet, a batch at a time, up to the last one that there was at the start."""
        last = self.traffic.last_number()
        while True:
            rest = self.traffic.decisions(after=self.versions.state.judged, limit=BATCH)
            decisions = [one for one in rest if one.number <= last]
            if not decisions:
                return
            yield decisions

    def _judged(self, judge: Judge, contest: Contest[str], decisions: list[LoggedDecision], turn: Turn) -> bool:
        """Judge a batch and remember it; False where the budget or a stop ended it."""
        state, fit = self.versions.state, [one for one in decisions if learnable(one, self.pool)]
        last, exhausted = decisions[-1].number, False
        if fit:
            rivals = self._choices(contest.rivals, fit)
            judged = judge.batch(fit, rivals)
            count, exhausted = len(judged.decisions), judged.exhausted
            if exhausted:
                last = fit[count].number - 1
            contest.observe(judged.rewards, [rival[:count] for rival in rivals])
            turn.judged += count
            for name, failed in judged.failures.items():
                turn.failures[name] = turn.failures.get(name, 0) + failed
        state.judged = max(state.judged, last)
        state.take(contest)
        self.versions.save()
        return not exhausted

    def _choices(self, routers: Sequence[str], decisions: Sequence[LoggedDecision]) -> list[Choices]:
        """What each router chooses, as numbers of the pool."""
        texts = [text_of(one) for one in decisions]
        vectors: Vectors | None = None
        result = []
        for name in routers:
            if (self.versions.place(name) / LEARNED).is_file() and name != STARTING:
                vectors = self.ensemble.router.encoder.embed(texts) if vectors is None else vectors
                result.append(self._linear_choices(name, vectors))
            else:
                router = self._opened(name)
                order = [router.candidates.index(candidate) for candidate in self.pool]
                result.append(router.probabilities(texts)[:, order].argmax(axis=1))
        return result

    def _linear_choices(self, name: str, vectors: Vectors) -> Choices:
        """Those of a router that traffic made; candidates that it does not know are never its choice."""
        linear, candidates = read_linear(self.versions.place(name))
        here = np.array([self.names.index(one) if one in self.names else -1 for one in candidates])
        return np.asarray(here[choices(linear, vectors, here >= 0)])

    def _opened(self, name: str) -> Router:
        if name == self.versions.serving:
            return self.ensemble.router
        return self.ensemble.renewed(self.versions.fleet_with(name)).router

    def _newcomers(self, judge: Judge, turn: Turn) -> None:
        """Notice candidates that joined, and let them answer stored queries."""
        state = self.versions.state
        if state.pool:
            joined = [name for name in self.pool if name not in state.pool]
            state.newcomers |= dict.fromkeys(joined, BURST)
        state.newcomers = {name: left for name, left in state.newcomers.items() if name in self.pool}
        if set(state.pool) - set(self.pool):
            state.pairs, state.earlier, state.guard = [], 0, []  # a choice of some pairs is gone
        state.pool = list(self.pool)
        for name in list(state.newcomers):
            state.newcomers[name] = judge.newcomer(name, BURST, turn.failures)
            if not state.newcomers[name]:
                del state.newcomers[name]
        self.versions.save()

    def _drop_torn_challenger(self) -> None:
        """Forget a challenger whose files do not load. This turn makes another one."""
        state = self.versions.state
        if state.challenger is None:
            return
        try:
            read_linear(self.versions.place(state.challenger))
        except WorkError as problem:
            self.tell(
                f"The challenger {state.challenger} does not load ({problem.failure.reason}). Another one is made."
            )
            state.challenger, state.pairs, state.earlier, state.learned = None, [], 0, 0

    def _decide(self, contest: Contest[str], scale: float) -> str:
        trial = self.versions.state.contest(self.settings.gate)
        event = trial.decide(scale)
        if event == PROMOTE and self.settings.manual:
            self.tell(f"{trial.champion} passes the gate. Promote it with `zooter learn promote`.")
            return ""
        vars(contest).update(vars(trial))
        if not event:
            self.versions.state.take(contest)
            self.versions.save()
        return event

    def _learn(self, material: Material, turn: Turn) -> None:
        """Make a new challenger, if enough came since the last one; that one may take over now."""
        state = self.versions.state
        rewarded = ~np.isnan(material.rewards).all(axis=1) | ~np.isnan(material.late).all(axis=1)
        numbers = np.array([one.number for one in material.decisions])
        fresh = int((rewarded & (numbers > state.learned)).sum()) if len(numbers) else 0
        latest = state.challenger or (state.champion if state.follows else None)
        new_pool = latest is not None and set(self.names) != set(self._pool_of(latest))
        if len(self.pool) < 2 or not rewarded.any() or (fresh < REFIT_EVERY and not new_pool):
            return
        encoder = self.ensemble.router.encoder
        vectors = vectors_of(encoder, material.decisions, self.data)
        start = self._start(spread(material.judged))
        learned = refit(material, vectors, start, self.settings.learning)
        about = {"decisions": len(material), "origin": state.origin}
        inside = (self.versions.place(self.versions.serving) / ENCODER_FOLDER).resolve()
        reference = inside if encoder.reference in (ENCODER_FOLDER, str(inside)) else encoder.reference
        turn.challenger = self.versions.add(lambda folder: write_router(folder, learned, self.names, reference, about))
        contest = state.contest(self.settings.gate)
        if contest.refit(turn.challenger):
            turn.event = FOLLOW
            self.versions.switch(contest, FOLLOW, learned=learned.last)
        else:
            state.learned = learned.last
            state.take(contest)
            self.versions.save()
        self.versions.tidy()

    def _pool_of(self, name: str) -> list[str]:
        try:
            return read_linear(self.versions.place(name))[1]
        except (OSError, ZooterError):
            return []

    def _start(self, scale: float) -> tuple[Vectors, Array] | None:
        """The training queries of the router that traffic started from, if its folder has them with their texts."""
        from zooter_core.router.neighbours import Neighbours

        origin = self.versions.state.origin
        with suppress(ZooterError):
            neighbours = Neighbours.load(self.versions.place(origin)) if origin != STARTING else None
            if neighbours is None:
                return None
            scores = neighbours.scores()
            table = np.full((len(scores.queries), len(self.pool)), np.nan)
            for column, name in enumerate(self.names):
                if name in scores.candidates:
                    table[:, column] = scores.scores[:, scores.candidates.index(name)]
            if scale > 0 and not scale / COMPARABLE <= spread(table) <= scale * COMPARABLE:
                self.tell("The router's training rewards are on another scale than the reward model's: left out.")
                return None
            return np.asarray(self.ensemble.router.encoder.embed_all([q.text for q in scores.queries])), table
        return None
