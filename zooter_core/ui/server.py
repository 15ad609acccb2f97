"""The demo's server: Streamlit with app.py behind the guard, started by `zooter demo`.

Port, address and headless are Streamlit's options (`--server.port 8501`, or STREAMLIT_SERVER_PORT).
ZOOTER_ALLOWED_HOST and ZOOTER_EMBED_FROM hold host names and origins, separated by spaces.
"""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import os
import sys
import webbrowser
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import click
import streamlit as st
import streamlit.delta_generator as drawing
from starlette.middleware import Middleware
from starlette.types import ASGIApp
from streamlit.components.v2.component_manager import BidiComponentManager
from streamlit.file_util import get_static_dir
from streamlit.runtime.pages_manager import PagesManager
from streamlit.web.cli import configurator_options
from uvicorn.config import HTTP_PROTOCOLS

from zooter_core.base.hosts import WILDCARDS, Gate, Host, check_host, check_origin, names_of_this_machine
from zooter_core.base.paths import APP
from zooter_core.ui import resources
from zooter_core.ui.chat import composer
from zooter_core.ui.guard import Guard, content_security_policy, internal_error, security_headers

ALLOWED_HOST, EMBED_FROM = "ZOOTER_ALLOWED_HOST", "ZOOTER_EMBED_FROM"
SETTINGS = {
    "server.enableCORS": True,  # True forbids pages of other origins to read
    "server.enableXsrfProtection": True,
    "server.enableAgentApi": False,
    "logger.enableRich": False,  # its tracebacks would print untrusted text to the terminal
    "logger.hideWelcomeMessage": True,  # `zooter demo` prints the address; this might look up the public one
}


@click.command()
@configurator_options
def serve(**options: Any) -> None:
    """Serve until Ctrl-C, with Streamlit's options from the command line, the environment and its files."""
    # Otherwise Streamlit treats the folder pages/ as its older kind of pages until app.py has run once, and a first
    # visit to /compare would show the page without the frame.
    PagesManager.uses_pages_directory = False
    # Otherwise it reads the metadata of every installed package, for components of others: a tenth of a second.
    BidiComponentManager.discover_and_register_components = lambda self, **options: None  # type: ignore[method-assign]
    # Otherwise the first page looks through all modules for the source of its callers, to warn those in a notebook.
    drawing._use_warning_has_been_displayed = True
    if importlib.util.find_spec("httptools"):  # else h11 parses headers, which bounds them itself
        HTTP_PROTOCOLS["auto"] = "zooter_core.base.connections:Connection"
    page = (Path(get_static_dir()) / "index.html").read_text(encoding="utf-8")
    embed_from = [check_origin(origin, EMBED_FROM) for origin in os.environ.get(EMBED_FROM, "").split()]
    allowed_hosts = {check_host(name, ALLOWED_HOST) for name in os.environ.get(ALLOWED_HOST, "").split()}
    headers = security_headers(content_security_policy(page + composer.HTML, embed_from))
    app = st.App(
        APP,
        middleware=[Middleware(_guarded, allowed_hosts=allowed_hosts, headers=headers)],
        lifespan=_started,
        exception_handlers={Exception: partial(internal_error, headers=headers)},
    )
    sys.argv = [str(APP)]  # as in `streamlit run`, which looks for modules and settings in its folder
    settings = {name.replace("_", "."): value for name, value in options.items() if value not in (None, ())}
    with suppress(KeyboardInterrupt):
        app.run(config=settings | SETTINGS)


def _guarded(app: ASGIApp, allowed_hosts: set[str], headers: dict[str, str]) -> Guard:
    """The app behind the guard. Starlette calls this after Streamlit has read its options."""
    hosts = names_of_this_machine(st.get_option("server.address")) | allowed_hosts
    return Guard(app, Gate("zooter demo", hosts, has_pages=True), headers)


@asynccontextmanager
async def _started(app: st.App) -> AsyncIterator[None]:
    """Begin to load the fleet, and open a browser unless the demo is headless."""
    gc.freeze()  # no collection looks through all that has been imported (__main__.py)
    gc.enable()
    run = partial(asyncio.get_running_loop().run_in_executor, None)
    run(resources.begin_loading)
    if not st.get_option("server.headless"):
        address = st.get_option("server.address") or "0.0.0.0"
        host = Host("localhost" if address in WILDCARDS else address, st.get_option("server.port"))
        run(webbrowser.open, f"http://{host}")
    yield
