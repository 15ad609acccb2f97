"""The pace of one server, when it rests and is tried again, and what is remembered of what it refuses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from types import SimpleNamespace

import pytest

from support.event_loops import run_apart
from zooter_core.backends.endpoint import health
from zooter_core.backends.endpoint.health import REMEMBERED_SECONDS, Breaker, Pace, Refusals


@pytest.fixture
def clock(monkeypatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(health, "monotonic", lambda: clock.now)
    return clock


@asynccontextmanager
async def place(pace: Pace) -> AsyncIterator[None]:
    await pace.enter()
    try:
        yield
    finally:
        pace.leave()


def used(pace: Pace, count: int) -> Pace:
    """A pace after so many requests at the same time."""

    async def use() -> None:
        async with AsyncExitStack() as stack:
            for _ in range(count):
                await stack.enter_async_context(place(pace))

    run_apart(use())
    return pace


def test_the_number_is_halved_once_for_all_that_started_before(clock):
    pace = used(Pace(8), 8)
    clock.now = 101.0
    for _ in range(8):
        pace.overloaded(started=100.0)
        clock.now = 102.0
    assert pace.limit == 4
    pace.overloaded(started=100.5)
    assert pace.limit == 4
    for started in (102.0, 103.0, 104.0):
        clock.now = started + 0.5
        pace.overloaded(started)
    assert pace.limit == 1  # never below
    wide = used(Pace(100_000), 64)
    wide.overloaded(100.0)
    assert wide.limit == 32  # half of the requests that were under way, not of what fleet.toml allows


def test_as_many_answers_as_are_allowed_raise_it_by_about_one(clock):
    pace = used(Pace(4), 4)
    pace.overloaded(100.0)
    assert pace.limit == 2
    for _ in range(3):
        pace.answered()
    assert 3 < pace.limit < 3.5
    for _ in range(20):
        pace.answered()
    assert pace.limit == 4  # `parallel`


def test_bulk_work_begins_with_few_and_grows_with_each_answer_that_comes_soon(clock):
    pace = Pace(32, begin=4)
    pace.answered(soon=False)
    assert pace.limit == 4
    for _ in range(20):
        pace.answered()
    assert used(pace, 24).limit == 24
    pace.overloaded(100.0)
    pace.answered()
    assert 12 < pace.limit < 12.1
    assert Pace(2, begin=4).limit == 2


def test_no_request_starts_while_the_server_asks_for_a_pause():
    async def run() -> float:
        pace = Pace(2)
        pace.pause(0.2)
        started = asyncio.get_running_loop().time()
        async with place(pace):
            return asyncio.get_running_loop().time() - started

    assert run_apart(run()) >= 0.19


def test_a_request_that_ends_while_it_waits_takes_no_place():
    async def run() -> bool:
        pace, release = Pace(1), asyncio.Event()

        async def hold(done: asyncio.Event) -> None:
            async with place(pace):
                await done.wait()

        first = asyncio.create_task(hold(release))
        await asyncio.sleep(0)
        waiting = [asyncio.create_task(hold(release)) for _ in range(3)]
        await asyncio.sleep(0)
        for task in waiting[:2]:
            task.cancel()
        await asyncio.gather(*waiting[:2], return_exceptions=True)
        release.set()
        await asyncio.gather(first, waiting[2])
        async with asyncio.timeout(10), place(pace):
            return True

    assert run_apart(run())


def test_failures_in_a_row_open_a_breaker_unless_nobody_is_to_rest(clock):
    """What comes after the rest: test_faults.py."""
    never = Breaker(1, 0)  # rest_seconds = 0
    never.failed("down")
    assert never.state == "closed"
    breaker = Breaker(2, 30)
    breaker.failed("down")
    breaker.answered()
    breaker.failed("down")
    assert breaker.state == "closed"
    breaker.failed("down")
    assert (breaker.state, breaker.seconds_left) == ("open", 30)
    clock.now += 30
    assert breaker.state == "half-open"


def test_what_was_refused_is_forgotten_after_a_while(clock):
    refusals = Refusals()
    refusals.note("images")
    refusals.note("context", 4096)
    assert "images" in refusals
    assert "tools" not in refusals
    assert refusals.context_tokens == 4096
    clock.now += REMEMBERED_SECONDS
    assert "images" not in refusals
    assert refusals.context_tokens is None
