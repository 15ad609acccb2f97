"""Champion and challenger on plain arrays: which further answers to judge, and when another router takes over.

The champion is the router that serves. A challenger has learned only from traffic before a query, so that every pair of
their rewards is a fair bet (method/promotion.py). It takes over only after it has earned more than the champion on its
own pairs, which come from traffic after its training. After a switch, the former champion stays in the contest as a
guard: if the same test shows that it would have been better, it serves again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from zooter_core.method.promotion import Array, Evidence, Gate, evidence

Choices = NDArray[np.intp]
R = TypeVar("R")  # a router
PROMOTE, ROLLBACK = "promote", "rollback"  # decisions of a contest
GUARD_PAIRS = 300  # pairs after which a former champion leaves the contest
OWN_PAIRS = 5  # pairs that a challenger needs before it can take over
NOBODY = -1  # the index if no candidate answered


@dataclass(frozen=True)
class SamplingPlan:
    """Which answers are judged besides the served one."""

    share: float = 0.05  # the share of queries, drawn uniformly, that every candidate answers
    # The share of queries that both choices answer, among the queries for which the challenger (or the former champion)
    # chooses differently from the champion.
    pairs: float = 0.5

    @property
    def either(self) -> float:
        """The probability that a query on which routers differ is in the sample or becomes a pair."""
        return self.share + (1 - self.share) * self.pairs


def draw_answers(
    served: Choices, rivals: Sequence[Choices], lots: Array, sampling: SamplingPlan, count: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Draw the answers to judge for n queries.

    Args:
        served: the candidate that answered, shape (n,); NOBODY if it is not in the pool.
        rivals: the choices of each router in the contest, shape (n,) each, the champion's first.
        lots: uniform random numbers in [0, 1), shape (n, 2). They are the only randomness, so draws are reproducible.
        count: the number of candidates.

    Returns:
        A mask of the queries that all candidates answer, shape (n,), and a mask of the answers to judge, shape
        (n, count), which includes the served answers.
    """
    rows = np.arange(len(served))
    sample = lots[:, 0] < sampling.share
    candidates = np.repeat(sample[:, None], count, axis=1)
    for rival in rivals[1:]:
        drawn = (rival != rivals[0]) & (lots[:, 1] < sampling.pairs)
        for choice in (rivals[0], rival):
            candidates[rows[drawn], choice[drawn]] = True
    answered = served != NOBODY
    candidates[rows[answered], served[answered]] = True
    return sample, candidates


def differences(rewards: Array, champion: Choices, challenger: Choices) -> Array:
    """The pairs among n queries, in order: the reward of the challenger's choice minus that of the champion's choice.

    Queries with the same choice or with a missing reward are left out.

    Args:
        rewards: shape (n, m), NaN where a reward is missing.
    """
    rows = np.arange(len(rewards))
    apart = rewards[rows, challenger] - rewards[rows, champion]
    return apart[(champion != challenger) & ~np.isnan(apart)]


@dataclass
class Contest(Generic[R]):
    """Champion, challenger and guard, and the pairs between them. Routers may be any values, such as names."""

    champion: R  # the router that serves
    challenger: R | None = None  # the learner's latest router; None if there is none yet
    former: R | None = None  # the guard, which is the previous champion; None if there was no recent switch
    # The rewards of challengers minus those of the champion, in order; the pairs of the latest challenger come last.
    pairs: list[float] = field(default_factory=list)
    guard: list[float] = field(default_factory=list)  # the guard's rewards minus the champion's, in order
    # Whether the learner was promoted. If so, each later challenger takes over when the next one is trained, if it is
    # ahead by then. The guard is then a router that served a while ago.
    follows: bool = False
    earlier: int = 0  # the number of pairs of earlier challengers

    @property
    def ahead(self) -> bool:
        """Whether the present challenger has earned more than the champion, on enough pairs."""
        latest = self.pairs[self.earlier :]
        return self.challenger is not None and len(latest) >= OWN_PAIRS and sum(latest) > 0

    @property
    def rivals(self) -> tuple[R, ...]:
        """All routers in the contest, the champion first."""
        return (self.champion, *(router for router in (self.challenger, self.former) if router is not None))

    def observe(self, rewards: Array, choices: Sequence[Choices]) -> None:
        """Add the pairs of the next queries, before any router learns from them.

        Args:
            choices: the choices of each of `rivals`.
        """
        others = iter(choices[1:])
        if self.challenger is not None:
            self.pairs += differences(rewards, choices[0], next(others)).tolist()
        if self.former is not None:
            self.guard += differences(rewards, choices[0], next(others)).tolist()

    def enter(self, router: R) -> bool:
        """Enter the learner's next router as the challenger.

        Returns:
            Whether the previous challenger takes over. It does if the learner was promoted and it is ahead.
        """
        takes_over = self.follows and self.ahead
        if takes_over and self.challenger is not None:
            self.champion, self.pairs = self.challenger, []
        self.challenger, self.earlier = router, len(self.pairs)
        return takes_over

    def evidence(self, spread: float, gate: Gate) -> Evidence:
        """The evidence for the challenger."""
        return evidence(np.array(self.pairs), spread, gate)

    def guard_evidence(self, spread: float, gate: Gate) -> Evidence:
        """The evidence for the former champion."""
        return evidence(np.array(self.guard), spread, gate)

    def decide(self, spread: float, gate: Gate) -> str:
        """Switch the champion if the evidence suffices. A guard that has not won after GUARD_PAIRS leaves the contest.

        Args:
            spread: the spread of the rewards.

        Returns:
            PROMOTE, ROLLBACK, or "" for no switch.
        """
        if self.former is not None and self.guard_evidence(spread, gate).passes:
            self.rollback()
            return ROLLBACK
        if self.ahead and self.evidence(spread, gate).passes:
            self.promote(follow=True)
            return PROMOTE
        if len(self.guard) >= GUARD_PAIRS:
            self.former, self.guard = self.champion if self.follows else None, []
        return ""

    def promote(self, follow: bool = False) -> None:
        """Make the challenger the champion, and the champion the guard.

        Args:
            follow: whether the learner's later routers take over as soon as they are ahead, until the guard wins.
        """
        if self.challenger is not None:
            self.champion, self.former, self.challenger = self.challenger, self.champion, None
            self.pairs, self.earlier, self.guard, self.follows = [], 0, [], follow

    def rollback(self) -> None:
        """Make the former champion the champion again."""
        if self.former is not None:
            self.champion, self.former = self.former, None
            self.pairs, self.earlier, self.guard, self.follows = [], 0, [], False

    def withdraw(self, router: R) -> None:
        """Take the challenger or the guard out of the contest."""
        if router == self.challenger:
            self.challenger, self.pairs = None, self.pairs[: self.earlier]
        elif router == self.former:
            self.former, self.guard = None, []

    def restart(self, champion: R) -> None:
        """Start again with another router as the champion."""
        self.champion, self.challenger, self.former = champion, None, None
        self.pairs, self.earlier, self.guard, self.follows = [], 0, [], False
