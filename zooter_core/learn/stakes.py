"""What a warning costs, and what learning would gain: a sentence each, from the sample and the sums of the traffic."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from zooter_core.learn.drift import LEVEL, Change
from zooter_core.learn.traffic import Traffic
from zooter_core.learn.traffic_sample import Sample
from zooter_core.method.metrics import Array, t_quantile
from zooter_core.method.worth import FEWEST, Estimate, weighted_mean

UNDECIDED = "`zooter learn` finds out as it judges more requests."


@dataclass(frozen=True)
class Stakes:
    """What the sentences are made of.

    Attributes:
        gains: what a router that learns would have earned beyond the one that served, shape (n,), NaN where it was not
            compared (`alternatives.learned_gains`).
    """

    traffic: Traffic
    sample: Sample
    gains: Array
    until: float

    def of(self, change: Change) -> Change:
        """A warning with its cost and its gain, where it has none yet."""
        if change.cost:
            return change
        since = np.array([entry.time >= change.since for entry in self.sample.decisions], dtype=bool)
        if change.kind == "reward":
            return replace(change, cost=self._fall(change), gain=self._gain(since))
        if change.kind == "tag":
            rows = since & np.array([change.name in entry.tags for entry in self.sample.decisions], dtype=bool)
        else:
            rows = np.array([entry.request_id in change.requests for entry in self.sample.decisions], dtype=bool)
        return replace(change, cost=self._regret(rows), gain=self._gain(since))

    def _fall(self, change: Change) -> str:
        """Of a candidate whose rewards fell: its share of the requests since then, and their dollars."""
        totals = [total for total in self.traffic.totals(change.since, self.until) if total.routed and not total.chore]
        of_it = [total for total in totals if total.candidate == change.name]
        count, n = sum(total.n for total in totals), sum(total.n for total in of_it)
        if not n:
            return "It costs nothing so far, as the router gives it no requests."
        share, dollars = n / count, sum(total.dollars for total in of_it)
        paid = f", and ${dollars:,.2f} went to it" if dollars else ""
        return (
            f"This costs {share * (change.before - change.after):.2f} reward per request, as it answered {share:.0%} of"
            f" them since then{paid}."
        )

    def _regret(self, rows: NDArray[np.bool_]) -> str:
        """Of some requests: what the best single model would have earned there beyond the ones that served."""
        sample, p = self.sample, self.sample.inclusion[rows]
        above = sample.rewards - sample.rewards[np.arange(sample.n), sample.chosen][:, None]
        compared = {name: weighted_mean(above[rows, place], p) for place, name in enumerate(sample.pool)}
        n = max((estimate.n for estimate in compared.values()), default=0)
        if n < FEWEST:
            return f"What it costs is not known: only {n} of these requests are in the sample, and it takes {FEWEST}."
        enough = [name for name, estimate in compared.items() if estimate.n >= FEWEST]  # not who joined lately
        name = max(enough, key=lambda name: compared[name].mean)
        shown = compared[name]
        if shown.mean <= t_quantile(1 - LEVEL / 2 / len(enough), shown.n - 1) * shown.error:  # the best of several
            return f"It shows no cost: on {n} such requests in the sample, no single model earned significantly more."
        return f"On such requests, always using {name} would have earned {shown.mean:.2f} more ({_interval(shown)})."

    def _gain(self, rows: NDArray[np.bool_]) -> str:
        rows = rows if (rows & ~np.isnan(self.gains)).sum() >= FEWEST else np.ones_like(rows)
        gain = weighted_mean(self.gains[rows], self.sample.inclusion[rows])
        if gain.n < FEWEST:
            return f"What learning would gain is not known yet. {UNDECIDED}"
        if not gain.significant:
            return f"Learning from the sample would have gained nothing clear ({gain.mean:+.2f}, {_interval(gain)})."
        if gain.mean < 0:
            return f"Learning from the sample alone would have lost {-gain.mean:.2f} per answer ({_interval(gain)})."
        return (
            f"A router that had learned from the sample as it came would have earned {gain.mean:.2f} more per answer"
            f" ({_interval(gain)}): `zooter learn` makes one."
        )


def _interval(shown: Estimate) -> str:
    return f"95% CI {shown.low:.2f} to {shown.high:.2f}"
