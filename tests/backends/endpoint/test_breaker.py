"""When a server rests, when it is tried again, and what is remembered of what it refuses."""

from __future__ import annotations

from support.event_loops import run_apart
from zooter_core.backends.endpoint.breaker import Breaker
from zooter_core.backends.endpoint.refusals import REMEMBERED_SECONDS, Refusals


def test_a_trial_of_ours_decides_after_the_rest():
    now, trials = [0.0], []
    breaker = Breaker(2, 30)
    breaker.clock = lambda: now[0]

    async def probe() -> str | None:
        trials.append(now[0])
        return "still down" if now[0] < 60 else None

    breaker.failed("down")
    breaker.answered()
    breaker.failed("down")
    assert breaker.state == "closed"
    breaker.failed("down")
    assert (breaker.state, breaker.seconds_left) == ("open", 30)
    assert breaker.reason == "2 failures in a row, the last: down"
    run_apart(breaker.try_again(probe))
    assert trials == []  # it rests
    now[0] = 30
    assert breaker.state == "half-open"
    run_apart(breaker.try_again(probe))
    assert (breaker.state, breaker.seconds_left) == ("open", 30)
    now[0] = 60
    run_apart(breaker.try_again(probe))
    assert (breaker.state, trials) == ("closed", [30, 60])


def test_rest_seconds_of_zero_never_opens():
    breaker = Breaker(1, 0)
    breaker.failed("down")
    assert breaker.state == "closed"


def test_what_was_refused_is_forgotten_after_a_while():
    now = [0.0]
    refusals = Refusals(lambda: now[0])
    refusals.note("images")
    refusals.note("context", 4096)
    assert "images" in refusals
    assert "tools" not in refusals
    assert refusals.context_tokens == 4096
    now[0] = REMEMBERED_SECONDS
    assert "images" not in refusals
    assert refusals.context_tokens is None
