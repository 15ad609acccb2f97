"""One turn of `zooter learn`: judge the decisions since the last turn, decide, and train a new challenger.

The order matters: decisions are judged and compared before a router learns from them, so that every pair is a fair bet.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from zooter_core.base.errors import ZooterError
from zooter_core.base.progress import Tell, silent
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.learn.deciding import PROMOTE, ROLLBACK, Choices
from zooter_core.learn.judging import BATCH, BURST, LearnSettings, TrafficJudge, TurnSummary, learnable
from zooter_core.learn.learner import choose
from zooter_core.learn.refit import Material, embed_decisions, read_linear, refit, write_router
from zooter_core.learn.traffic import Traffic
from zooter_core.learn.traffic_rows import LoggedDecision
from zooter_core.learn.versions import FOLLOW, STARTING, State, Versions, is_learned
from zooter_core.method.partial_rewards import Array, spread
from zooter_core.router.head import ENCODER_FOLDER
from zooter_core.router.neighbours import Neighbours

REFIT_EVERY = 100  # decisions between two refits
RECENT = 2000  # decisions from whose rewards the spread is estimated
COMPARABLE = 3.0  # if the spreads differ by a larger factor, training rewards are on another scale
Vectors = NDArray[np.float32]


class Cycle:
    """The learner of a fleet. `tell` is called with notes for the user."""

    def __init__(
        self,
        versions: Versions,
        ensemble: Ensemble,
        traffic: Traffic,
        settings: LearnSettings,
        tell: Tell = silent,
    ) -> None:
        self.versions, self.ensemble, self.traffic = versions, ensemble, traffic
        self.settings, self.tell, self.pool = settings, tell, ensemble.fleet.pool
        self.names = tuple(ensemble.fleet.routed_as)  # the pool's names in a router
        if len(set(self.names)) < len(self.names):
            step = "Give each candidate a `routed_as` of its own, or none."
            raise ZooterError("candidates that a router can tell apart", "two with the same routed_as", step)

    @property
    def state(self) -> State:
        return self.versions.state

    def turn(self, stop: threading.Event, show: Tell = silent) -> TurnSummary:
        """Judge, decide and learn. `show` is called with the progress after every batch.

        Raises:
            ZooterError: a part of the fleet does not work, or its reward model can only compare answers.
            WorkError: a file cannot be written. Rewards that are already stored are kept.
        """
        state, turn = self.state, TurnSummary()
        if state.paused:
            return turn
        if self.traffic.last_number() < state.judged:  # the traffic file is new, so its numbers start again
            state.judged = state.learned = 0
        state.follows = state.follows and not self.settings.manual
        self._withdraw_broken()
        judge = TrafficJudge(self.ensemble, self.traffic, self.settings, turn, stop)
        self._ask_newcomers(judge)
        last = self.traffic.last_number()  # requests that arrive during the turn wait for the next one
        while decisions := [one for one in self.traffic.decisions(state.judged, BATCH) if one.number <= last]:
            if stop.is_set() or not self._judge_batch(judge, decisions):
                turn.waiting = True
                break
            show(f"{turn.judged:,} decisions judged, {turn.calls:,} answers asked for ...")
        material = Material.read(self.traffic, self.pool)
        self._decide(spread(material.judged[-RECENT:]), turn)
        turn.stopped = stop.is_set()
        if not turn.stopped:
            self._learn(material, turn)
        turn.follows = self.state.follows
        return turn

    def _withdraw_broken(self) -> None:
        """Take a challenger or a guard that does not load out of the contest. The turn trains another challenger."""
        for router in self.state.rivals[1:]:
            try:
                self.versions.check(router)
            except ZooterError as problem:
                self.tell(f"{router} leaves the contest. {problem}")
                if router == self.state.challenger:
                    self.state.learned = 0
                self.state.withdraw(router)

    def _judge_batch(self, judge: TrafficJudge, decisions: list[LoggedDecision]) -> bool:
        """Judge a batch and store the result. Returns False if the budget or a stop ended it."""
        state, fit = self.state, [one for one in decisions if learnable(one, self.pool)]
        last, exhausted = decisions[-1].number, False
        if fit:
            rivals = self._route(state.rivals, fit)
            rewards, exhausted = judge.batch(fit, rivals)
            if exhausted:
                last = fit[len(rewards)].number - 1
            state.observe(rewards, [rival[: len(rewards)] for rival in rivals])
            judge.turn.judged += len(rewards)
        state.judged = max(state.judged, last)
        self.versions.save()
        return not exhausted

    def _route(self, routers: Sequence[str], decisions: Sequence[LoggedDecision]) -> list[Choices]:
        """Each router's choices, as indices of the pool. They are not computed if there is only one router."""
        if len(routers) == 1:
            return [np.zeros(len(decisions), dtype=np.intp)]
        texts = [one.routed_text for one in decisions]
        vectors: Vectors | None = None
        result: list[Choices] = []
        for name in routers:
            if is_learned(name):
                vectors = self.ensemble.router.encoder.embed(texts) if vectors is None else vectors
                linear, candidates = read_linear(self.versions.place(name))
                here = np.array([self.names.index(one) if one in self.names else -1 for one in candidates])
                result.append(here[choose(linear, vectors, here >= 0)])  # only candidates of the fleet
                continue
            serves = name == self.versions.serving
            router = (self.ensemble if serves else self.ensemble.renewed(self.versions.fleet_with(name))).router
            order = [router.candidates.index(candidate) for candidate in self.pool]
            result.append(router.probabilities(texts)[:, order].argmax(axis=1))
        return result

    def _ask_newcomers(self, judge: TrafficJudge) -> None:
        """Let candidates that have joined the fleet answer stored queries."""
        state = self.state
        joined = [name for name in self.pool if state.pool and name not in state.pool]
        if set(state.pool) - set(self.pool):
            state.pairs, state.earlier, state.guard = [], 0, []  # their candidates may have left the fleet
        state.pool = list(self.pool)
        newcomers = [name for name in dict.fromkeys([*state.newcomers, *joined]) if name in self.pool]
        state.newcomers = {name: left for name in newcomers if (left := judge.newcomer(name, BURST))}
        self.versions.save()

    def _decide(self, scale: float, turn: TurnSummary) -> None:
        """Switch the router if the evidence of the pairs suffices. `scale` is the spread of the rewards."""
        gate, after = self.settings.gate, deepcopy(self.state)
        turn.evidence, guard = after.evidence(scale, gate), after.guard_evidence(scale, gate)
        event = after.decide(scale, gate)
        if event == PROMOTE and self.settings.manual:
            self.tell(f"{after.champion} passes the gate. Promote it with `zooter learn promote`.")
        else:
            turn.event = event
            self.versions.switch(after, event, guard if event == ROLLBACK else turn.evidence)

    def _learn(self, material: Material, turn: TurnSummary) -> None:
        """Train a new challenger if there is enough new data. The previous challenger may take over."""
        state = self.state
        rewarded = ~np.isnan(material.rewards).all(axis=1) | ~np.isnan(material.late).all(axis=1)
        if len(self.pool) < 2 or not rewarded.any():
            return
        fresh = (rewarded & (np.array([one.number for one in material.decisions]) > state.learned)).sum()
        latest = state.challenger or (state.champion if state.follows else None)
        new_pool = latest is not None and set(self.names) != set(read_linear(self.versions.place(latest))[1])
        if fresh < REFIT_EVERY and not new_pool:
            return
        encoder = self.ensemble.router.encoder
        vectors = embed_decisions(encoder, material.decisions, self.traffic)
        start = self._read_training(spread(material.judged))
        router, temperature = refit(material, vectors, start)
        inside = (self.versions.place(self.versions.serving) / ENCODER_FOLDER).resolve()
        where = inside if encoder.reference == str(inside) else encoder.reference
        turn.challenger = self.versions.add(lambda folder: write_router(folder, router, temperature, self.names, where))
        after = replace(deepcopy(state), learned=material.decisions[-1].number)
        takes_over = after.enter(turn.challenger)
        turn.event = FOLLOW if takes_over else turn.event
        self.versions.switch(after, FOLLOW if takes_over else "")
        self.versions.tidy()

    def _read_training(self, scale: float) -> tuple[Vectors, Array] | None:
        """Vectors and rewards of the training queries of the fleet's first router, if its folder has their texts."""
        origin = self.state.origin
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
