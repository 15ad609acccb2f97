"""How long a visitor waits, in a real browser: python benchmarks/demo.py (needs Chromium)

Measures the embedded fleet, or another one with `--fleet DIR`, for `--rounds` rounds; the best value of each figure
counts. Times are measured inside the page, when it changes.

Cold: from the start of `zooter demo` until it listens, until the page accepts a query, until it shows the routing, and
until it shows the first words. An empty Streamlit app with a composer, started in the same round, gives the least time
of any demo on Streamlit. Warm: from Enter to the routing and to the first words in new conversations; medians. Later:
to the first words of another model in a second turn, two seconds after the end of the first answer. Stop: from the
click to the end. Compare: from Enter until four answers of at most 40 tokens are ranked. CPU: processor seconds of the
demo and its children until the first words. Memory after Chat, Explorer, Benchmark and Compare: resident, and
proportional (PSS counts shared memory once). pages.py measures how fast pages open.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright
from servers import FLAGS, Server, chromium, demo, streamlit

from zooter_core.base.paths import EMBEDDED_FLEET

MINUTE = 120_000
QUERIES = ("What is 15% of 240?", "Write a Python function that adds two numbers.", "Write a poem about rain.")
EMPTY = "import streamlit as st\nst.chat_input('Ask anything')\n"
SHORT = 40  # tokens
# Watches the page until each of some conditions has been true once, and returns the seconds from the first event to
# each. The conditions are checked when the page changes: a check every 10 ms would slow down the demo.
WATCH = """() => { window.seen = new Promise(resolve => {
    const checks = [CONDITIONS], times = checks.map(() => null);
    let start = null;
    addEventListener('EVENT', () => { start ??= performance.now(); }, {capture: true, once: true});
    const look = () => {
        if (start === null) return;
        checks.forEach((check, place) => {
            if (times[place] === null && check()) times[place] = (performance.now() - start) / 1000;
        });
        if (!times.includes(null)) { watcher.disconnect(); resolve(times); }
    };
    const watcher = new MutationObserver(look);
    watcher.observe(document.body, {attributes: true, characterData: true, childList: true, subtree: true});
}); }"""
ANSWER = "document.querySelectorAll('[data-testid=stChatMessage]')[{turn}]"
ROUTED = "() => [...(" + ANSWER + "?.querySelectorAll('button') ?? [])].some(b => b.innerText.includes('Why'))"
WORDS = (
    "() => /\\w/.test([...(" + ANSWER + "?.querySelectorAll('[data-testid=stMarkdownContainer]') ?? [])]"
    ".filter(e => !e.closest('button, [class*=st-key-strip-], [class*=st-key-actions-]'))"
    ".map(e => e.innerText).join(' ').replace('thinking ...', ''))"
)
STOPPED = "() => ![...document.querySelectorAll('button')].some(b => b.innerText.includes('Stop'))"
RANKED = "() => /highest reward|ranked first/.test(document.body.textContent)"
COMPOSER = "stChatInputTextArea"


@dataclass(frozen=True)
class Visit:
    """The figures of one visitor, in seconds; `memory` and `shared` in megabytes."""

    empty: float
    listens: float
    page: float
    cold_routed: float
    cold: float
    cpu: float
    routed: float
    warm: float
    later: float
    stop: float
    compare: float
    memory: float
    shared: float


def timed(page: Page, event: str, conditions: Sequence[str], action: Callable[[], None]) -> list[float]:
    """The seconds from an event, which the action causes, until each condition is true in the page."""
    page.evaluate(WATCH.replace("EVENT", event).replace("CONDITIONS", ", ".join(conditions)))
    action()
    times: list[float] = page.evaluate("() => window.seen")
    return times


def ask(page: Page, query: str, turn: int) -> list[float]:
    """Type a query. Return the seconds from Enter to its routing, and to the first words of its answer."""
    box = page.get_by_test_id(COMPOSER)
    expect(box).to_be_enabled(timeout=MINUTE)
    box.fill(query)
    conditions = [condition.format(turn=2 * turn + 1) for condition in (ROUTED, WORDS)]
    return timed(page, "keydown", conditions, lambda: box.press("Enter"))


def wait_for_end(page: Page) -> None:
    expect(page.get_by_role("button", name="Edit")).to_be_visible(timeout=MINUTE)


def shorter(folder: Path) -> Path:
    """A copy of the embedded fleet whose answers have at most SHORT tokens."""
    shutil.copytree(EMBEDDED_FLEET, folder)
    file = folder / "fleet.toml"
    file.write_text(re.sub("max_new_tokens = .*", f"max_new_tokens = {SHORT}", file.read_text()))
    return folder


@contextmanager
def served(browser: Browser, starting: AbstractContextManager[Server]) -> Iterator[tuple[Page, Server, float]]:
    """A page, its server, which starts now, and the time of the start.

    As with `zooter demo`, the browser opens when the server is up: pages that fail to load would use processor time.
    """
    with closing(browser.new_page()) as page:
        begun = time.perf_counter()
        with starting as server:
            page.goto(server.address, wait_until="commit")
            yield page, server, begun


def empty_app(browser: Browser, folder: Path) -> float:
    """Seconds from the start of an empty Streamlit app to its composer."""
    with served(browser, streamlit(folder / "empty.py", EMPTY)) as (page, _, begun):
        page.wait_for_selector(f"[data-testid={COMPOSER}]:enabled", timeout=MINUTE)
        return time.perf_counter() - begun


def chat(browser: Browser, fleet: Path) -> dict[str, float]:
    """Start the demo, ask queries, and stop an answer. Return the seconds."""
    with served(browser, demo("--fleet", str(fleet))) as (page, server, begun):
        page.wait_for_selector(f"[data-testid={COMPOSER}]:enabled", timeout=MINUTE)
        shown = time.perf_counter() - begun
        routed, words = ask(page, QUERIES[0], 0)
        cpu = server.cpu_seconds
        wait_for_end(page)
        page.wait_for_timeout(5_000)  # the other models load
        warm = []
        for query in QUERIES:
            page.get_by_role("button", name="New conversation").click()
            expect(page.get_by_test_id("stChatMessage")).to_have_count(0, timeout=MINUTE)
            warm.append(ask(page, query, 0))
            wait_for_end(page)
        page.wait_for_timeout(2_000)  # the visitor types, and the other models read the first turn
        _, later = ask(page, QUERIES[0], 1)
        wait_for_end(page)
        ask(page, "Write a very long story about a river.", 2)
        (stop,) = timed(page, "click", [STOPPED], page.get_by_role("button", name="Stop").click)
        return {
            "listens": server.ready_seconds, "page": shown, "cold_routed": shown + routed, "cold": shown + words,
            "cpu": cpu, "stop": stop,
            "routed": statistics.median(pair[0] for pair in warm), "warm": statistics.median(pair[1] for pair in warm),
            "later": later,
        }  # fmt: skip


def tour(browser: Browser, fleet: Path) -> dict[str, float]:
    """Visit pages and compare the models' answers. Return the seconds and the demo's memory."""
    with served(browser, demo("--fleet", str(fleet))) as (page, server, _):
        page.wait_for_selector(f"[data-testid={COMPOSER}]:enabled", timeout=MINUTE)
        ask(page, QUERIES[0], 0)
        wait_for_end(page)
        page.wait_for_timeout(5_000)
        for name in ("explorer", "benchmark", "compare"):
            page.goto(f"{server.address}/{name}", wait_until="commit")
            page.wait_for_selector("h1", timeout=MINUTE)
            page.wait_for_timeout(1_500)
        box = page.get_by_test_id(COMPOSER)
        box.fill(QUERIES[2])
        page.wait_for_timeout(1_000)
        (compare,) = timed(page, "keydown", [RANKED], lambda: box.press("Enter"))
        parts = [part.memory_full_info() for part in server.processes]
        memory, shared = (sum(getattr(part, name) for part in parts) / 1e6 for name in ("rss", "pss"))
        return {"compare": compare, "memory": memory, "shared": shared}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--fleet", type=Path, metavar="DIR", help="another fleet than the embedded one")
    call = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has its bytecode
    visits: list[Visit] = []
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fleet, short = call.fleet or EMBEDDED_FLEET, call.fleet or shorter(folder / "short")
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        for _ in range(call.rounds):
            figures = {"empty": empty_app(browser, folder)} | chat(browser, fleet) | tour(browser, short)
            visits.append(Visit(**figures))
            print(f"  {visits[-1]}, load {os.getloadavg()[0]:.1f}", file=sys.stderr)
    best = {entry.name: min(getattr(visit, entry.name) for visit in visits) for entry in fields(Visit)}
    print(", ".join(f"{name} {value:.2f}" for name, value in best.items()))


if __name__ == "__main__":
    main()
