"""`zooter demo`: opens the web demo."""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

from zooter_core.base.hosts import WILDCARDS, Host, check_host, check_origin, check_server, is_loopback
from zooter_core.cli.fleets import open_fleet
from zooter_core.cli.options import FLEET, LAST_PORT, check_free, flag, option, read_names
from zooter_core.config.fleet import Fleet
from zooter_core.fleet.packages import check_encoder, check_engines

ADDRESS = "STREAMLIT_SERVER_ADDRESS"  # the environment variable with the address that Streamlit binds
FLEET_VARIABLE = "ZOOTER_FLEET"  # the environment variable with the fleet that the pages use
ANY = "*"  # a value of --manage: every host


def demo(
    fleet: Path | None = FLEET,
    port: int = option("N", "Port to listen on.", default=8501, min=0, max=LAST_PORT),
    host: str | None = option("ADDRESS", "Address to bind, such as 0.0.0.0 (default: localhost only)."),
    allowed_host: list[str] | None = option("NAME...", "Further host names under which browsers reach the demo."),
    allowed_origin: list[str] | None = option(
        "ORIGIN...", "Sites that may embed the demo in a frame, such as https://www.example.org."
    ),
    manage: list[str] | None = option(
        "HOST[:PORT]...",
        "With --host: let visitors change the models, and connect servers on these hosts (HOST: usual ports only).",
    ),
    no_browser: bool = flag("--no-browser", "Do not open a browser."),
) -> None:
    shown = _checked_fleet(fleet)
    environment = {**os.environ, FLEET_VARIABLE: str(shown.folder.resolve())}
    hosts = read_names(allowed_host, "--allowed-host", "ZOOTER_ALLOWED_HOST", check_host)
    origins = read_names(allowed_origin, "--allowed-origin", "ZOOTER_ALLOWED_ORIGIN", check_origin)
    environment |= {"ZOOTER_ALLOWED_HOST": " ".join(hosts), "ZOOTER_ALLOWED_ORIGIN": " ".join(origins)}
    if host is not None:
        environment[ADDRESS] = check_host(host, "--host")
    manage = [value if value == ANY else check_server(value, "--manage") for value in manage or ()]
    address = environment.get(ADDRESS) or "localhost"
    check_free(address, port)
    site = Host("localhost" if address in WILDCARDS else address, port)
    print(f"The demo of the fleet {shown.name} is at http://{site} (Ctrl-C stops it).", file=sys.stderr)
    if is_loopback(address):
        manage = manage or [ANY]
    else:
        print("Other machines can also reach the demo, which has no password.", file=sys.stderr)
    # Run in this process, since another one would have to import everything again.
    os.environ.update(environment)
    sys.argv = ["zooter demo", "--server.port", str(port), *(["--server.headless", "true"] if no_browser else [])]
    if manage:
        sys.argv += ["--", "--manage", *manage]  # the app's own arguments (ui/models/manage.py)
    runpy.run_module("zooter_core.ui", run_name="__main__")


def _checked_fleet(folder: Path | None) -> Fleet:
    """Load the fleet. Errors in it and missing packages are reported here, before the browser opens."""
    fleet = open_fleet(folder)
    if fleet.router:
        from zooter_core.router.head import RouterHead  # here, since a demo without router loads numpy later

        RouterHead.load(fleet.router.path)
    check_encoder(fleet)
    check_engines(fleet)
    return fleet
