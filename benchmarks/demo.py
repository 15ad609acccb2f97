"""How long a visitor waits, in a real browser: python benchmarks/demo.py (needs Chromium)

The embedded fleet on transformers, then on llama.cpp, `--rounds` times; the best of each counts.

Cold: from the start of `zooter demo` to the first token of the first answer, typed as soon as the page accepts it.
Warm: from Enter to the first token of the next answers. Stop: from the click to the end of generation.
CPU: seconds of processor time of the demo, with its children, until the first token. Memory: theirs at the end.
"""

from __future__ import annotations

import argparse
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, fields
from pathlib import Path

import psutil
from playwright.sync_api import Browser, Page, expect, sync_playwright

from zooter_core.config.candidates import GGUF, TRANSFORMERS
from zooter_core.paths import EMBEDDED_FLEET

PORT = 8599
FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking", "--no-first-run"]
MINUTE = 120_000
LOADED = 5_000  # milliseconds for loading the other models after the first answer
QUERIES = ("What is 15% of 240?", "Write a Python function that adds two numbers.", "Write a poem about rain.")


def ask(page: Page, query: str, turn: int) -> float:
    """Type a query and return the seconds from Enter to the first words of its answer."""
    box = page.get_by_test_id("stChatInputTextArea")
    expect(box).to_be_enabled(timeout=MINUTE)
    box.fill(query)
    begun = time.perf_counter()
    box.press("Enter")
    routed = page.get_by_test_id("stChatMessage").nth(2 * turn + 1).get_by_role("button", name="Why")
    expect(routed).to_be_visible(timeout=MINUTE)
    page.wait_for_function(
        """turn => {
            const box = document.querySelectorAll('[data-testid="stChatMessage"]')[turn];
            const words = [...box.querySelectorAll('[data-testid="stMarkdownContainer"]')]
                .filter(e => !e.closest('button, [class*="st-key-strip-"], [class*="st-key-actions-"]'))
                .map(e => e.innerText).join(' ');
            return /\\w/.test(words.replace('thinking ...', '').replace('Stop', '').replace('stop_circle', ''));
        }""",
        arg=2 * turn + 1,
        timeout=MINUTE,
    )
    return time.perf_counter() - begun


@dataclass(frozen=True)
class Visit:
    """What one visitor saw. All but `memory`, in megabytes, are seconds."""

    cold: float
    cpu: float
    warm: float
    stop: float
    memory: float


def fleet_on(backend: str, folder: Path) -> Path:
    """A copy of the embedded fleet whose candidates run on a backend."""
    copy = folder / backend
    shutil.copytree(EMBEDDED_FLEET, copy, dirs_exist_ok=True)
    file = copy / "fleet.toml"
    file.write_text(re.sub('backend = ".*"', f'backend = "{backend}"', file.read_text()))
    return copy


def tree(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """A process and its children."""
    first = psutil.Process(process.pid)
    return [first, *first.children(recursive=True)]


def visit(browser: Browser, fleet: Path) -> Visit:
    """Start the demo, ask, and stop it."""
    command = [sys.executable, "-m", "zooter_core.cli", "demo", "--port", str(PORT), "--no-browser", "--history", "off"]
    page = browser.new_page()
    begun = time.perf_counter()
    process = subprocess.Popen([*command, "--fleet", str(fleet)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while True:
            try:
                page.goto(f"http://localhost:{PORT}")
                break
            except Exception:  # the server is not up yet
                time.sleep(0.1)
        ask(page, QUERIES[0], 0)
        cold = time.perf_counter() - begun
        times = [part.cpu_times() for part in tree(process)]
        expect(page.get_by_role("button", name="Edit")).to_be_visible(timeout=MINUTE)
        page.wait_for_timeout(LOADED)
        warm = []
        for turn, query in enumerate(QUERIES, 1):
            expect(page.get_by_role("button", name="Edit")).to_be_visible(timeout=MINUTE)
            warm.append(ask(page, query, turn))
        expect(page.get_by_role("button", name="Edit")).to_be_visible(timeout=MINUTE)
        ask(page, "Write a very long story about a river.", len(QUERIES) + 1)
        stop = page.get_by_role("button", name="Stop")
        begun = time.perf_counter()
        stop.click()
        expect(stop).not_to_be_visible(timeout=MINUTE)
        stopped = time.perf_counter() - begun
        memory = sum(part.memory_info().rss for part in tree(process)) / 1e6
    finally:
        process.send_signal(2)
        process.wait(60)
        page.close()
    return Visit(cold, sum(time.user + time.system for time in times), statistics.median(warm), stopped, memory)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    call = parser.parse_args()
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("Expected Chromium, but found none. Install the package chromium.")
    visits: dict[str, list[Visit]] = {TRANSFORMERS: [], GGUF: []}
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        for _ in range(call.rounds):
            for backend, timings in visits.items():
                timings.append(visit(browser, fleet_on(backend, Path(folder))))
    for backend, timings in visits.items():
        best = Visit(*(min(getattr(one, entry.name) for one in timings) for entry in fields(Visit)))
        print(
            f"{backend:12}  cold {best.cold:.1f} s ({best.cpu:.1f} CPU s), warm {best.warm:.2f} s, "
            f"stop {best.stop:.2f} s, memory {best.memory:.0f} MB"
        )


if __name__ == "__main__":
    main()
