"""Judges served decisions: requests further answers and computes rewards, in the background and within a budget.

Decisions are judged in order, in small batches. The request's id decides which answers are judged
(`deciding.draw_answers`), and all rewards are stored before the next batch. So a process that was killed resumes where
it stopped, without requesting an answer twice. Candidates get one query at a time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from zooter_core.backends import Request, iter_responses
from zooter_core.backends.endpoint.faults import CUT_OFF
from zooter_core.base.errors import WorkError, ZooterError
from zooter_core.base.records import Message, Response
from zooter_core.config.candidates import ENDPOINT
from zooter_core.config.fleet import GenerationConfig
from zooter_core.data.prices import cost
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.labelling.rewards import Comparing
from zooter_core.learn.deciding import NOBODY, Choices, SamplingPlan, draw_answers
from zooter_core.learn.traffic import USEFUL, Traffic
from zooter_core.learn.traffic_rows import (
    DEMO,
    IMPORT,
    LONGEST_ANSWER,
    MODEL,
    NEWCOMER,
    PAIR,
    SAMPLE,
    SERVED,
    LoggedDecision,
    LoggedReward,
)
from zooter_core.method.labels import LOTS, lot
from zooter_core.method.partial_rewards import Array
from zooter_core.method.promotion import Evidence, Gate

BATCH = 16  # decisions per batch
STORED = 1000  # the latest decisions, from which a newcomer's queries are drawn
BURST = 200  # stored queries that a newcomer answers, and imported queries that all candidates answer
GIVING_UP = 3  # consecutive queries without a reward after which a newcomer gets no more queries
CALLS = 500  # the most answers to request per turn


@dataclass(frozen=True)
class LearnSettings:
    """The settings of `zooter learn`."""

    sampling: SamplingPlan = field(default_factory=SamplingPlan)
    gate: Gate = field(default_factory=Gate)
    manual: bool = False  # whether only the owner promotes routers; rollbacks stay automatic
    calls: int = CALLS  # the most answers to request from candidates per turn
    # The budget for these answers; None for no limit. Candidates without a price count as free.
    dollars: float | None = None


@dataclass
class TurnSummary:
    """The results of a turn."""

    judged: int = 0  # the number of judged decisions
    waiting: bool = False  # whether some decisions are left for later
    stopped: bool = False  # whether a stop, and not the budget, ended the turn early
    calls: int = 0  # the number of requested answers
    dollars: float = 0.0  # the cost of these answers
    event: str = ""  # PROMOTE, ROLLBACK, FOLLOW (a later router of a promoted learner took over) or ""
    evidence: Evidence | None = None  # the contest's evidence before the event
    challenger: str = ""  # the router that was trained; "" if there was too little new data
    # Whether the learner is promoted: its challenger then takes over as soon as it is ahead of the champion.
    follows: bool = False
    failures: dict[str, int] = field(default_factory=dict)  # the number of each candidate's failed answers
    unscored: int = 0  # the number of queries on which the reward model failed
    reason: str = ""  # the reason for the last failure


def learnable(decision: LoggedDecision, pool: Sequence[str]) -> bool:
    """Whether to learn from a decision: a query (not a chore) that was imported, or that was routed and answered by a
    candidate of the pool."""
    routed = decision.probability is not None and decision.candidate in pool
    return not decision.chore and (routed or decision.source in (DEMO, IMPORT))


class TrafficJudge:
    """Judges decisions: requests answers, stores rewards, and records costs and failures in the turn.

    A stop ends a batch between two queries.

    Raises:
        ZooterError: there is no reward model, or it can only compare answers, so it cannot score a single answer.
    """

    def __init__(
        self,
        ensemble: Ensemble,
        traffic: Traffic,
        settings: LearnSettings,
        turn: TurnSummary,
        stop: threading.Event,
    ) -> None:
        if isinstance(ensemble.reward_model, Comparing):
            step = (
                'Set mode = "single" for a judge, or use one of the kinds "scalar", "http" or "embedded" in [reward].'
            )
            raise ZooterError("a reward model that judges a single answer", "one that compares two", step)
        self.ensemble, self.traffic, self.settings, self.turn, self.stop = ensemble, traffic, settings, turn, stop
        self.pool = ensemble.fleet.pool
        imported = sum(total.n for total in traffic.totals() if not total.routed and not total.chore)
        self.import_share = max(settings.sampling.share, BURST / max(imported, 1)) if settings.sampling.share else 0.0

    def batch(self, decisions: Sequence[LoggedDecision], rivals: Sequence[Choices]) -> tuple[Array, bool]:
        """Judge n decisions, up to the first for which the budget is too small.

        Args:
            rivals: the choices of each router in the contest, shape (n,) each, the champion's first.

        Returns:
            The rewards for the judged decisions, shape (at most n, m), NaN where a reward is missing; and whether the
            budget or a stop ended the batch early.
        """
        columns = {name: column for column, name in enumerate(self.pool)}
        served = np.array([columns.get(str(one.candidate), NOBODY) for one in decisions], dtype=np.intp)
        lots = np.array([[lot(one.request_id, seed) / LOTS for seed in (1, 2)] for one in decisions])
        imported = np.array([one.probability is None for one in decisions])
        lots[imported & (lots[:, 0] < self.import_share), 0] = 0.0  # always in the sample
        sample, judged = draw_answers(served, rivals, lots, self.settings.sampling, len(self.pool))
        rewards = np.full((len(decisions), len(self.pool)), np.nan)
        for row, decision in enumerate(decisions):
            stored = self._read_stored(decision)
            names = [name for column, name in enumerate(self.pool) if judged[row, column]]
            without = [name for name in names if name not in stored]
            missing = [name for name in without if not self._has_answer(decision, name)]
            if len(names) == 1:
                missing = []  # only the served answer, which was not stored; a new request would give another answer
            if self.stop.is_set() or not self._allows(len(missing)):
                return rewards[:row], True
            new = self._judge(decision, without, missing)
            self.traffic.add_rewards(self._logged(decision, reward, bool(sample[row])) for reward in new)
            if self.stop.is_set():  # missing answers will be requested again
                return rewards[:row], True
            for name, reward in (stored | {one.candidate: one.reward for one in new}).items():
                if name in names:
                    rewards[row, columns[name]] = reward
        return rewards, False

    def newcomer(self, name: str, count: int) -> int:
        """Let a new candidate answer `count` stored queries. Returns the number of queries left for another turn.

        Queries are left if the budget or a stop ends the loop, or after GIVING_UP consecutive queries without a reward.
        """
        stored = self.traffic.newest(STORED, USEFUL)
        latest = [one for one in stored if learnable(one, self.pool) and one.candidate != name]
        before = {reward.request_id for reward in self.traffic.rewards(why=NEWCOMER) if reward.candidate == name}
        drawn = sorted(latest, key=lambda one: lot(one.request_id, 3))[:count]
        rest = [one for one in drawn if one.request_id not in before and name not in self._read_stored(one)]
        rest = rest[: max(count - len(before), 0)]
        in_vain = 0  # consecutive queries without a reward
        for done, decision in enumerate(rest):
            if in_vain == GIVING_UP or not self._allows(1):
                return len(rest) - done
            new = self._judge(decision, [name], [name])
            for reward in new:
                reward.why, reward.inclusion = NEWCOMER, min(1.0, count / len(latest))
            self.traffic.add_rewards(new)
            if self.stop.is_set():
                return len(rest) - done
            in_vain = 0 if new else in_vain + 1
        return in_vain if in_vain == GIVING_UP else 0

    def _allows(self, calls: int) -> bool:
        """Whether the budget allows this many more answers."""
        within = self.settings.dollars is None or self.turn.dollars < self.settings.dollars
        return self.turn.calls + calls <= self.settings.calls and (within or not calls)

    def _read_stored(self, decision: LoggedDecision) -> dict[str, float]:
        rewards = self.traffic.rewards_for([decision.request_id])
        return {one.candidate: one.reward for one in rewards if one.source == MODEL}

    def _has_answer(self, decision: LoggedDecision, name: str) -> bool:
        """Whether a candidate's complete answer was stored. A part of an answer would be judged as a complete one."""
        return name == decision.candidate and 0 < len(decision.answer or "") < LONGEST_ANSWER

    def _judge(self, decision: LoggedDecision, names: Sequence[str], ask: Sequence[str]) -> list[LoggedReward]:
        """The rewards of some candidates' answers to one query. Failed answers have no reward."""
        responses = self._ask(decision, ask)
        if len(responses) < len(ask):
            return []  # the others were stopped
        if decision.candidate in names and self._has_answer(decision, str(decision.candidate)):
            responses[str(decision.candidate)] = Response(str(decision.candidate), str(decision.answer))
        answered = {name: one for name, one in responses.items() if one.error is None and one.text.strip()}
        if not answered:
            return []
        texts = [one.text for one in answered.values()]
        try:
            # Without the cache, which would keep hashes of users' texts after the texts are deleted.
            (scored,) = self.ensemble.score_responses([(decision.routed_text, texts)], stop=self.stop, cached=False)
        except WorkError:
            if self.stop.is_set():
                return []
            raise
        if scored.reason:
            self.turn.unscored, self.turn.reason = self.turn.unscored + 1, scored.reason
        keeps = self.ensemble.fleet.learn.answers
        return [
            LoggedReward(
                decision.request_id, name, reward, time=time.time(), dollars=self._dollars(decision, one),
                tokens=one.tokens or None, seconds=one.seconds or None,
                answer=one.text[:LONGEST_ANSWER] if keeps and not self._has_answer(decision, name) else None,
                thought_tokens=one.thought_tokens if one.tokens else None,
            )
            for (name, one), reward in zip(answered.items(), scored.rewards, strict=True)
            if reward is not None
        ]  # fmt: skip

    def _ask(self, decision: LoggedDecision, ask: Sequence[str]) -> dict[str, Response]:
        """The candidates' answers that were complete before a stop."""
        if not ask:
            return {}
        messages, settings = (Message("user", decision.routed_text),), self._generation(decision)
        requests = [Request(self.ensemble.fleet.candidate(name), messages) for name in ask]
        servers = [request for request in requests if request.candidate.backend == ENDPOINT]
        # Models on this machine answer one after the other. In parallel, they would share its cores, and each answer
        # would take longer than a served one.
        groups = [servers, *([request] for request in requests if request not in servers)]
        responses: dict[str, Response] = {}
        for group in groups:
            for _, response in iter_responses(self.ensemble.run_requests(group, self.stop, settings)):
                if self.stop.is_set():
                    continue
                responses[response.candidate] = response
                self.turn.calls += 1
                self.turn.dollars += self._dollars(decision, response) or 0.0
                if response.error is not None:
                    self.turn.failures[response.candidate] = self.turn.failures.get(response.candidate, 0) + 1
        return responses

    def _generation(self, decision: LoggedDecision) -> GenerationConfig:
        """The fleet's settings, with the limit of tokens adapted to the served answer.

        If the client's limit truncated the served answer, the limit is this answer's length. Otherwise, it is the
        fleet's limit or this length, whichever is larger.
        """
        settings, tokens = self.ensemble.fleet.generation, (decision.tokens or 0) - (decision.thought_tokens or 0)
        most = tokens if decision.finish in CUT_OFF else max(tokens, settings.max_new_tokens)
        return replace(settings, max_new_tokens=most) if most > 0 else settings

    def _dollars(self, decision: LoggedDecision, response: Response) -> float | None:
        return cost(self.ensemble.fleet.candidate(response.candidate), decision.prompt_tokens or 0, response.tokens)

    def _logged(self, decision: LoggedDecision, reward: LoggedReward, sampled: bool) -> LoggedReward:
        """The reward with the reason why it was computed, and the probability of this.

        The sample includes the served answers. Without them, it would lack the queries that the router sends to a
        candidate. Imported queries are not part of the traffic in reports.
        """
        if decision.probability is None:
            reward.why = IMPORT
        elif sampled:
            reward.why, reward.inclusion = SAMPLE, self.settings.sampling.share
        elif self._has_answer(decision, reward.candidate):
            reward.why, reward.inclusion = SERVED, 1.0
        else:  # a new answer in place of a served one that was not stored, for a pair
            reward.why, reward.inclusion = PAIR, self.settings.sampling.either
        return reward
