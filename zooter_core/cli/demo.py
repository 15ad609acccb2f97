"""`zooter demo`: the web demo."""

from __future__ import annotations

import errno
import os
import socket
import sys
from argparse import Namespace
from pathlib import Path

from zooter_core.cli.options import err, fleet_of
from zooter_core.config.fleet import NO_ROUTER
from zooter_core.errors import ZooterError, first_line
from zooter_core.hosts import WILDCARDS, Host, check_host, check_origin, is_loopback
from zooter_core.router.config import check_router

ADDRESS = "STREAMLIT_SERVER_ADDRESS"  # of the variables that Streamlit reads, the one for the address to bind


def demo(call: Namespace) -> None:
    """Become the web demo's server: this process is replaced, so that signals reach the server itself."""
    fleet = fleet_of(call)  # a mistake in it shows here, not in the browser
    if fleet.router is None:
        raise ZooterError(f"a [router] table in fleet.toml of {fleet.name}", "none", NO_ROUTER)
    check_router(Path(fleet.router.path))
    environment = {**os.environ, "ZOOTER_FLEET": str(fleet.folder.resolve())}
    if call.history:
        environment["ZOOTER_HISTORY"] = call.history if call.history == "off" else str(Path(call.history).resolve())
    for option, variable, check in (
        ("--allow-host", "ZOOTER_ALLOW_HOST", check_host),
        ("--embed-from", "ZOOTER_EMBED_FROM", check_origin),
    ):
        values, source = getattr(call, option[2:].replace("-", "_")), option
        if not values:
            values, source = environment.get(variable, "").split(), variable
        environment[variable] = " ".join(check(value, source) for value in values)
    if call.address is not None:
        environment[ADDRESS] = check_host(call.address, "--address")
    address = environment.get(ADDRESS) or "localhost"
    _check_free(address, call.port)
    command = [sys.executable, "-m", "zooter_core.ui", "--server.port", str(call.port)]
    if call.no_browser:
        command += ["--server.headless", "true"]
    host = Host("localhost" if address in WILDCARDS else address, call.port)
    err.print(f"The demo of the fleet {fleet.name} is at http://{host} (Ctrl-C ends it).")
    if not is_loopback(address):
        err.print("Other machines can reach it too, and it asks nobody for a password.")
    os.execve(sys.executable, command, environment)


def _check_free(address: str, port: int) -> None:
    """Refuse an address or a port that cannot be bound."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except (OSError, OverflowError) as problem:
            if isinstance(problem, socket.gaierror) or getattr(problem, "errno", None) == errno.EADDRNOTAVAIL:
                raise ZooterError(
                    "an address of this machine for --address",
                    f"{address} ({first_line(problem)})",
                    "Try --address 0.0.0.0, which means all of them.",
                ) from problem
            raise ZooterError(
                f"port {port} to be free",
                "it is in use or not allowed",
                f"Try another: zooter demo --port {port + 1 if 1023 < port < 65535 else 8501}.",
            ) from problem
