"""How fast each page of the demo is, in a real browser: python benchmarks/pages.py (needs Chromium)

Each round starts `zooter demo` on the embedded fleet, opens Chat in a tab and stays there for a few seconds. Then it
clicks on every page (first), on every page again (later), opens each in a new tab by its address (link), and does so
once more (again). The browser has a profile on disk that is new in each round, so it keeps compiled scripts from one
tab to the next, as a visitor's browser does. The pointer rests on a link before the click, as a visitor's does. Each
visit has these figures, which are measured inside the page when it changes:

sight: from the click, or from the start of navigation, to the first useful content: a field, a sentence or cards.
settled: to the last change of the page, after which it does not change and runs no script for a second.
cpu: processor seconds of the demo and the browser until then, which depend less on other load.

`--typing` measures Explorer's map instead: it types the first words of each example, a key every .7 s (`typed`), and
measures the time from each key to the query's new point, and how long the map had no point in between.

The medians of the rounds are printed. `--against DIR` measures another checkout in turns with this one and adds the
ratios. Timings depend on the machine and on other load: compare only figures of one run.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

from playwright.sync_api import BrowserContext, Page, sync_playwright
from servers import FLAGS, chromium, cpu_seconds, demo, family

from zooter_core.base.paths import ROOT

SIGHTS = {  # page -> its first useful content
    "Chat": "[data-testid=stChatInputTextArea]:enabled",
    "Compare": "[data-testid=stTabs] [data-testid=stChatInputTextArea]:enabled",
    "Models": "[class*=st-key-model-]",
    "Benchmark": "[data-testid=stMain] h2",
    "Explorer": "[aria-label='Type a query and watch']:enabled",
    "Train": "[class*=st-key-primary-] button:enabled",
}
VISITS = ("first", "later", "link", "again")
MINUTE = 120_000
PAUSE, HOVER = 6_000, 300  # milliseconds on Chat, and on a link before a click
# Watches the document from the first click, or from the start of navigation, until it has not changed for a second.
# Returns the times of `sight` and of the last change.
WATCH = """({ sight, click }) => { window.settled = new Promise(resolve => {
    let start = click ? null : 0, seen = null, last = null
    if (click) addEventListener('click', () => { start ??= performance.now() }, { capture: true, once: true })
    const running = () =>
        document.querySelector('[data-testid=stApp]')?.dataset.testScriptState !== 'notRunning' ||
        !!document.querySelector('[data-testid=stSkeleton]')
    const watcher = new MutationObserver(() => {
        if (start === null) return
        last = performance.now()
        if (seen === null && document.querySelector(sight)) seen = last
    })
    watcher.observe(document, { attributes: true, characterData: true, childList: true, subtree: true })
    const timer = setInterval(() => {
        if (seen === null || running() || performance.now() - last < 1000) return
        clearInterval(timer)
        watcher.disconnect()
        resolve([(seen - start) / 1000, (last - start) / 1000])
    }, 50)
}) }"""
# Checks the place of the query's point on each frame. `points` has the time of each change, and null as the
# place if there is no point.
POINTS = """() => { window.points = []
    let last
    const look = () => {
        const place = document.querySelector('.zooter-query div')?.getAttribute('style') ?? null
        if (place !== last) window.points.push([performance.timeOrigin + performance.now(), last = place])
        requestAnimationFrame(look)
    }
    look()
}"""
QUERIES = ("What is 15% of 240", "Write a Python func", "Write a short poem")  # typed key by key
KEY_SECONDS = 0.7
Figures = tuple[float, float, float]  # of a visit: sight, settled, cpu
Times = dict[tuple[str, str], list[Figures]]  # (page, visit) -> the figures of each round


def watched(page: Page, name: str, act: Callable[[], object]) -> Figures:
    """The figures of a visit that begins with a click."""
    page.evaluate(WATCH, {"sight": SIGHTS[name], "click": True})
    return settled(page, act)


def opened(page: Page, name: str, address: str) -> Figures:
    """The figures of a visit by an address."""
    page.add_init_script(f"({WATCH})({{ sight: {SIGHTS[name]!r}, click: false }})")
    path = "" if name == "Chat" else f"/{name.lower()}"
    return settled(page, lambda: page.goto(address + path, wait_until="commit"))


def settled(page: Page, act: Callable[[], object]) -> Figures:
    before = {process: cpu_seconds([process]) for process in family()[1:]}  # the demo and the browser
    act()
    sight, last = page.evaluate("window.settled")
    # Processes that have ended meanwhile, such as an earlier tab, do not count.
    return sight, last, sum(cpu_seconds([process]) - before.get(process, 0) for process in family()[1:])


def measure(context: BrowserContext, address: str, times: Times) -> None:
    """Measure one round."""
    page = context.new_page()
    page.set_default_timeout(MINUTE)
    page.goto(address, wait_until="commit")
    page.wait_for_selector(SIGHTS["Chat"])
    page.wait_for_timeout(PAUSE)
    names = [name for name in SIGHTS if name != "Chat"] + ["Chat"]
    for visit in ("first", "later"):
        for name in names:
            link = page.get_by_test_id("stTopNav").get_by_role("link", name=name, exact=True)
            link.hover()
            page.wait_for_timeout(HOVER)
            times[name, visit].append(watched(page, name, link.click))
    page.close()
    for visit in ("link", "again"):
        for name in names:
            page = context.new_page()
            times[name, visit].append(opened(page, name, address))
            page.close()


def typed(context: BrowserContext, address: str) -> None:
    """Type in Explorer, and print the figures of each key."""
    page = context.new_page()
    page.set_default_timeout(MINUTE)
    page.goto(f"{address}/explorer", wait_until="commit")
    box = page.get_by_role("textbox", name="Type a query and watch")
    box.click()
    page.wait_for_selector(".zooter-query b")
    page.wait_for_timeout(PAUSE)
    page.evaluate(POINTS)
    keys = []
    for query in QUERIES:
        box.fill("")
        page.wait_for_timeout(1000 * KEY_SECONDS)
        for key in query:
            keys.append(1000 * time.time())
            page.keyboard.press(key)
            page.wait_for_timeout(max(0, keys[-1] + 1000 * KEY_SECONDS - 1000 * time.time()))
    changes = page.evaluate("window.points")
    waits, gaps = [], []
    for key, following in pairwise([*keys, keys[-1] + 1000 * KEY_SECONDS]):
        within = [(moment, place) for moment, place in changes if key <= moment < following]
        waits += [moment - key for moment, place in within if place is not None][-1:]
        gaps += [after - moment for (moment, place), (after, _) in pairwise(within) if place is None]
    median, high = statistics.median(waits), statistics.quantiles(waits, n=20)[-1]
    print(f"{len(keys)} keys, {len(waits)} with a new point: after {median:.0f} ms, 95% {high:.0f} ms")
    median, longest = statistics.median(gaps or [0]), max(gaps, default=0)
    print(f"no point after {len(gaps)} keys, for {median:.0f} ms, {longest:.0f} at most")
    page.close()


def report(rounds: dict[Path, Times]) -> None:
    print(f"{'page':<11}" + "".join(f"{visit + ' sight':>14}{'settled':>9}{'cpu':>6}" for visit in VISITS))
    for name in SIGHTS:
        lines = [
            [statistics.median(column) for visit in VISITS for column in zip(*times[name, visit], strict=True)]
            for times in rounds.values()
        ]
        for label, figures in zip((name, "  against"), lines, strict=False):
            print(line(label, figures))
        if len(lines) > 1:
            print(line("  ratio", [mine / base for mine, base in zip(*lines, strict=True)]))


def line(label: str, figures: Sequence[float]) -> str:
    widths = (14, 9, 6) * len(VISITS)
    return f"{label:<11}" + "".join(f"{value:>{width}.2f}" for value, width in zip(figures, widths, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--typing", action="store_true", help="measure the map while one types")
    parser.add_argument("--against", type=Path, metavar="DIR", help="another checkout")
    call = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has its bytecode
    rounds: dict[Path, Times] = {ROOT: defaultdict(list)}
    if call.against:
        rounds[call.against.resolve()] = defaultdict(list)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as data:
        launch = partial(
            playwright.chromium.launch_persistent_context,
            executable_path=chromium(), args=FLAGS, viewport={"width": 1440, "height": 900},
        )  # fmt: skip
        for number in range(call.rounds):
            for checkout, times in rounds.items():
                with (
                    tempfile.TemporaryDirectory() as profile,
                    demo(folder=checkout, PYTHONPATH=str(checkout), XDG_DATA_HOME=data) as server,
                    launch(profile) as context,
                ):
                    if call.typing:
                        typed(context, server.address)
                    else:
                        measure(context, server.address, times)
                print(f"round {number + 1}: {checkout.name}, load {os.getloadavg()[0]:.1f}", file=sys.stderr)
    if not call.typing:
        report(rounds)


if __name__ == "__main__":
    main()
