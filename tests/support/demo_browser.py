"""A demo in a process of its own, and what tests look at on its pages."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import ConsoleMessage, Locator, Page, expect

from support.patience import PATIENCE, wait_until
from support.ports import free_port

WIDE, NARROW = 1440, 390  # pixels: a desktop and a phone
ZOOMED = WIDE // 2  # what a zoom of 200% leaves of a desktop
SLOW = 1000 * PATIENCE  # milliseconds; models load and answer within seconds
# Streamlit's frontend asks for the file of each download button that it draws, and complains if the page has run again
# by then and the file is another. A visitor sees nothing of it; `downloaded` tests what a press of the button gives.
CHECKED = "Download Button source error"
FILES = (".md", ".json", ".jsonl", ".csv", ".html")


def wait_for_server(address: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until a Streamlit server answers."""

    def answers() -> bool:
        try:
            urllib.request.urlopen(f"{address}/_stcore/health", timeout=PATIENCE).close()
        except OSError:
            assert process.poll() is None, "the server ended at its start"
            return False
        return True

    wait_until(answers, pause=0.2)


class Demo:
    """A demo over the embedded fleet or another, its history in a file of its own.

    Attributes:
        program: the module that Python runs, and its arguments up to the port.
    """

    program: tuple[str, ...] = ("zooter_core.cli", "demo", "--no-browser", "--port")

    def __init__(self, history: Path, fleet: Path | None = None, *options: str, **environment: str) -> None:
        self.port = free_port()
        self.address = f"http://localhost:{self.port}"
        self.history = history
        self.fleet = fleet
        self.options = options
        self.environment = environment
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", *self.program, str(self.port)]
        if self.fleet is not None:
            command += ["--fleet", str(self.fleet)]
        environment = {name: value for name, value in os.environ.items() if name != "ZOOTER_FLEET"}
        environment |= {"XDG_DATA_HOME": str(self.history.parent / "data"), "ZOOTER_HISTORY": str(self.history)}
        self.process = subprocess.Popen(
            [*command, *self.options],
            env=environment | self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for_server(self.address, self.process)

    def stop(self) -> None:
        self.process.send_signal(2)
        self.process.wait(PATIENCE)

    def crash(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)

    def records(self, table: str = "turns") -> list[dict[str, Any]]:
        """The records of the history's turns or votes, the oldest first."""
        if not self.history.exists():
            return []
        with sqlite3.connect(self.history) as database:
            return [json.loads(text) for (text,) in database.execute(f"SELECT record FROM {table} ORDER BY rowid")]


def is_error(message: ConsoleMessage) -> bool:
    """Whether a console message is an error of the page."""
    url = urlparse(message.location["url"]).path
    expected = (url.startswith("/media/") and url.endswith(FILES)) or CHECKED in message.text
    return message.type == "error" and not expected


def composer(page: Page) -> Locator:
    """The field for a query, on Chat and on Compare."""
    return page.get_by_test_id("stChatInputTextArea")


def ask(page: Page, query: str) -> None:
    box = composer(page)
    expect(box).to_be_enabled(timeout=SLOW)
    box.fill(query)
    box.press("Enter")


def answered(page: Page) -> None:
    """Wait until the last answer on Chat has ended."""
    # The last one: a page that is drawn anew has two for a moment.
    expect(page.get_by_role("button", name="Edit").last).to_be_visible(timeout=SLOW)
    wait_until_idle(page)


def downloaded(page: Page, label: str) -> str:
    """The text of the file that a button gives."""
    with page.expect_download(timeout=SLOW) as started:
        page.get_by_role("button", name=label).first.click(timeout=SLOW)
    return Path(started.value.path()).read_text(encoding="utf-8")


def go_to(page: Page, name: str) -> None:
    """Another page by the menu at the top; the one for phones is on the page for a moment too, before it is hidden."""
    click_when_drawn(page, page.get_by_test_id("stTopNav").get_by_role("link", name=name, exact=True))


def leaves_this_machine(url: str) -> bool:
    return urlparse(url).hostname not in ("localhost", "127.0.0.1", None)


def barriers(page: Page) -> list[str]:
    """What axe-core calls more than minor and what stays so: colours fade for a moment when a page is redrawn."""
    page.mouse.move(0, 0)
    until = time.monotonic() + SLOW / 1000
    while (barring := _violations(page)) and time.monotonic() < until:
        page.wait_for_timeout(500)
    return barring


def _violations(page: Page) -> list[str]:
    # Of a chart, its description: axe judges no colour in a drawing, and takes seconds for the dots of a map.
    context, options = {"exclude": [[".main-svg"]]}, {"resultTypes": ["violations"]}
    violations = Axe().run(page, context, options).response["violations"]
    return [
        f"{rule['id']}: {node['html'][:200]}"
        for rule in violations
        if rule["impact"] != "minor"
        for node in rule["nodes"]
    ]


FITS = """() => {
    const page = document.documentElement
    const tables = [...document.querySelectorAll('[data-testid="stMainBlockContainer"] table')]
    return page.scrollWidth <= page.clientWidth && tables.every(table => {
        for (let box = table.parentElement; box.dataset.testid !== 'stMainBlockContainer'; box = box.parentElement)
            if (box.scrollWidth > box.clientWidth + 1) return false
        const { left, right } = table.getBoundingClientRect()
        return left >= 0 && right <= page.clientWidth + 1
    })
}"""


def assert_fits(page: Page, *widths: int) -> None:
    """At each width, nothing comes to make the page scroll sideways and no table is cut; now, if no width is given.

    After a change of size, charts take a moment to follow.
    """
    for width in widths or (None,):
        if width is not None:
            page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function(FITS, timeout=SLOW)


STILL = """button => {
    for (let box = button; box; box = box.parentElement)
        if (box.getAnimations().some(one => one.playState === 'running')) return false
    return true
}"""


def click_when_drawn(page: Page, place: Locator) -> None:
    """Click when the page's script has run to its end and nothing around the place moves.

    While a page is first drawn, or an expander opens, a button may slip away from under the mouse during the click.
    """
    expect(place).to_be_visible(timeout=SLOW)
    wait_until_idle(page)
    page.wait_for_function(STILL, arg=place.element_handle(timeout=SLOW), timeout=SLOW)
    place.click(timeout=SLOW)


def wait_until_idle(page: Page) -> None:
    """Wait until the page's script has run to its end."""
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning", timeout=SLOW)


FOCUSED = """() => {
    const one = document.activeElement
    return one.matches('a, button, input, textarea, [role=tab]') ? (one.ariaLabel || one.innerText || '').trim() : ''
}"""


def tab_to(page: Page, words: str) -> None:
    """Press Tab until what has the focus is called so."""
    for _ in range(80):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if words in focused.split("\n"):  # an icon comes before or behind its button's word
            return
    raise AssertionError(f"Tab never came to {words}")
