"""`zooter demo` in a process of its own and a headless Chromium, both started once for all tests."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, expect, sync_playwright

from support import endpoint_fleet
from support.demo_browser import SLOW, WIDE, Demo, is_error, leaves_this_machine
from support.scripted_server import Scripted, serving
from zooter_core.base.paths import APP

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--no-sandbox --disable-dev-shm-usage --disable-background-networking --disable-component-update --disable-sync "
    "--no-first-run"
)
UNPROTECTED = {  # the demo ignores these
    "STREAMLIT_SERVER_ENABLE_XSRF_PROTECTION": "false",
    "STREAMLIT_SERVER_ENABLE_CORS": "false",
}
expect.set_options(timeout=SLOW)  # five seconds, the default, are short on a busy machine


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: install the package chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
        yield chromium
        chromium.close()


class FramingSite(BaseHTTPRequestHandler):
    """A page of another site that shows the address behind its `?` in a frame."""

    def do_GET(self) -> None:
        body = f'<iframe src="{urlsplit(self.path).query}" width="900" height="700"></iframe>'.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="session")
def sites() -> Iterator[tuple[str, str]]:
    """The origins of two other sites on this machine; the demo allows the first to show it in a frame."""
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), FramingSite) for _ in range(2)]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    friend, other = (f"http://localhost:{server.server_port}" for server in servers)
    yield friend, other
    for server in servers:
        server.shutdown()


@pytest.fixture(scope="session")
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, sites: tuple[str, str]
) -> Iterator[Demo]:
    """A demo of the embedded fleet that has converted and loaded its weights."""
    demo = Demo(
        tmp_path_factory.mktemp("demo") / "history.db",
        None,
        *("--allowed-origin", sites[0], "--allowed-host", "Friend.example"),
        **UNPROTECTED,
    )
    if CHROMIUM is not None:
        page = request.getfixturevalue("browser").new_page()
        page.goto(f"{demo.address}/compare")
        expect(page.get_by_text("Votes on this fleet")).to_be_visible(timeout=5 * SLOW)
        page.close()
    yield demo
    demo.stop()
    assert demo.process.returncode == 0


class StreamlitDemo(Demo):
    """A demo that Streamlit's own command has started."""

    program = ("streamlit", "run", str(APP), "--server.headless", "true", "--server.port")


@pytest.fixture(scope="session")
def by_streamlit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A demo that `streamlit run app.py` has started, on every address of this machine."""
    demo = StreamlitDemo(
        tmp_path_factory.mktemp("streamlit") / "history.db",
        ZOOTER_ALLOWED_HOST="friend.example",
        STREAMLIT_SERVER_ADDRESS="0.0.0.0",
        **UNPROTECTED,
    )
    yield demo
    demo.stop()


@pytest.fixture(params=["server", "by_streamlit"])
def any_server(request: pytest.FixtureRequest) -> Demo:
    """A demo by each of the two commands that start one."""
    demo: Demo = request.getfixturevalue(request.param)
    return demo


@pytest.fixture(scope="session")
def _demo_of_endpoints(tiny_fleet: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Demo, Scripted]]:
    folder = Path(shutil.copytree(tiny_fleet, tmp_path_factory.mktemp("endpoints") / "fleet"))
    with serving() as endpoints:
        endpoint_fleet.save(folder, endpoints.url, {name: name for name in ("base", "one", "two")}, router=True)
        demo = Demo(folder.parent / "history.db", folder)
        yield demo, endpoints
        demo.stop()


@pytest.fixture
def directed(_demo_of_endpoints: tuple[Demo, Scripted]) -> Iterator[tuple[Demo, Scripted]]:
    """A demo over base, one and two, and their server: a test sets `replies`, and so when each answers."""
    demo, endpoints = _demo_of_endpoints
    yield demo, endpoints
    endpoints.replies.clear()


@pytest.fixture
def demo(server: Demo) -> str:
    """The address of a running demo over the embedded fleet."""
    return server.address


@pytest.fixture(scope="session")
def visitor(browser: Browser) -> Iterator[BrowserContext]:
    """A browser's profile for all tests, which has loaded Streamlit's hundred scripts once. Each tab is a session."""
    context = browser.new_context()
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    yield context
    context.close()


@pytest.fixture
def open_tab(browser: Browser, visitor: BrowserContext) -> Iterator[Callable[..., Page]]:
    """Opens a tab of its own session; fails at the end on console errors and on requests that leave this machine."""
    pages: list[Page] = []
    problems: list[str] = []

    def open_page(address: str, width: int = WIDE, dark: bool = False, **more: Any) -> Page:
        page = browser.new_page(**more) if more else visitor.new_page()
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme="dark" if dark else "light")
        page.on("console", lambda message: problems.append(message.text) if is_error(message) else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda request: problems.append(request.url) if leaves_this_machine(request.url) else None)
        page.goto(address)
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        with suppress(Error):  # of a server that has stopped
            page.evaluate("localStorage.clear()")  # whether the sidebar is open
        page.close()
    assert problems == []
