"""What `zooter demo` and `zooter serve` check before they start: address, port, and the names that they answer to."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterable

from zooter_core.base.errors import ZooterError, first_line

DEFAULT_PORT = {"demo": 8501, "serve": 8400}
MOST = 65_535


def check_free(command: str, address: str, port: int) -> None:
    """Refuse an address or a port that cannot be bound."""
    if not 0 <= port <= MOST:
        raise ZooterError(f"a port up to {MOST}", str(port), f"Try zooter {command} --port {DEFAULT_PORT[command]}.")
    option = "--address" if command == "demo" else "--host"
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as problem:
            if isinstance(problem, socket.gaierror) or getattr(problem, "errno", None) == errno.EADDRNOTAVAIL:
                raise ZooterError(
                    f"an address of this machine for {option}",
                    f"{address} ({first_line(problem)})",
                    f"Try {option} 0.0.0.0, which means all of them.",
                ) from problem
            raise ZooterError(
                f"port {port} to be free",
                "it is in use or not allowed",
                f"Try another: zooter {command} --port {port + 1 if 1023 < port < MOST else DEFAULT_PORT[command]}.",
            ) from problem


def names_given(
    values: Iterable[str] | None, option: str, variable: str, check: Callable[[str, str], str]
) -> tuple[str, ...]:
    """The values of an option, or else of an environment variable (separated by spaces), as `check` spells them."""
    source = option if values else variable
    return tuple(check(value, source) for value in values or os.environ.get(variable, "").split())
