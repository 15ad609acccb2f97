"""Champion and challenger over plain arrays: which further answers to judge, and when another router takes over.

The champion serves. The challenger has learned only from traffic before a query, so that every pair is a fair bet
(method/promotion.py). A router serves only after it has earned more than the champion on its own pairs, which came
after it was made. After a switch, the former champion stays in the contest as a guard: if the same test shows that it
would have been better, it comes back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from zooter_core.method.promotion import Array, Evidence, Gate, evidence

Choices = NDArray[np.intp]
R = TypeVar("R")  # represents a router
PROMOTE, ROLLBACK = "promote", "rollback"  # decisions of a contest
GUARD_PAIRS = 300  # after which a former champion leaves the contest
OWN_PAIRS = 5  # that a challenger needs before it can take over
NOBODY = -1  # instead of a candidate's index


@dataclass(frozen=True)
class SamplingPlan:
    """Which answers are judged besides the served one."""

    share: float = 0.05  # the share of queries, drawn uniformly, that every candidate answers
    # Of the queries for which the challenger (or the former champion) chooses differently from the champion, the share
    # that both choices answer.
    pairs: float = 0.5

    @property
    def either(self) -> float:
        """The probability that a query on which routers differ is drawn for either reason."""
        return self.share + (1 - self.share) * self.pairs


def draw_answers(
    served: Choices, rivals: Sequence[Choices], lots: Array, sampling: SamplingPlan, count: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Draw the answers to judge for n queries: those that all candidates answer, shape (n,), and whose answers are
    judged, shape (n, count), the served ones included.

    Args:
        served: who answered, shape (n,); NOBODY if it was none of the candidates.
        rivals: the choices of each router in the contest, shape (n,) each, the champion's first.
        lots: uniform random numbers in [0, 1), shape (n, 2), the only randomness, so that draws are repeatable.
        count: the number of candidates.
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
    """The pairs among n queries, in their order: rewards of the challenger's choices minus the champion's, where both
    are known. Rewards have the shape (n, m), with NaN where there is none."""
    rows = np.arange(len(rewards))
    apart = rewards[rows, challenger] - rewards[rows, champion]
    return apart[(champion != challenger) & ~np.isnan(apart)]


@dataclass
class Contest(Generic[R]):
    """Champion, challenger and guard, and the pairs between them. Routers are opaque: their names suffice."""

    champion: R  # the router that serves
    challenger: R | None = None  # the learner's latest; None before the first
    former: R | None = None  # the champion before, which guards the switch; None if there was none lately
    # Rewards of the learner's challengers minus those of the champion, in order; the latest one's come last.
    pairs: list[float] = field(default_factory=list)
    guard: list[float] = field(default_factory=list)  # the former champion's reward minus the present one's, in order
    # The learner was promoted. Each later router takes over when the next one is made, if it is ahead by then; the
    # guard is a router that served a while ago.
    follows: bool = False
    earlier: int = 0  # how many of the pairs belong to earlier challengers

    @property
    def ahead(self) -> bool:
        """Whether the challenger itself has earned more than the champion, on enough pairs."""
        latest = self.pairs[self.earlier :]
        return self.challenger is not None and len(latest) >= OWN_PAIRS and sum(latest) > 0

    @property
    def rivals(self) -> tuple[R, ...]:
        """All routers in the contest, the champion first."""
        return (self.champion, *(router for router in (self.challenger, self.former) if router is not None))

    def observe(self, rewards: Array, choices: Sequence[Choices]) -> None:
        """Take in the pairs of the next queries, before anything has learned from them; `choices` are those of each of
        `rivals`."""
        others = iter(choices[1:])
        if self.challenger is not None:
            self.pairs += differences(rewards, choices[0], next(others)).tolist()
        if self.former is not None:
            self.guard += differences(rewards, choices[0], next(others)).tolist()

    def enter(self, router: R) -> bool:
        """Enter the learner's next router as the challenger. Returns whether the challenger before it takes over: that
        of a promoted learner does if it is ahead."""
        takes_over = self.follows and self.ahead
        if takes_over and self.challenger is not None:
            self.champion, self.pairs = self.challenger, []
        self.challenger, self.earlier = router, len(self.pairs)
        return takes_over

    def evidence(self, spread: float, gate: Gate) -> Evidence:
        """The pairs' evidence for the challenger."""
        return evidence(np.array(self.pairs), spread, gate)

    def guard_evidence(self, spread: float, gate: Gate) -> Evidence:
        """The pairs' evidence for the former champion."""
        return evidence(np.array(self.guard), spread, gate)

    def decide(self, spread: float, gate: Gate) -> str:
        """Switch if the pairs say so: PROMOTE, ROLLBACK, or "" for neither. A guard that has lost leaves. `spread` is
        that of the rewards."""
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
        """The challenger serves from now on, and the champion guards. With `follow`, its later refits serve as soon as
        they are ahead, until the guard wins."""
        if self.challenger is not None:
            self.champion, self.former, self.challenger = self.challenger, self.champion, None
            self.pairs, self.earlier, self.guard, self.follows = [], 0, [], follow

    def rollback(self) -> None:
        """The former champion serves again."""
        if self.former is not None:
            self.champion, self.former = self.former, None
            self.pairs, self.earlier, self.guard, self.follows = [], 0, [], False

    def restart(self, champion: R) -> None:
        """Start again with another router as the champion."""
        self.champion, self.challenger, self.former = champion, None, None
        self.pairs, self.earlier, self.guard, self.follows = [], 0, [], False
