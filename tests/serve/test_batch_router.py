"""Concurrent queries are routed in batches, in one thread; a failure reaches those that asked."""

from __future__ import annotations

import asyncio
import threading

import pytest

from support.event_loops import run_apart
from support.patience import PATIENCE
from zooter_core.base.errors import WorkError
from zooter_core.base.records import Decision
from zooter_core.serve.bodies import Sender
from zooter_core.serve.exchange import Exchange
from zooter_core.serve.gateway import MOST_IN_BATCH, READ_CHARACTERS, BatchRouter


class Panic(BaseException):
    """As pyo3's PanicException, which is no Exception."""


class Slow:
    """A router whose first batch waits for `go`."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.threads: set[int] = set()
        self.started, self.go = threading.Event(), threading.Event()

    def __call__(self, conversations):
        texts = ["\n".join(turns) for turns in conversations]
        self.batches.append(texts)
        self.threads.add(threading.get_ident())
        self.started.set()
        assert self.go.wait(PATIENCE)
        if "bad" in texts:
            raise Panic("no")
        return [Decision.of(text, {"a": 1.0}) for text in texts]


async def busy(slow: Slow) -> tuple[BatchRouter, asyncio.Task[Decision]]:
    """A router that is at its first query, and that query."""
    router = BatchRouter(slow)
    first = asyncio.create_task(router.route(["first"]))
    assert await asyncio.to_thread(slow.started.wait, PATIENCE)
    return router, first


def test_what_arrives_meanwhile_is_one_batch():
    slow = Slow()

    async def run() -> list[Decision]:
        router, first = await busy(slow)
        others = [asyncio.create_task(router.route([f"q{n}"])) for n in range(MOST_IN_BATCH + 3)]
        await asyncio.sleep(0)
        slow.go.set()
        results = await asyncio.gather(first, *others)
        router.close()
        return results

    results = run_apart(run())
    assert [len(batch) for batch in slow.batches] == [1, MOST_IN_BATCH, 3]
    assert len(slow.threads) == 1
    assert [decision.query for decision in results] == ["first", *(f"q{n}" for n in range(MOST_IN_BATCH + 3))]


def test_a_panic_reaches_those_at_fault_alone_and_routing_goes_on():
    slow = Slow()

    async def run() -> None:
        router, first = await busy(slow)
        together = [asyncio.create_task(router.route([text])) for text in ("q1", "bad", "q2")]
        await asyncio.sleep(0)
        slow.go.set()
        _, before, problem, after = await asyncio.gather(first, *together, return_exceptions=True)
        assert [decision.query for decision in (before, after)] == ["q1", "q2"]
        assert isinstance(problem, WorkError)
        with pytest.raises(WorkError):
            await router.route(["bad"])
        assert await router.failure() == ""  # as a text of ours is routed
        assert (await router.route(["good"])).candidate == "a"
        router.close()

    run_apart(run())
    assert slow.batches[1] == ["q1", "bad", "q2"]


def test_askers_take_turns_a_long_text_holds_up_no_short_ones_and_who_has_gone_is_not_routed():
    slow = Slow()
    long = "x" * READ_CHARACTERS

    async def run() -> None:
        router, first = await busy(slow)
        many = [asyncio.create_task(router.route([long], "one")) for _ in range(100)]
        await asyncio.sleep(0)
        others = [asyncio.create_task(router.route([name], name)) for name in ("other", "third")]
        await asyncio.sleep(0)
        for task in (first, *many[50:]):  # the first one is being routed
            task.cancel()
        await asyncio.gather(first, *many[50:], return_exceptions=True)
        slow.go.set()
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*many[:50], *others)
        router.close()

    run_apart(run())
    assert slow.batches[1:] == [[long], ["other", "third"], *[[long]] * 49]


def test_a_key_has_one_turn_at_the_router_and_without_keys_each_request_its_own():
    askers = [Exchange("/v1/route", Sender(key), id).asker for key in ("phone", None) for id in ("req-1", "req-2")]
    assert askers == ["phone", "phone", "req-1", "req-2"]
