"""Serve the app with uvicorn until Ctrl-C or SIGTERM. Running answers get some time to finish."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from ipaddress import ip_address, ip_network
from types import FrameType

import uvicorn

from zooter_core.base.connections import BoundedConnection, raise_file_limit
from zooter_core.base.hosts import host_name
from zooter_core.base.progress import Tell
from zooter_core.serve.app import build_app
from zooter_core.serve.server import Server, ServeSettings

JUST_CONNECTED_SECONDS = 0.05  # for a client that has just connected to send its request
LAST_SECONDS = 1.0  # for cancelled tasks to send an error to their clients
CONNECTIONS_PER_CLIENT = 512  # per address, unless it is a proxy's (`--proxy`)


class UvicornServer(uvicorn.Server):
    """A uvicorn server that opens the fleet before it listens, and reports when it is ready.

    The fleet is not opened in the app's lifespan, where uvicorn would log a traceback and exit if it does not load.

    Args:
        on_ready: called with the port when requests are accepted.
    """

    def __init__(self, config: uvicorn.Config, server: Server, on_ready: Callable[[int], None]) -> None:
        super().__init__(config)
        self._server, self._on_ready, self._open = server, on_ready, AsyncExitStack()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await self._open.enter_async_context(self._server.running())
        try:
            await super().startup(sockets)
        except BaseException:
            await self._open.aclose()
            raise
        self._on_ready(self.servers[0].sockets[0].getsockname()[1])

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        await asyncio.sleep(JUST_CONNECTED_SECONDS)  # otherwise uvicorn closes connections whose request is on its way
        if self.server_state.tasks:
            most = self._server.settings.grace_seconds
            self._server.progress(f"Stopping: running answers have {most} s to end. Another Ctrl-C ends them at once.")
        try:
            await super().shutdown(sockets)
        finally:
            if tasks := list(self.server_state.tasks):  # after the grace period or a second Ctrl-C
                for task in tasks if self.force_exit else ():  # uvicorn cancels them only after the grace period
                    task.cancel()
                await asyncio.wait(tasks, timeout=LAST_SECONDS)
            await self._open.aclose()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop. While the fleet loads, the signal ends the process, since the loading threads cannot be stopped."""
        if not self.started:
            signal.signal(sig, signal.SIG_DFL)
            signal.raise_signal(sig)
            os._exit(128 + sig)  # the first process of a container survives the signal
        super().handle_exit(sig, frame)


def uvicorn_server(server: Server, on_ready: Callable[[int], None]) -> uvicorn.Server:
    settings = server.settings
    networks = [ip_network(proxy, strict=False) for proxy in settings.proxies]

    def most_connections(address: str) -> int:
        name = ip_address(host_name(address) or address)
        return 0 if any(name in network for network in networks) else CONNECTIONS_PER_CLIENT

    config = uvicorn.Config(
        build_app(server),
        host=settings.host,
        port=settings.port,
        http=partial(BoundedConnection, most_of=most_connections),  # type: ignore[arg-type]
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.proxies),
        forwarded_allow_ips=list(settings.proxies),
        ssl_certfile=settings.certificate,
        timeout_graceful_shutdown=settings.grace_seconds,
    )
    return UvicornServer(config, server, on_ready)


def run(settings: ServeSettings, on_ready: Callable[[int], None], progress: Tell) -> None:
    """Serve until stopped.

    Raises:
        ZooterError: a part of the fleet does not load.
    """

    def ready(port: int) -> None:
        gc.collect()
        gc.freeze()  # full collections, which pause all answers, then skip everything that has been loaded
        on_ready(port)

    raise_file_limit()
    uvicorn_server(Server(settings, progress), ready).run()
