"""Server time of a page's rerun without any change: python benchmarks/rerun.py [PAGE ...]

Opens each page of pages/ inside app.py on the embedded fleet, as a visitor's session does, and runs it again and again.
A run lasts from its start on the server to the serialisation of the last message, without network and browser. Thread
time excludes waiting for a core, which makes it more reliable than the clock on a busy machine. Chat and Compare are
also timed in use: with a conversation of TURNS answers, and with a query that every model has answered.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from streamlit.runtime.scriptrunner import ScriptRunner
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.local_script_runner import LocalScriptRunner

from zooter_core.base.paths import EMBEDDED_FLEET, ROOT

LIMIT = 100  # milliseconds; a median above it is marked
WARM = 2  # reruns that do not count
TURNS = 5


class Clock:
    """Measures the seconds of every run of a script, and the bytes that it sends."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.thread_seconds: list[float] = []
        self.sent: list[int] = []
        run = ScriptRunner._run_script

        def timed(runner: LocalScriptRunner, *rest: Any) -> None:
            begun, worked = time.perf_counter(), time.thread_time()
            run(runner, *rest)
            self.sent.append(sum(len(message.SerializeToString()) for message in runner.forward_msgs()))
            self.seconds.append(time.perf_counter() - begun)
            self.thread_seconds.append(time.thread_time() - worked)

        LocalScriptRunner._run_script = timed  # type: ignore[method-assign,assignment]


def converse(app: AppTest) -> None:
    app.slider(key="length").set_value(16).run()
    for number in range(TURNS):
        app.chat_input[0].set_value(f"What is {number} + {number}?").run()
        app.session_state["conversation"].turns[-1].job.wait()
        app.run()


def compare(app: AppTest) -> None:
    app.chat_input(key="compare-query").set_value("What is 12 + 30?").run()
    app.session_state["comparison"].job.wait()
    app.run()


IN_USE: dict[str, Callable[[AppTest], None]] = {"chat": converse, "compare": compare}


def rerun(page: str, clock: Clock, runs: int, use: Callable[[AppTest], None] = lambda app: None) -> None:
    """Time reruns of a page; `use` first does what a visitor does there."""
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=600).run()
    app.switch_page(f"pages/{page}.py").run()
    use(app)
    for _ in range(WARM):
        app.run()
    for counted in (clock.seconds, clock.thread_seconds, clock.sent):
        counted.clear()
    for _ in range(runs):
        app.run()
        if app.exception:
            sys.exit(f"{page} failed: {app.exception[0].value}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    pages = sorted(path.stem for path in (ROOT / "pages").glob("*.py"))
    parser.add_argument("pages", nargs="*", default=pages, metavar="PAGE", help=f"of {', '.join(pages)}")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--fleet", default=str(EMBEDDED_FLEET))
    call = parser.parse_args()
    if unknown := set(call.pages) - set(pages):
        sys.exit(f"Expected pages of {', '.join(pages)}, but found {', '.join(sorted(unknown))}.")
    os.environ["ZOOTER_FLEET"] = str(Path(call.fleet).resolve())
    os.chdir(ROOT)
    with tempfile.TemporaryDirectory() as data:
        os.environ["XDG_DATA_HOME"] = data  # no visitor's conversations
        clock = Clock()
        print(f"{'page':<14}{'median':>10}{'least':>10}{'most':>10}{'thread':>10}{'sent':>12}   {call.runs} reruns")
        views = [(page, page, None) for page in call.pages]
        views += [(f"{page}, used", page, IN_USE[page]) for page in call.pages if page in IN_USE]
        for name, page, use in views:
            rerun(page, clock, call.runs, *([use] if use else []))
            median = statistics.median(clock.seconds)
            figures = (median, min(clock.seconds), max(clock.seconds), statistics.median(clock.thread_seconds))
            shown = "".join(f"{seconds * 1000:>7.1f} ms" for seconds in figures)
            over = "" if median * 1000 < LIMIT else f"   over {LIMIT} ms"
            print(f"{name:<14}{shown}{clock.sent[-1] / 1024:>8.0f} KiB{over}", flush=True)


if __name__ == "__main__":
    main()
