"""Visitors at once, for minutes: python benchmarks/sessions.py [--sessions 20] [--minutes 10] [--fleet scripted]

Starts the real demo on loopback, over scripted endpoints (`--fleet scripted`) or the embedded fleet's models
(`--fleet embedded`, answers of --tokens tokens at most), and opens a browser tab of its own for each visitor (needs
Chromium). Each asks one query after another; after --turns turns it loads the page anew. Every query carries a mark
that its turn must show; a mark of anybody else in a tab is a mixed-up answer. Prints answers a session, seconds that
visitors waited, errors, and the server's memory minute by minute. Exit code 1 on an error or a mixed-up answer.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from playwright.async_api import Browser, Error, Page, async_playwright, expect

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking", "--no-first-run"]
MARK = re.compile(r"M\d\dx\d{4}")
QUERIES = (
    "What is 15% of 240? {}",
    "Write a Python function that adds two numbers. {}",
    "Write a poem about rain. {}",
    "How do I say hello politely? {}",
)
# Words of the answer in the last bubble, without what is folded away and what only says that it is being waited for.
WORDS = """number => {
    const box = document.querySelectorAll('[data-testid="stChatMessage"]')[number];
    if (!box) return false;
    const words = [...box.querySelectorAll('[data-testid="stMarkdownContainer"]')]
        .filter(e => !e.closest('[data-testid="stExpander"]') && !e.closest('button')).map(e => e.innerText).join(' ');
    return /\\w/.test(words.replace('thinking ...', '').replace(/Waiting[^.]*\\./, ''));
}"""


@dataclass
class Visitor:
    """What one visitor saw: seconds to the first words and to the end of each answer, and what went wrong."""

    number: int
    first: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    mixed: list[str] = field(default_factory=list)

    def mark(self) -> str:
        return f"M{self.number:02d}x{len(self.whole) + len(self.errors) + len(self.mixed):04d}"


@contextmanager
def fleet(call: argparse.Namespace, folder: Path) -> Iterator[Path]:
    """The fleet's folder; scripted endpoints answer as long as this lasts."""
    if call.fleet == "embedded":
        for entry in (ROOT / "models" / "embedded").iterdir():
            if entry.name != "fleet.toml":
                (folder / entry.name).symlink_to(entry)
        text = (ROOT / "models" / "embedded" / "fleet.toml").read_text(encoding="utf-8")
        shorter, count = re.subn(r"max_new_tokens = \d+", f"max_new_tokens = {call.tokens}", text)
        assert count, "the embedded fleet says no more how long an answer may be"
        (folder / "fleet.toml").write_text(shorter, encoding="utf-8")
        yield folder
        return
    import afar
    import tiny
    from scripted import serving

    with serving() as server:
        for name in ("one", "two", "three"):
            server.replies[name] = lambda query: f"You said {' '.join(MARK.findall(query))} and no more than that."
        yield afar.save(tiny.save_fleet(folder), server.url, {n: n for n in ("one", "two", "three")}, router=True)


@contextmanager
def demo(folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """A demo over a fleet: its address and its process, which ends with this."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "zooter_core.cli", "demo", "--port", str(port), "--no-browser", "--history", "off"]
    process = subprocess.Popen([*command, "--fleet", str(folder)], stdout=subprocess.DEVNULL, cwd=ROOT)
    address = f"http://localhost:{port}"
    try:
        for _ in range(300):
            if process.poll() is not None:
                sys.exit("Expected the demo to start. It ended; see above.")
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=1).close()
                break
            time.sleep(0.3)
        yield address, psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def memory(process: psutil.Process) -> float:
    """Megabytes that the server and its children hold."""
    total = 0
    for one in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.Error):
            total += one.memory_info().rss
    return total / 1e6


async def ask(page: Page, visitor: Visitor, turn: int, call: argparse.Namespace) -> None:
    """One query and its answer, looked at when it has come."""
    mark, patience = visitor.mark(), call.patience * 1000
    box = page.get_by_test_id("stChatInputTextArea")
    await expect(box).to_be_enabled(timeout=patience)
    await box.fill(QUERIES[(visitor.number + turn) % len(QUERIES)].format(mark))
    begun = time.perf_counter()
    await box.press("Enter")
    bubbles = page.get_by_test_id("stChatMessage")
    await expect(bubbles.nth(2 * turn)).to_contain_text(mark, timeout=patience)
    await page.wait_for_function(WORDS, arg=2 * turn + 1, timeout=patience)
    first = time.perf_counter() - begun
    # While the page is redrawn, the button of the turn before may still be there for a moment.
    await expect(page.get_by_role("button", name="Edit").last).to_be_visible(timeout=patience)
    whole = time.perf_counter() - begun
    answer = await bubbles.nth(2 * turn + 1).inner_text()
    shown = set(MARK.findall(" ".join(await bubbles.all_inner_texts())))
    alerts = await page.locator('[data-testid="stException"], [data-testid="stAlertContentError"]').all_inner_texts()
    if {one for one in shown if not one.startswith(mark[:4])} or (call.fleet == "scripted" and mark not in answer):
        visitor.mixed.append(f"{mark}: {answer[:200]!r}, marks {sorted(shown)}")
    elif alerts:
        visitor.errors.append(f"{mark}: {alerts[0][:200]}")
    else:
        visitor.first.append(first)
        visitor.whole.append(whole)


async def visit(browser: Browser, address: str, visitor: Visitor, until: float, call: argparse.Namespace) -> None:
    """Ask until the time is over; an answer that is under way then is waited for."""
    context = await browser.new_context(viewport={"width": 1000, "height": 800})
    page = await context.new_page()
    page.on("pageerror", lambda problem: visitor.errors.append(f"on the page: {problem}"))
    turn = 0
    while time.monotonic() < until and len(visitor.errors) < call.most_errors:
        try:
            if turn % call.turns == 0:
                await page.goto(address, timeout=call.patience * 1000)
            await ask(page, visitor, turn % call.turns, call)
            turn += 1
        except (Error, AssertionError) as problem:
            visitor.errors.append(f"{visitor.mark()}: {' '.join(str(problem).split())[:300]}")
            turn = 0
    await context.close()


async def watch(process: psutil.Process, until: float, log: list[float]) -> None:
    """The server's memory at the start and after each minute."""
    while time.monotonic() < until:
        log.append(memory(process))
        print(f"minute {len(log) - 1}: server {log[-1]:.0f} MB", file=sys.stderr, flush=True)
        await asyncio.sleep(min(60, max(until - time.monotonic(), 0.1)))


async def crowd(address: str, process: psutil.Process, call: argparse.Namespace) -> tuple[list[Visitor], list[float]]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("Expected Chromium, but found none. Install the package chromium.")
    visitors = [Visitor(number) for number in range(call.sessions)]
    log: list[float] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        until = time.monotonic() + 60 * call.minutes
        visits = [visit(browser, address, visitor, until, call) for visitor in visitors]
        await asyncio.gather(watch(process, until, log), *visits)
        log.append(memory(process))
        await browser.close()
    return visitors, log


def spread(values: list[float]) -> str:
    if not values:
        return "none"
    values = sorted(values)
    high = values[min(int(len(values) * 0.95), len(values) - 1)]
    return f"p50 {statistics.median(values):.2f} s, p95 {high:.2f} s, max {values[-1]:.2f} s"


def report(visitors: list[Visitor], log: list[float], call: argparse.Namespace) -> dict[str, object]:
    counts = [len(visitor.whole) for visitor in visitors]
    first = [seconds for visitor in visitors for seconds in visitor.first]
    whole = [seconds for visitor in visitors for seconds in visitor.whole]
    print(f"{call.sessions} sessions, {call.minutes:g} minutes, fleet {call.fleet}: {sum(counts)} answers")
    print(f"answers a session: min {min(counts)}, median {statistics.median(counts):g}, max {max(counts)}")
    print(f"Enter to the first words: {spread(first)}")
    print(f"Enter to the end of the answer: {spread(whole)}")
    print(f"server memory by minute, MB: {', '.join(f'{size:.0f}' for size in log)}")
    errors, mixed = ([one for v in visitors for one in getattr(v, name)] for name in ("errors", "mixed"))
    for name, found in (("errors", errors), ("mixed-up answers", mixed)):
        print(f"{name}: {len(found)}")
        for one in found[:20]:
            print(f"  {one}")
    return {"answers": counts, "first": first, "whole": whole, "memory_mb": log, "errors": errors, "mixed": mixed}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--fleet", choices=("scripted", "embedded"), default="scripted")
    parser.add_argument("--tokens", type=int, default=32, help="of an answer of the embedded fleet, at most")
    parser.add_argument("--turns", type=int, default=5, help="of a conversation")
    parser.add_argument("--patience", type=float, default=300, help="seconds to wait for an answer")
    parser.add_argument("--most-errors", type=int, default=5, help="after which a visitor leaves")
    parser.add_argument("--json", type=Path, help="also write all figures into a file")
    call = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, fleet(call, Path(name)) as folder, demo(folder) as (address, process):
        visitors, log = asyncio.run(crowd(address, process, call))
    figures = report(visitors, log, call)
    if call.json:
        call.json.write_text(json.dumps(figures, indent=2) + "\n")
    sys.exit(bool(figures["errors"] or figures["mixed"]) or not all(visitor.whole for visitor in visitors))


if __name__ == "__main__":
    main()
