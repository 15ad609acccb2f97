"""`zooter demo`: the web demo."""

from __future__ import annotations

import os
import socket
import sys
from argparse import Namespace
from pathlib import Path

from zooter_core.commands.options import ROOT, err, fleet_of
from zooter_core.errors import ZooterError
from zooter_core.fleet import NO_ROUTER
from zooter_core.router_config import check_router


def demo(call: Namespace) -> None:
    """Become the web demo's server: this process is replaced, so that signals reach the server itself."""
    fleet = fleet_of(call)  # a mistake in it shows here, not in the browser
    if fleet.router is None:
        raise ZooterError(f"a [router] table in fleet.toml of {fleet.name}", "none", NO_ROUTER)
    check_router(Path(fleet.router.path))
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("localhost", call.port))
        except (OSError, OverflowError) as problem:
            raise ZooterError(
                f"port {call.port} to be free",
                "it is in use or not allowed",
                f"Try another: zooter demo --port {call.port + 1 if 1023 < call.port < 65535 else 8501}.",
            ) from problem
    command = [sys.executable, "-m", "zooter_core.ui.server", "--server.port", str(call.port)]
    if call.no_browser:
        command += ["--server.headless", "true"]
    environment = {**os.environ, "ZOOTER_FLEET": str(fleet.folder.resolve())}
    if call.history:
        environment["ZOOTER_HISTORY"] = call.history if call.history == "off" else str(Path(call.history).resolve())
    err.print(f"The demo of the fleet {fleet.name} is at http://localhost:{call.port} (Ctrl-C ends it).")
    os.chdir(ROOT)  # where .streamlit/config.toml is
    os.execve(sys.executable, command, environment)
