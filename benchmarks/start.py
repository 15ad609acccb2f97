"""How soon `zooter demo` shows its page on connected models: python benchmarks/start.py (needs Chromium)

A scripted server stands for Ollama with three models, which `zooter init` connects once. In each round, in seconds from
the start of the command:

listens: until the server takes connections.
page: until the page takes a query, in a browser that runs already.
routed: and until the first query's routing is shown there; the query is typed as soon as the page takes it.
new browser: until the page takes a query in a Chromium that starts when the server listens, as the demo opens one.
empty: until an empty Streamlit app with a composer takes a query, in a browser that runs already: the least.

The medians of the rounds are printed. Timings depend on the machine and on what else runs: compare only figures of one
run.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from demo import COMPOSER, MINUTE, QUERIES, ask, empty_app, served
from playwright.sync_api import Browser, BrowserType, sync_playwright
from servers import FLAGS, chromium, demo

from zooter_core.base.paths import ROOT

sys.path.insert(0, str(ROOT / "tests"))
MODELS = ("llama3.1:8b", "qwen2.5:7b", "gemma2:9b")
READY = f"[data-testid={COMPOSER}]:enabled"
Times = dict[str, list[float]]


def in_a_browser_that_runs(browser: Browser, options: list[str], times: Times) -> None:
    with served(browser, demo(*options)) as (page, server, begun):
        page.wait_for_selector(READY, timeout=MINUTE)
        shown = time.perf_counter() - begun
        routed, _ = ask(page, QUERIES[0], 0)
    times["listens"].append(server.ready_seconds)
    times["page"].append(shown)
    times["routed"].append(shown + routed)


def in_a_new_browser(chromiums: BrowserType, options: list[str], times: Times) -> None:
    begun = time.perf_counter()
    with demo(*options) as server:
        browser = chromiums.launch(executable_path=chromium(), args=FLAGS)
        page = browser.new_page()
        page.goto(server.address, wait_until="commit")
        page.wait_for_selector(READY, timeout=MINUTE)
        times["new browser"].append(time.perf_counter() - begun)
        browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    call = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has its bytecode
    times: Times = defaultdict(list)
    from support.scripted_server import serving

    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as name, serving() as server:
        server.models = list(MODELS)
        server.replies = {name: lambda query: "It depends." for name in MODELS}
        place, fleet = Path(name), Path(name, "my-fleet")
        init = [sys.executable, "-m", "zooter_core.cli", "init", "--pick", "all"]
        init += ["--out", str(fleet), "--endpoint", server.url]
        subprocess.run(init, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        for _ in range(call.rounds):
            in_a_browser_that_runs(browser, ["--fleet", str(fleet)], times)
            in_a_new_browser(playwright.chromium, ["--fleet", str(fleet)], times)
            times["empty"].append(empty_app(browser, place))
            figures = ", ".join(f"{name} {column[-1]:.2f}" for name, column in times.items())
            print(f"{figures}, load {os.getloadavg()[0]:.1f}", file=sys.stderr)
    for name, column in times.items():
        print(f"{name:<12}{statistics.median(column):7.2f}")


if __name__ == "__main__":
    main()
