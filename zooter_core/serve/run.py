"""Serve the app with uvicorn until Ctrl-C or SIGTERM; running answers may end first."""

from __future__ import annotations

import gc
import socket
from collections.abc import Callable

import uvicorn

from zooter_core.serve.app import build_app
from zooter_core.serve.server import Server
from zooter_core.serve.settings import ServeSettings
from zooter_core.weights import Progress


class UvicornServer(uvicorn.Server):
    """Uvicorn, which says when it is ready.

    Attributes:
        on_ready: called with the port when requests are accepted.
    """

    on_ready: Callable[[int], None]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self.on_ready(self.servers[0].sockets[0].getsockname()[1])


def uvicorn_server(server: Server, on_ready: Callable[[int], None]) -> uvicorn.Server:
    """The server of an app, ready to run."""
    settings = server.settings
    config = uvicorn.Config(
        build_app(server),
        host=settings.host,
        port=settings.port,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.proxies),
        forwarded_allow_ips=list(settings.proxies),
        ssl_certfile=settings.certificate,
        ssl_keyfile=settings.private_key,
        timeout_graceful_shutdown=settings.grace_seconds,
    )
    runner = UvicornServer(config)
    runner.on_ready = on_ready
    return runner


def run(settings: ServeSettings, on_ready: Callable[[int], None], progress: Progress) -> None:
    """Serve until stopped.

    Raises:
        ZooterError: a part of the fleet does not load.
    """
    server = Server(settings, progress=progress)

    def ready(port: int) -> None:
        gc.collect()
        gc.freeze()  # or a full collection, which stops all answers, would look through all that has been loaded
        on_ready(port)

    uvicorn_server(server, ready).run()
    if server.failure is not None:
        raise server.failure
