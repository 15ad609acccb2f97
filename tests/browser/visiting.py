"""A demo to visit, and what every visit looks at."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlparse

from playwright.sync_api import ConsoleMessage, Page, TimeoutError, expect

WIDE, NARROW = 1440, 390
SLOW = 120_000  # milliseconds; models load and answer within seconds, a busy machine may take longer
SETTLED = 20_000  # milliseconds for a page to take its new shape


class Demo:
    """A demo over the embedded fleet or another, its history in a file of its own."""

    def __init__(self, history: Path, fleet: Path | None = None, *options: str, **environment: str) -> None:
        with socket.socket() as probe:
            probe.bind(("localhost", 0))
            self.port = probe.getsockname()[1]
        self.address = f"http://localhost:{self.port}"
        self.history = history
        self.fleet = fleet
        self.options = options
        self.environment = environment
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "zooter_core.cli", "demo", "--port", str(self.port), "--no-browser"]
        if self.fleet is not None:
            command += ["--fleet", str(self.fleet)]
        environment = {name: value for name, value in os.environ.items() if name != "ZOOTER_FLEET"}
        self.process = subprocess.Popen(
            [*command, "--history", str(self.history), *self.options],
            env=environment | self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{self.address}/_stcore/health", timeout=1).close()
                return
            except OSError:
                assert self.process.poll() is None, "the demo ended at its start"
                time.sleep(0.2)

    def stop(self) -> None:
        self.process.send_signal(2)
        self.process.wait(20)

    def crash(self) -> None:
        self.process.kill()
        self.process.wait(20)


# Streamlit's frontend looks for its server under the page's own path first, and finds it one step up: two 404s.
LOOKS = ("/_stcore/health", "/_stcore/host-config")


def troubles(message: ConsoleMessage) -> bool:
    """Whether a console message is an error of the page's."""
    return message.type == "error" and not message.location["url"].endswith(LOOKS)


def send_linked(page: Page) -> None:
    """Send the query that the chat's address filled in."""
    box = page.get_by_test_id("stChatInputTextArea")
    expect(box).not_to_have_value("", timeout=SLOW)
    box.press("Enter")
    expect(page.get_by_text("Nothing has run yet")).to_have_count(0, timeout=SLOW)


def leaves(url: str) -> bool:
    return urlparse(url).hostname not in ("localhost", None)


def no_sideways_scrolling(page: Page, *, within: str = ":root") -> bool:
    """Whether an element comes to fit its width: after a change of size, charts take a moment to follow."""
    fits = "name => { const box = document.querySelector(name); return box && box.scrollWidth <= box.clientWidth }"
    try:
        page.wait_for_function(fits, arg=within, timeout=SETTLED)
    except TimeoutError:
        return False
    return True
