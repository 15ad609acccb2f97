"""The state that all requests share, from start to stop: settings, the fleet that answers, limits, keys, and the
observers of every exchange."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from zooter_core.base.errors import ZooterError
from zooter_core.base.progress import Tell, silent
from zooter_core.config.fleet import Fleet, load_fleet
from zooter_core.serve.access import Admission
from zooter_core.serve.exchange import Exchange, Observer
from zooter_core.serve.gateway import Gateway
from zooter_core.serve.keys import KeyRing, read_file_state
from zooter_core.serve.metrics import Metrics
from zooter_core.serve.storage import DecisionLog, RequestIds
from zooter_core.serve.traffic_log import TrafficLog

LOG = logging.getLogger("zooter.serve")
FLEET = "fleet.toml"
GRACE_SECONDS = 30
FOLLOW_SECONDS = 5.0  # between checks of fleet.toml, while traffic is kept


@dataclass(frozen=True)
class ServeSettings:
    """The settings of one server."""

    fleet: Fleet  # the fleet to serve
    host: str = "127.0.0.1"
    port: int = 8400
    data: Path = field(default=Path())  # the folder for feedback and the decision log
    most_bytes: int = 32 << 20  # of a request's body
    keys: Path | None = None  # the file of API keys; None requires none
    learn: bool = False  # whether traffic is kept to learn from, whatever `[learn]` says
    # The PEM file for TLS, with the certificate and its private key; None means plain HTTP.
    certificate: Path | None = None
    proxies: tuple[str, ...] = ()  # addresses whose X-Forwarded headers are trusted
    allowed_hosts: tuple[str, ...] = ()  # additional host names under which it answers
    allowed_origins: tuple[str, ...] = ()  # origins whose pages may send requests and read the answers
    grace_seconds: int = GRACE_SECONDS  # for running answers to finish after a stop


class Server:
    """The state that all requests share.

    Attributes:
        gateway: the fleet that answers now. A request keeps the gateway that it began with.
        ids: makes and checks the ids of requests.
        admission: the limits.
        keys: the API keys; None if none are required.
        metrics: the metrics so far.
        traffic: the exchanges that are kept to learn from; None until a fleet keeps traffic.
        observers: called with every exchange that has ended.
        reloading: held while a fleet is reloaded.
        progress: called with a message before work that takes a while.
    """

    gateway: Gateway
    ids: RequestIds

    def __init__(self, settings: ServeSettings, progress: Tell = silent) -> None:
        self.settings, self.progress, self.metrics = settings, progress, Metrics()
        self.observers: list[Observer] = [self.metrics]
        self.reloading = asyncio.Lock()
        self._tasks = set[asyncio.Task[None]]()  # the event loop itself has only weak references
        self.admission = Admission(lambda: self.gateway.fleet.serve)
        self.keys = KeyRing(settings.keys) if settings.keys else None
        self.traffic: TrafficLog | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep the fleet, the decision log and the traffic open while the app runs. SIGHUP reloads the fleet.

        Raises:
            ZooterError: a part of the fleet does not load, or the log cannot be opened.
        """
        try:
            log, self.ids = DecisionLog(self.settings.data), RequestIds(self.settings.data)
        except OSError as problem:
            expected = f"a folder for the decision log at {self.settings.data}"
            next_step = "Fix its permissions, or give another folder with --data."
            raise ZooterError(expected, str(problem), next_step) from None
        self._open_traffic(self.settings.fleet)
        self.gateway = await Gateway.open(self.settings.fleet, progress=self.progress)
        self._tasks.add(asyncio.create_task(self._follow_learner()))
        self.observers = [log, self._keep, *self.observers]
        if hasattr(signal, "SIGHUP") and threading.current_thread() is threading.main_thread():
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._on_hangup)
        try:
            yield
        finally:
            for task in self._tasks:
                task.cancel()  # a fleet that it opens later would never be closed
            await self.gateway.close()
            log.close()
            if self.traffic:
                await asyncio.to_thread(self.traffic.close)

    def _open_traffic(self, fleet: Fleet) -> None:
        """Open the traffic file if the fleet keeps traffic. It stays open: each request's fleet decides what is kept.

        Raises:
            ZooterError: the file cannot be opened.
        """
        if self.traffic is None and (self.settings.learn or fleet.learn.traffic):
            self.traffic = TrafficLog(self.settings.data, fleet.learn)

    def _keep(self, exchange: Exchange) -> None:
        """Keep a request to learn from, if its fleet keeps traffic."""
        if self.traffic and exchange.fleet and (self.settings.learn or exchange.fleet.learn.traffic):
            self.traffic(exchange)

    def _on_hangup(self) -> None:
        async def load() -> None:
            with suppress(ZooterError):  # already logged
                await self.reload()

        self._tasks.add(asyncio.create_task(load()))

    async def _follow_learner(self) -> None:
        """Reload when `zooter learn` promotes or restores a router. Other changes wait for a reload."""
        file = self.settings.fleet.folder / FLEET
        changed = read_file_state(file)
        while True:
            await asyncio.sleep(FOLLOW_SECONDS)
            if self.traffic is None or (latest := read_file_state(file)) == changed:
                continue
            changed = latest
            with suppress(ZooterError):  # already logged, or the file is not completely written yet
                fleet = await asyncio.to_thread(load_fleet, self.settings.fleet.folder)
                if fleet.router != self.gateway.fleet.router:
                    await self.reload()

    async def reload(self) -> Gateway:
        """Reload the fleet and try its router. The new fleet answers from the next request on; running answers go on.

        Raises:
            ZooterError: the new fleet does not load. The old one stays in use.
        """
        async with self.reloading:
            try:
                fleet = await asyncio.to_thread(load_fleet, self.settings.fleet.folder)
                await asyncio.to_thread(self._open_traffic, fleet)
                new = await Gateway.open(fleet, self.gateway, self.progress)
            except ZooterError as problem:
                LOG.error("The new fleet does not load, so the old one stays in use: %s", problem)
                raise
            old, self.gateway = self.gateway, new
            if self.traffic:
                self.traffic.config = fleet.learn
            gc.unfreeze()  # so that the old fleet can be collected (run.py)
            await old.retire()
            self.progress(f"The fleet {fleet.name} has been reloaded.")
            return new
