"""How long the learner's sample takes at today's traffic."""

from __future__ import annotations

import math

from zooter_core.learn.traffic import HOUR, Traffic
from zooter_core.method.worth import FEWEST, Estimate

DAY = 24.0 * HOUR
LATEST_DAYS = 7
YEAR = 365  # days; what takes longer is no plan
UNITS = (("week", 7, 21), ("day", 1, 2), ("hour", 1 / 24, 0))  # its days, and from how many days on it is used
USUAL = 1000  # requests a day, where none have come yet
LEAST_DIFFERENCE = 0.1  # of rewards, where the one that was seen is too small to wait for


def requests_a_day(traffic: Traffic, until: float) -> float:
    """How many requests a day the router chose for in the latest days, chores left out; 0 without any."""
    totals = traffic.totals(until - LATEST_DAYS * DAY, until, hours=1)
    routed = [total for total in totals if total.routed and not total.chore]
    first = min((total.hour or 0 for total in routed), default=0) * HOUR
    return sum(total.n for total in routed) / max((until - first) / DAY, 1.0)


def days(samples: float, a_day: float, share: float) -> float:
    """How many days it takes until so many requests are sampled, a share of those that come."""
    return samples / (a_day * share) if a_day and share else math.inf


def how_long(samples: float, a_day: float, share: float) -> str:
    """The same in words, with the traffic that it supposes; without any yet, for USUAL requests a day."""
    rate = a_day or USUAL
    whose = "today's " if a_day else ""
    return f"{in_words(days(samples, rate, share))} at {whose}{max(rate, 1):,.0f} requests a day"


def in_words(amount: float) -> str:
    """A number of days, rounded up."""
    if amount > YEAR:
        return "more than a year"
    count, unit = next((amount / size, unit) for unit, size, least in UNITS if amount >= least)
    count = max(math.ceil(count), 1)
    return f"about {count} {unit}{'s' if count > 1 else ''}"


def outlook(gain: Estimate | None, sampled: int, a_day: float, share: float) -> str:
    """How long it takes until the sample can tell what routing is worth; "" once it can, or if that takes for ever.

    Args:
        gain: the reward of routing less that of the best single model; None while the sample is too small.
        sampled: requests that every model answered.
        share: of the requests that is sampled.
    """
    percent = f"{100 * share:.3g}%"
    if gain is None:
        first = max(FEWEST - sampled, 1)
        more = "more " if sampled else ""
        return (
            f"First figures take {first} {more}requests that every model answers, {percent} of those that are routed:"
            f" {how_long(first, a_day, share)}."
        )
    if gain.significant:
        return ""
    for difference in (abs(gain.mean), LEAST_DIFFERENCE):
        left = (gain.needed(difference) or math.inf) - gain.n
        if days(left, a_day or USUAL, share) <= YEAR:
            return (
                f"To tell a difference of {difference:.2f} takes about {_rounded(left)} more of them ({percent} of the"
                f" routed requests): {how_long(left, a_day, share)}."
            )
    return ""


def _rounded(count: float) -> str:
    """A number of requests to two digits, rounded up."""
    unit = 10 ** max(len(str(math.ceil(count))) - 2, 0)
    return f"{-(-math.ceil(count) // unit) * unit:,}"
