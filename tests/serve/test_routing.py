"""Concurrent queries are routed in batches, in one thread; a failure reaches those that asked."""

from __future__ import annotations

import asyncio
import threading

import pytest

pytest.importorskip("fastapi", reason="the extra zooter[serve] is not installed")

from zooter_core.records import Decision
from zooter_core.serve.routing import MOST_TEXTS, BatchRouter, Routed


class Slow:
    """A router whose first batch waits for `go`."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.threads: set[int] = set()
        self.started, self.go = threading.Event(), threading.Event()

    def __call__(self, texts):
        self.batches.append(list(texts))
        self.threads.add(threading.get_ident())
        self.started.set()
        assert self.go.wait(20)
        if "bad" in texts:
            raise ValueError("no")
        return [Routed(Decision.of(text, {"a": 1.0}), 0.0) for text in texts]


def test_what_arrives_meanwhile_is_one_batch():
    slow = Slow()

    async def run() -> list[Routed]:
        router = BatchRouter(slow)
        first = asyncio.create_task(router.route(["first"]))
        assert await asyncio.to_thread(slow.started.wait, 20)
        others = [asyncio.create_task(router.route([f"q{n}"])) for n in range(MOST_TEXTS + 3)]
        await asyncio.sleep(0)
        slow.go.set()
        results = await asyncio.gather(first, *others)
        router.close()
        return results

    results = asyncio.run(run())
    assert [len(batch) for batch in slow.batches] == [1, MOST_TEXTS, 3]
    assert len(slow.threads) == 1
    assert [routed.decision.query for routed in results] == ["first", *(f"q{n}" for n in range(MOST_TEXTS + 3))]


def test_a_failure_reaches_its_batch_and_the_next_one_is_routed():
    slow = Slow()
    slow.go.set()

    async def run() -> None:
        router = BatchRouter(slow)
        with pytest.raises(ValueError, match="no"):
            await router.route(["bad"])
        assert (await router.route(["good"])).decision.candidate == "a"
        router.close()

    asyncio.run(run())


def test_a_request_that_has_gone_is_not_routed():
    slow = Slow()

    async def run() -> None:
        router = BatchRouter(slow)
        first = asyncio.create_task(router.route(["first"]))
        assert await asyncio.to_thread(slow.started.wait, 20)
        gone = asyncio.create_task(router.route(["gone"]))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        slow.go.set()
        await first
        await router.route(["last"])
        router.close()

    asyncio.run(run())
    assert [text for batch in slow.batches for text in batch] == ["first", "last"]


def test_the_users_turns_are_routed_newest_last():
    slow = Slow()
    slow.go.set()

    async def run() -> str:
        router = BatchRouter(slow)
        routed = await router.route(["x" * 30_000, "and now?"])
        router.close()
        return routed.decision.query

    text = asyncio.run(run())
    assert text.endswith("x\nand now?")
    assert len(text) == 20_000
