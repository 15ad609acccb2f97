"""The demo as a person meets it: `zooter demo` in a process of its own, a headless Chromium in front of it."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from visiting import WIDE, Demo, leaves, troubles

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--no-sandbox --disable-dev-shm-usage --disable-background-networking --disable-component-update --disable-sync "
    "--no-first-run"
)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: install the package chromium")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
        yield opened
        opened.close()


class Framing(BaseHTTPRequestHandler):
    """A page of another site, which shows the address behind its `?` in a frame."""

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
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), Framing) for _ in range(2)]
    for one in servers:
        threading.Thread(target=one.serve_forever, daemon=True).start()
    yield tuple(f"http://localhost:{one.server_port}" for one in servers)  # type: ignore[misc]
    for one in servers:
        one.shutdown()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, sites: tuple[str, str]) -> Iterator[Demo]:
    made = Demo(
        tmp_path_factory.mktemp("demo") / "history.db",
        None,
        *("--embed-from", sites[0], "--allow-host", "Friend.example"),
        STREAMLIT_SERVER_ENABLE_XSRF_PROTECTION="false",  # the demo insists on its protection
        STREAMLIT_SERVER_ENABLE_CORS="false",
    )
    yield made
    made.stop()


@pytest.fixture
def demo(server: Demo) -> str:
    """The address of a running demo over the embedded fleet."""
    return server.address


@pytest.fixture
def open_tab(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens a tab of its own session; fails at the end on console errors and on requests that leave this machine."""
    opened: list[Page] = []
    problems: list[str] = []

    def made(address: str, width: int = WIDE, **more: Any) -> Page:
        page = browser.new_page(viewport={"width": width, "height": 900}, **more)
        page.on("console", lambda message: problems.append(message.text) if troubles(message) else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda request: problems.append(request.url) if leaves(request.url) else None)
        page.goto(address)
        opened.append(page)
        return page

    yield made
    for page in opened:
        page.close()
    assert problems == []
