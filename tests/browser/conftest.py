"""The demo as a person meets it: `zooter demo` in a process of its own, a headless Chromium in front of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

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


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    made = Demo(tmp_path_factory.mktemp("demo") / "history.db")
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
