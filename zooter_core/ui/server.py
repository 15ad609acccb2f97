"""The demo's server: Streamlit with app.py behind a guard, started by `zooter demo` or by `streamlit run app.py`.

Port, address and headless are Streamlit's options (`--server.port 8501`, or STREAMLIT_SERVER_PORT). What follows them
after `--` are the app's own arguments, as with `streamlit run`.
ZOOTER_ALLOWED_HOST and ZOOTER_ALLOWED_ORIGIN hold host names and origins, separated by spaces.

The guard refuses requests of other hosts and origins, and adds security headers. Model text is made harmless where it
is drawn (markdown.py); the headers are a second line of defence: even if something slips through, the browser loads
nothing from another host and no other site can show the page in a frame.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import hashlib
import importlib.util
import os
import re
import sys
import webbrowser
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import streamlit as st
import streamlit.delta_generator as drawing
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import config
from streamlit.components.v2.component_manager import BidiComponentManager
from streamlit.file_util import get_static_dir
from streamlit.runtime.pages_manager import PagesManager
from streamlit.web.cli import configurator_options
from uvicorn.config import Config

from zooter_core.base.hosts import WILDCARDS, Host, HostGate, check_host, check_origin, names_of_this_machine
from zooter_core.base.paths import APP
from zooter_core.base.strict_json import dump_json
from zooter_core.base.terminal import guard_logs
from zooter_core.ui import resources, widgets

ALLOWED_HOST, ALLOWED_ORIGIN = "ZOOTER_ALLOWED_HOST", "ZOOTER_ALLOWED_ORIGIN"
SETTINGS = {
    "server.enableCORS": True,  # True forbids pages of other origins to read
    "server.enableXsrfProtection": True,
    "server.enableAgentApi": False,
    "logger.enableRich": False,  # its tracebacks would print untrusted text to the terminal
    "logger.hideWelcomeMessage": True,  # `zooter demo` prints the address; Streamlit might look up the public one
}


@click.command()
@click.argument("arguments", nargs=-1)
@configurator_options
def serve(arguments: tuple[str, ...], **options: Any) -> None:
    """Serve until Ctrl-C, with Streamlit's options from the command line, the environment and its files."""
    settings = {name.replace("_", "."): value for name, value in options.items() if value not in (None, ())}
    config._main_script_path = str(APP)  # its folder has settings too, wherever the demo is started
    config.get_config_options(force_reparse=True, options_from_flags=settings)  # a later call would warn of new options
    app = st.App(APP, **guarded())
    sys.argv = [str(APP), *arguments]  # as in `streamlit run`, which looks for modules and settings in its folder
    with suppress(KeyboardInterrupt):
        app.run(config=settings)


def guarded() -> dict[str, Any]:
    """The arguments of a Streamlit app behind the guard. Prepares this process, which serves nothing else."""
    guard_logs()  # `streamlit run` has already created its loggers
    # Repeated whenever Streamlit reads its options, so that neither options nor changed files remove the protection.
    config.on_config_parsed(_protect, force_connect=True)
    _protect()
    # Otherwise Streamlit treats the folder pages/ as its older kind of pages until app.py has run once, and a first
    # visit to /compare would show the page without the frame.
    PagesManager.uses_pages_directory = False
    # Otherwise Streamlit reads the metadata of every installed package, to find its components, which takes 0.1 s.
    BidiComponentManager.discover_and_register_components = lambda self, **options: None  # type: ignore[method-assign]
    # Otherwise the first page searches all modules for the source of its callers, to warn users of notebooks.
    drawing._use_warning_has_been_displayed = True
    if importlib.util.find_spec("httptools"):  # else h11 parses headers, which bounds them itself
        from zooter_core.base.connections import BoundedConnection

        # A property, since `streamlit run` has chosen another class by the time it imports app.py.
        Config.http_protocol_class = property(lambda self: BoundedConnection, lambda self, other: None)  # type: ignore
    page, page_of_charts = (with_script(Path(get_static_dir()), parts) for parts in (PARTS, (*PARTS, CHARTS)))
    paths = ["/", *(f"/{file.stem}" for file in (APP.parent / "pages").glob("*.py"))]
    allowed_origins = [check_origin(origin, ALLOWED_ORIGIN) for origin in os.environ.get(ALLOWED_ORIGIN, "").split()]
    allowed_hosts = {check_host(name, ALLOWED_HOST) for name in os.environ.get(ALLOWED_HOST, "").split()}
    headers = security_headers(content_security_policy(page + widgets.page_script(), allowed_origins))
    return {
        "routes": [Route(path, partial(_page, page if path in TALKS else page_of_charts)) for path in paths],
        "middleware": [Middleware(_guarded, allowed_hosts=allowed_hosts, headers=headers), Middleware(Scripts)],
        "lifespan": _started,
        "exception_handlers": {Exception: partial(internal_error, headers=headers)},
    }


def _protect() -> None:
    for name, value in SETTINGS.items():
        config.set_option(name, value)


def _guarded(app: ASGIApp, allowed_hosts: set[str], headers: dict[str, str]) -> Guard:
    """The app behind the guard. Starlette calls this after Streamlit has read its options."""
    hosts = names_of_this_machine(st.get_option("server.address")) | allowed_hosts
    return Guard(app, HostGate("zooter demo", hosts, has_pages=True), headers)


@asynccontextmanager
async def _started(app: st.App) -> AsyncIterator[None]:
    """Begin to load the fleet, and open a browser unless the demo is headless."""
    gc.freeze()  # later collections skip the imported objects (__main__.py)
    gc.enable()
    run = partial(asyncio.get_running_loop().run_in_executor, None)
    if not st.get_option("server.headless"):
        address = st.get_option("server.address") or "0.0.0.0"
        host = Host("localhost" if address in WILDCARDS else address, st.get_option("server.port"))
        run(webbrowser.open, f"http://{host}")
    run(resources.begin_loading)
    yield


FRESH = {"Cache-Control": "no-cache"}
FOR_A_YEAR = {"Cache-Control": "public, immutable, max-age=31536000"}  # for files whose name changes with their content
CHARTS = "PlotlyChart"  # the part of Streamlit's frontend that takes long to load
PARTS = ("PageLink", "Html", "Selectbox", "Button", "ChatInput")  # the parts that every page uses
TALKS = ("/", "/compare")  # the pages that begin without a chart
MODULES = re.compile(r'\s*<link rel="modulepreload"[^>]*>')  # Streamlit's own, which are replaced with preloads
NAMED = re.compile(r'"\./static/js/([^"]+\.js)"')  # the scripts that the page names
HEAD = 1 << 15  # characters at the start of a script, which contain its imports
IMPORTED = re.compile(r'(?:from|import)\s*"\./([^"]+\.js)"')
# The page's own script. Streamlit's frontend would look for its server below the page's address first, which logs two
# errors in the console; this script gives the address of the page's other files instead. The library of charts is
# loaded when the pointer is over a link to another page and, on this machine, when nothing has been typed for a while.
SCRIPT = """
window.__streamlit = { BACKEND_BASE_URL: new URL('.', location.href).href }
;(() => {
  const load = () => CHARTS.forEach(name => import(new URL('./static/js/' + name, window.__streamlit.BACKEND_BASE_URL)))
  let typed = 0
  addEventListener('keydown', () => { typed = performance.now() }, true)
  addEventListener('pointerover', event => { if (event.target.closest?.('a')) load() }, true)
  if (!['localhost', '127.0.0.1', '[::1]'].includes(location.hostname)) return
  const timer = setInterval(() => {
    const state = document.querySelector('[data-testid=stApp]')?.dataset.testScriptState
    if (state !== 'notRunning' || typed + 3000 > performance.now()) return
    clearInterval(timer)
    load()
  }, 1000)
})()
"""


def with_script(folder: Path, parts: Sequence[str]) -> str:
    """The HTML of Streamlit's frontend, in a folder, with the page's own script before its first one.

    The HTML names all files of the page, so that the browser need not wait until the server has drawn it. Each file is
    preloaded as a script: Chromium 156 caches the compiled code of scripts, and compiles modules again in every tab.
    """
    scripts = folder / "static" / "js"
    page = (folder / "index.html").read_text(encoding="utf-8")
    names = dict.fromkeys([*NAMED.findall(page), *_imports(scripts, parts)])
    links = [f'<link rel="preload" as="script" crossorigin href="./static/js/{name}">' for name in names]
    script = SCRIPT.replace("CHARTS", dump_json([file.name for file in scripts.glob(f"{CHARTS}.*.js")]))
    page = MODULES.sub("", page).replace("<script", f"<script>{script}</script>\n    <script", 1)
    return page.replace("<title", "\n    ".join([*links, "<title"]), 1)


def _imports(scripts: Path, parts: Sequence[str]) -> list[str]:
    """The files of some parts of the frontend, and all their imports."""
    names: dict[str, None] = {}  # in order
    waiting = [file.name for part in parts for file in scripts.glob(f"{part}.*.js")]
    while waiting:
        name = waiting.pop()
        if name not in names:
            names[name] = None
            with (scripts / name).open(encoding="utf-8") as script:
                waiting += IMPORTED.findall(script.read(HEAD))
    return list(names)


async def _page(page: str, request: Request) -> HTMLResponse:
    return HTMLResponse(page, headers=FRESH)  # a new object per request: middleware changes its headers


class Scripts:
    """ASGI middleware: serves the scripts of Streamlit's frontend, about a hundred per page. It is faster than
    Streamlit's own route, which uses a thread per script."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.files = {f"/static/js/{file.name}": file for file in Path(get_static_dir()).glob("static/js/*.js")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        file = self.files.get(scope.get("path", "")) if scope.get("method") == "GET" else None
        answer = Response(file.read_bytes(), headers=FOR_A_YEAR, media_type="text/javascript") if file else self.app
        await answer(scope, receive, send)


INLINE = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def content_security_policy(page: str, allowed_origins: Iterable[str] = ()) -> str:
    """The policy for an HTML page. It allows the page's inline scripts by their hashes.

    Args:
        page: the HTML.
        allowed_origins: origins whose pages may show the demo in a frame.
    """
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in INLINE.findall(page)]
    directives = {
        "default-src": ["'self'"],
        "script-src": ["'self'", *(f"'sha256-{value}'" for value in hashes)],
        "style-src": ["'self'", "'unsafe-inline'"],  # Streamlit sets styles on its elements
        "img-src": ["'self'", "data:", "blob:"],
        "font-src": ["'self'", "data:"],
        "media-src": ["'self'", "data:", "blob:"],
        "connect-src": ["'self'"],
        "frame-src": ["'self'"],
        "object-src": ["'none'"],
        "base-uri": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'self'", *allowed_origins],
    }
    return "; ".join(f"{name} {' '.join(sources)}" for name, sources in directives.items())


def security_headers(policy: str) -> dict[str, str]:
    return {
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-DNS-Prefetch-Control": "off",  # otherwise the browser looks up link hosts before anybody clicks
    }


async def internal_error(request: Request, problem: Exception, headers: dict[str, str]) -> PlainTextResponse:
    """The response to a request that raised an exception. Starlette sends it without calling the middleware."""
    return PlainTextResponse("Internal Server Error", status_code=500, headers=headers)


@dataclass(frozen=True)
class Guard:
    """ASGI middleware: refuses foreign hosts and origins, and adds the headers."""

    app: ASGIApp
    gate: HostGate
    headers: dict[str, str]  # added to every response

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                MutableHeaders(scope=message).update(self.headers)
            await send(message)

        refusal = self.gate.refusal(scope)
        answer = PlainTextResponse(f"{refusal[1]}\n", refusal[0]) if refusal else self.app
        await answer(scope, receive, send_with_headers)
