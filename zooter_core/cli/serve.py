"""`zooter serve`: runs the OpenAI-compatible endpoint."""

from __future__ import annotations

import importlib.util
import time
from contextlib import suppress
from ipaddress import ip_network
from pathlib import Path

from zooter_core.base.errors import NotInstalledError, ZooterError
from zooter_core.base.hosts import Host, check_host, check_origin, is_loopback
from zooter_core.cli.consoles import err
from zooter_core.cli.fleets import open_fleet
from zooter_core.cli.options import FLEET, LAST_PORT, check_free, flag, option, read_names
from zooter_core.config.fleet import Fleet
from zooter_core.fleet.packages import check_engines
from zooter_core.router.head import RouterHead

PACKAGES = ("fastapi", "uvicorn", "prometheus_client")  # of the extra `serve`
LEARN = "`zooter learn` asks for these answers, and `zooter report` says what routing is worth."


def serve(
    fleet: Path | None = FLEET,
    host: str = option("ADDRESS", "Address to bind.", default="127.0.0.1"),
    port: int = option("N", "Port to listen on.", default=8400, min=0, max=LAST_PORT),
    data: Path | None = option("DIR", "Folder of feedback and decision log (default: in the user's data folder)."),
    keys: Path | None = option(
        "FILE", "Require API keys of this file (default: none on localhost, else the user's file)."
    ),
    learn: bool = flag("--learn", "Store queries and decisions, for `zooter report` and `zooter learn`."),
    certfile: Path | None = option("FILE", "Certificate and private key for TLS, in one file (PEM)."),
    proxy: list[str] | None = option("ADDRESS...", "Addresses whose X-Forwarded headers are trusted."),
    allowed_host: list[str] | None = option("NAME...", "Further host names under which clients reach the endpoint."),
    allowed_origin: list[str] | None = option(
        "ORIGIN...", "Sites whose pages may use the endpoint, such as https://www.example.org."
    ),
) -> None:
    if absent := [name for name in PACKAGES if importlib.util.find_spec(name) is None]:
        raise NotInstalledError(absent[0], "`zooter serve`", "pip install 'zooter[serve]'")
    parts = open_fleet(fleet)
    if parts.router:
        RouterHead.load(parts.router.path)  # report a damaged router before any work
    check_engines(parts)
    check_host(host, "--host")
    addresses = tuple(_check_proxy(text) for text in proxy or ())
    keys = _required_keys(keys, host, bool(addresses))
    _check_certificate(certfile)
    check_free(host, port)
    from zooter_core.learn.traffic import data_folder
    from zooter_core.serve.run import run
    from zooter_core.serve.server import ServeSettings

    settings = ServeSettings(
        parts, host, port, data or data_folder(parts), keys=keys, learn=learn, certificate=certfile,
        proxies=addresses,
        allowed_hosts=read_names(allowed_host, "--allowed-host", "ZOOTER_ALLOWED_HOST", check_host),
        allowed_origins=read_names(allowed_origin, "--allowed-origin", "ZOOTER_ALLOWED_ORIGIN", check_origin),
    )  # fmt: skip

    def ready(bound: int) -> None:
        scheme = "https" if certfile else "http"
        err.print(f"The fleet {parts.name} is served at {scheme}://{Host(host, bound)}/v1 (Ctrl-C stops it).")

    err.print(f"Loading the fleet {parts.name} ...")
    if not is_loopback(host):
        err.print("Other machines can also reach the endpoint.")
    if learn or parts.learn.traffic:
        stored = "Queries and answers" if parts.learn.answers else "Queries"
        err.print(f"{stored} are stored in {settings.data}; docs/learn.md explains how to delete them.")
        err.print(_outlook(parts, settings.data))
    if keys:
        err.print(f"Requests need an API key of {keys}.")
    with suppress(KeyboardInterrupt):  # Ctrl-C is the regular end
        run(settings, ready, err.print)


def _outlook(fleet: Fleet, data: Path) -> str:
    """A sentence that says how long it takes until the traffic shows what routing is worth, or what is missing."""
    from zooter_core.learn.advice import SCORED
    from zooter_core.learn.report import DAY, LATEST_DAYS, report_on
    from zooter_core.learn.report_text import outlook
    from zooter_core.learn.traffic import Traffic

    if fleet.reward is None or fleet.reward.compares:
        return f"`zooter report` cannot measure what routing is worth. {SCORED}"
    now = time.time()
    with Traffic.open(data) as traffic:
        outcome = outlook(report_on(traffic, fleet.name, now - LATEST_DAYS * DAY, now))
    return f"{outcome} {LEARN}" if outcome else "`zooter report` says what routing is worth."


def _check_proxy(text: str) -> str:
    """Check that a text is an IP address or a network, as uvicorn expects for proxies."""
    try:
        ip_network(text)
    except ValueError as problem:
        next_step = "For instance --proxy 127.0.0.1 or --proxy 10.0.0.0/8."
        raise ZooterError("an IP address or a network for --proxy", str(problem), next_step) from None
    return text


def _check_certificate(certfile: Path | None) -> None:
    """Check the certificate before anything is loaded."""
    if certfile is None:
        return
    import ssl

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certfile, password="")
    except OSError as problem:  # ssl.SSLError is one
        step = "Put both into this file as PEM, without a password: cat certificate.pem key.pem > FILE."
        raise ZooterError(f"a certificate and its private key in {certfile}", str(problem), step) from None


def _required_keys(keys: Path | None, host: str, proxied: bool) -> Path | None:
    """The file of the API keys that requests need; None if no keys are required."""
    if keys is None and is_loopback(host) and not proxied:
        return None
    from zooter_core.serve.keys import keys_file, read_keys

    file = keys or keys_file()
    if not read_keys(file):
        named = f" --keys {file}" if keys else ""
        next_step = f"Add one: zooter serve keys add NAME{named}."
        raise ZooterError.saying(f"Requests need an API key, and {file} has none.", next_step)
    return file
