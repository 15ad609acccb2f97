"""A fleet in use by the endpoint: its router, its candidates, its conversations. A reload makes a new gateway.

The router decides in batches: a thread takes the conversations that are waiting (`BatchRouter`).
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

from zooter_core.backends.endpoint.connection import Connection
from zooter_core.backends.endpoint.health import Breaker
from zooter_core.base.errors import WorkError, ZooterError
from zooter_core.base.progress import Tell, silent
from zooter_core.base.records import Decision
from zooter_core.config.candidates import ENDPOINT
from zooter_core.config.fleet import Fleet
from zooter_core.config.serve import AUTO_MODEL, VIRTUAL
from zooter_core.config.trust import check_uses
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.fleet.routing import Turns
from zooter_core.labelling.taggers import is_quick
from zooter_core.router.encoder import PROBE
from zooter_core.serve.errors import ApiError
from zooter_core.serve.sessions import Sessions
from zooter_core.serve.targets import Local, Upstream

LOG = logging.getLogger("zooter.serve")
Result = TypeVar("Result")
Route = Callable[[Sequence[Turns]], list[Decision]]
Entry = tuple[Turns, asyncio.Future[Decision]]
REWARD_THREADS = 4  # requests for which rewards are computed at the same time
MOST_IN_BATCH = 32  # conversations
BATCH_CHARACTERS = 1_000  # in a batch of more than one conversation
READ_CHARACTERS = 2_000  # about what the router reads: 256 tokens of the newest turn and 256 of the topic
TRIAL_SECONDS = 5


class Gateway:
    """Everything that a fleet needs to answer requests. `open` makes it, in the event loop that uses it.

    Attributes:
        ensemble: the fleet with its models, which load on first use.
        targets: the candidates, ready to be asked.
        connections: the targets that are on servers.
        sessions: the conversations, including those of the gateway before.
        router_version: the beginning of a hash of the router's folder and settings.
    """

    def __init__(self, fleet: Fleet, ensemble: Ensemble, before: Gateway | None, router_version: str) -> None:
        self.fleet, self.ensemble, self.router_version = fleet, ensemble, router_version
        self.sessions: Sessions = before.sessions if before else Sessions()
        self._open: list[Gateway] = before._open if before else []  # that need their models, the latest last
        self._open.append(self)
        self.router = BatchRouter(ensemble.routing)
        # Rewards have their own threads, so that the loop's threads stay free for short tasks.
        self._reward_threads = ThreadPoolExecutor(REWARD_THREADS, "reward")
        self._users, self._retired, self.closed = 0, False, False
        self.targets: dict[str, Upstream | Local] = {
            candidate.name: Upstream(candidate, log=LOG.warning) if candidate.endpoint else Local(candidate, ensemble)
            for candidate in fleet.candidates
        }
        self.connections: dict[str, Connection] = {
            name: target for name, target in self.targets.items() if isinstance(target, Upstream)
        }

    @classmethod
    async def open(cls, fleet: Fleet, before: Gateway | None = None, progress: Tell = silent) -> Gateway:
        """Load a fleet's router and make its candidates ready to be asked.

        Args:
            before: the gateway that this one replaces. They share conversations, and the models that both need.

        Raises:
            ZooterError: a part of the fleet does not load.
        """
        check_uses(fleet.key_uses, fleet.folder)
        light = all(candidate.backend == ENDPOINT for candidate in fleet.candidates)
        if before and before.ensemble.light == light:
            ensemble = before.ensemble.renewed(fleet)
        else:
            ensemble = Ensemble(fleet, before.ensemble.backends if before else None, light)
        await asyncio.to_thread(_load_router, ensemble, progress)
        version = await asyncio.to_thread(fleet.hash_part, "router")
        gateway = cls(fleet, ensemble, before, version[:12])
        if not ensemble.light:  # a candidate that is asked meanwhile loads at once
            threading.Thread(target=gateway._load_models, name="load", daemon=True).start()
        return gateway

    @property
    def breakers(self) -> dict[str, Breaker]:
        return {name: connection.breaker for name, connection in self.connections.items()}

    @asynccontextmanager
    async def used(self) -> AsyncIterator[Gateway]:
        """Use this gateway for a request. A retired gateway closes after its last request."""
        self._users += 1
        try:
            yield self
        finally:
            self._users -= 1
            await self._close_unused()

    async def retire(self) -> None:
        """Close the gateway as soon as no request uses it, and unload the models that no other gateway needs."""
        self._retired = True
        await self._close_unused()

    async def _close_unused(self) -> None:
        if self._retired and not self._users and not self.closed:
            await self.close()
            self._open.remove(self)
            await asyncio.to_thread(self._unload_models)

    def _load_models(self) -> None:
        """Load the models in the background, until this gateway has closed."""

        def check_open(message: str) -> None:
            if self.closed:
                raise InterruptedError

        with suppress(InterruptedError):
            self.ensemble.load(check_open)
        if self.closed:  # a model may have been loading at that time
            self._unload_models()

    def _unload_models(self) -> None:
        *others, latest = self._open
        latest.ensemble.retain([gateway.fleet for gateway in others])

    @property
    def models(self) -> dict[str, str]:
        """The models that clients may name, with their descriptions."""
        virtual = VIRTUAL if self.fleet.reward else {AUTO_MODEL: VIRTUAL[AUTO_MODEL]}
        return virtual | {candidate.name: candidate.description for candidate in self.fleet.candidates}

    async def with_rewards(self, compute: Callable[[Ensemble, threading.Event], Result]) -> Result:
        """The result of a function that uses the reward model, which runs in a thread. Cancelling sets its event.

        Raises:
            ApiError: the reward model fails.
        """
        stop, loop = threading.Event(), asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._reward_threads, lambda: compute(self.ensemble, stop))
        except asyncio.CancelledError:
            stop.set()
            raise
        except ZooterError as problem:
            raise ApiError(500, f"The reward model failed: {problem}", "reward_failed") from problem

    async def close(self) -> None:
        """Close connections and end the router's thread."""
        self.closed = True
        self.router.close()
        self._reward_threads.shutdown(wait=False, cancel_futures=True)
        for connection in self.connections.values():
            await connection.close()


def _load_router(ensemble: Ensemble, progress: Tell) -> None:
    """Load a fleet's router and tagger, and try them.

    Raises:
        ZooterError: the fleet has no router, or one of them does not load.
    """
    fleet = ensemble.fleet
    ensemble.route(PROBE)
    if fleet.router and math.isfinite(fleet.router.unsure_above):
        ensemble.select(PROBE)  # loads the training queries, which tell `auto-best` what a second answer gains
    if ensemble.router.note:
        progress(ensemble.router.note)
    if is_quick(fleet.tagger) and ensemble.routing.tagger is None:
        progress("Decisions have no tags, since the tagger's encoder is not the router's.")


class BatchRouter:
    """Routes conversations in its own thread. While a batch is computed, the next one is collected.

    Askers take turns: an asker gets a second conversation into a batch only after every other asker has one in it. A
    long conversation that does not fit waits for the next batch without delaying others' short ones. Use it from one
    event loop.

    Args:
        route: decides on a batch (`FleetModels.routing`).
    """

    def __init__(self, route: Route) -> None:
        self._route, self._thread = route, ThreadPoolExecutor(1, "route")
        self._waiting: dict[str, deque[Entry]] = {}  # asker -> its entries; the askers in the order of their turns
        self._routing: asyncio.Task[None] | None = None
        self._failure = ""

    async def route(self, turns: Turns, asker: str = "") -> Decision:
        """The decision on a conversation, given the texts of the user's turns.

        Args:
            asker: the client that takes a turn (`Exchange.asker`).

        Raises:
            ZooterError: the router fails.
        """
        future: asyncio.Future[Decision] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(asker, deque()).append((turns, future))
        if self._routing is None or self._routing.done():
            self._routing = asyncio.create_task(self._route_waiting())
        return await future

    async def failure(self) -> str:
        """Why the router fails; "" if it works. After a failure, the router is tried again on a short text."""
        if self._failure:
            with suppress(ZooterError, TimeoutError):
                async with asyncio.timeout(TRIAL_SECONDS):
                    await self.route([f"Hello {time.monotonic()}"], "trial")  # a text that is not in memory
        return self._failure

    def close(self) -> None:
        self._thread.shutdown(wait=False)

    async def _route_waiting(self) -> None:
        while batch := self._next_batch():
            conversations = [turns for turns, _ in batch]
            results = await asyncio.get_running_loop().run_in_executor(self._thread, self._decide, conversations)
            for (_, future), result in zip(batch, results, strict=True):
                if future.done():  # the client has disconnected
                    continue
                if isinstance(result, ZooterError):
                    future.set_exception(result)
                else:
                    future.set_result(result)

    def _next_batch(self) -> list[Entry]:
        """The next batch, without the conversations that are too long for the rest of it."""
        batch, characters, askers = list[Entry](), 0, deque(self._waiting)
        while askers and len(batch) < MOST_IN_BATCH:
            asker = askers.popleft()
            entries = self._waiting[asker]
            turns, future = entries[0]
            size = min(sum(map(len, turns)), READ_CHARACTERS)
            if batch and characters + size > BATCH_CHARACTERS:
                continue
            entries.popleft()
            del self._waiting[asker]
            if entries:  # its next turn comes after those of all other askers
                self._waiting[asker] = entries
                askers.append(asker)
            if not future.done():
                batch.append((turns, future))
                characters += size
        return batch

    def _decide(self, conversations: Sequence[Turns]) -> list[Decision | ZooterError]:
        """The decision or the error for each conversation of a batch. Runs in the thread."""
        try:
            results = self._route(conversations)
        except BaseException as problem:  # a panic in a tokenizer is not an Exception
            if len(conversations) > 1:  # if one conversation is the cause, the others must not fail
                half = len(conversations) // 2
                return self._decide(conversations[:half]) + self._decide(conversations[half:])
            LOG.error("the router failed on a request", exc_info=problem)
            self._failure = f"it failed ({type(problem).__name__})"
            if isinstance(problem, ZooterError):
                return [problem]
            return [WorkError("a decision from the router", self._failure, "Run `zooter check` on the fleet.")]
        self._failure = ""
        return list(results)
