"""How long a sample takes, in words."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from zooter_core.learn.report import DAY, report_on, requests_a_day
from zooter_core.learn.report_text import how_long, in_units, outlook, statements
from zooter_core.learn.traffic import Traffic
from zooter_core.learn.traffic_rows import LoggedDecision
from zooter_core.method.worth import Estimate


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0.001, "about 1 hour"), (0.6, "about 15 hours"), (2, "about 2 days"), (20.2, "about 21 days"),
        (21, "about 3 weeks"), (366, "more than a year"), (math.inf, "more than a year"),
    ],
)  # fmt: skip
def test_days_in_words(amount: float, text: str) -> None:
    assert in_units(amount) == text


def test_without_traffic_it_is_said_for_a_thousand_requests_a_day() -> None:
    assert how_long(30, 0.0, 0.05) == "about 15 hours at 1,000 requests a day"
    assert how_long(30, 120.0, 0.05) == "about 5 days at today's 120 requests a day"


def test_the_requests_of_a_day_are_those_of_the_router(tmp_path) -> None:
    with Traffic.open(tmp_path) as traffic:
        assert requests_a_day(traffic, 20 * DAY) == 0
        traffic.add(
            LoggedDecision(f"r{n}", 16 * DAY + n * DAY / 100, "q", probability=0.5, chore=n % 2 == 1)
            for n in range(400)
        )
        traffic.add([LoggedDecision("named", 19 * DAY, "q"), LoggedDecision("old", DAY, "q", probability=0.5)])
        assert requests_a_day(traffic, 20 * DAY) == pytest.approx(50)
        assert requests_a_day(traffic, 16 * DAY + 3600) == pytest.approx(3)  # of less than a day: no more than came


def test_who_has_answered_once_has_no_share_of_0(tmp_path) -> None:
    with Traffic.open(tmp_path) as traffic:
        traffic.add(LoggedDecision(f"{n}", n, "q", candidate="b" if n else "a", probability=0.5) for n in range(300))
        lines = statements(report_on(traffic, "mine", 0, 300))
    assert "Answers came from b (100%), a (under 1%)." in " ".join(lines)


def test_the_outlook_follows_from_the_spread_of_the_sample() -> None:
    def in_report(gain: Estimate, a_day: float = 1000.0) -> str:
        return outlook(SimpleNamespace(best=SimpleNamespace(gain=gain), a_day=a_day, share=0.05))

    text = in_report(Estimate(0.1, -0.1, 0.3, 0.1, 100))  # s = .1 * 10 = 1; 7.85 (1 / .1)^2 = 785
    assert "About 690 more of them (5% of the routed requests) would show a difference of 0.10" in text
    assert "about 2 weeks" not in text
    assert text.endswith("about 14 days at today's 1,000 requests a day.")
    small = Estimate(0.0001, -0.1, 0.1, 0.05, 100)  # it would take years: what is said is of a difference that matters
    assert "a difference of 0.10" in in_report(small)
    assert in_report(small, a_day=0.1) == ""
    assert in_report(Estimate(1.0, 0.8, 1.2, 0.1, 100)) == ""
