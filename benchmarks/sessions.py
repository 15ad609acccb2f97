"""Many visitors at once: python benchmarks/sessions.py [--sessions 20] [--minutes 10] [--fleet scripted]

Starts the demo on loopback, over scripted endpoints (`--fleet scripted`) or the embedded fleet's models (`--fleet
embedded`, with answers of at most --tokens tokens), and opens a browser tab for each visitor (needs Chromium). A
visitor sends one query after another and reloads the page after --turns turns. Every query carries a mark that its turn
must show; the mark of another visitor is a mixed-up answer. Prints answers per session, waiting times, errors, and the
server's memory by minute. Exit code 1 on an error or a mixed-up answer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.async_api import Browser, Error, Page, async_playwright, expect
from servers import FLAGS, Server, chromium, demo

from zooter_core.base.paths import EMBEDDED_FLEET, ROOT

sys.path.append(str(ROOT / "tests"))
MARK = re.compile(r"M\d\dx\d{4}")
QUERIES = (
    "What is 15% of 240? {}",
    "Write a Python function that adds two numbers. {}",
    "Write a poem about rain. {}",
    "How do I say hello politely? {}",
)
# Words of the answer in the last bubble, without folded parts and waiting messages.
WORDS = """number => {
    const box = document.querySelectorAll('[data-testid="stChatMessage"]')[number];
    if (!box) return false;
    const words = [...box.querySelectorAll('[data-testid="stMarkdownContainer"]')]
        .filter(e => !e.closest('[data-testid="stExpander"]') && !e.closest('button')).map(e => e.innerText).join(' ');
    return /\\w/.test(words.replace('thinking ...', '').replace(/Waiting[^.]*\\./, ''));
}"""


@dataclass
class Visitor:
    """One visitor's seconds to the first words and to the end of each answer, and what went wrong."""

    number: int
    first: list[float] = field(default_factory=list)
    complete: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    mixed: list[str] = field(default_factory=list)

    def mark(self) -> str:
        return f"M{self.number:02d}x{len(self.complete) + len(self.errors) + len(self.mixed):04d}"


@contextmanager
def fleet(call: argparse.Namespace, folder: Path) -> Iterator[Path]:
    """The fleet's folder; scripted endpoints run until the context ends."""
    if call.fleet == "embedded":
        for entry in EMBEDDED_FLEET.iterdir():
            if entry.name != "fleet.toml":
                (folder / entry.name).symlink_to(entry)
        text = (EMBEDDED_FLEET / "fleet.toml").read_text(encoding="utf-8")
        shorter, count = re.subn(r"max_new_tokens = \d+", f"max_new_tokens = {call.tokens}", text)
        assert count, "no max_new_tokens in the embedded fleet's fleet.toml"
        (folder / "fleet.toml").write_text(shorter, encoding="utf-8")
        yield folder
        return
    from support import endpoint_fleet, tiny_models
    from support.scripted_server import serving

    with serving() as server:
        for name in ("one", "two", "three"):
            server.replies[name] = lambda query: f"You said {' '.join(MARK.findall(query))} and no more than that."
        yield endpoint_fleet.save(
            tiny_models.save_fleet(folder), server.url, {n: n for n in ("one", "two", "three")}, router=True
        )


async def ask(page: Page, visitor: Visitor, turn: int, call: argparse.Namespace) -> None:
    """Send one query and check its answer."""
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
    # While the page is redrawn, the button of the previous turn may still be there.
    await expect(page.get_by_role("button", name="Edit").last).to_be_visible(timeout=patience)
    complete = time.perf_counter() - begun
    answer = await bubbles.nth(2 * turn + 1).inner_text()
    shown = set(MARK.findall(" ".join(await bubbles.all_inner_texts())))
    alerts = await page.locator('[data-testid="stException"], [data-testid="stAlertContentError"]').all_inner_texts()
    if {one for one in shown if not one.startswith(mark[:4])} or (call.fleet == "scripted" and mark not in answer):
        visitor.mixed.append(f"{mark}: {answer[:200]!r}, marks {sorted(shown)}")
    elif alerts:
        visitor.errors.append(f"{mark}: {alerts[0][:200]}")
    else:
        visitor.first.append(first)
        visitor.complete.append(complete)


async def visit(browser: Browser, address: str, visitor: Visitor, until: float, call: argparse.Namespace) -> None:
    """Send queries until the time is over, and wait for the last answer."""
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


async def watch(server: Server, until: float, log: list[float]) -> None:
    """The server's memory at the start and after each minute."""
    while time.monotonic() < until:
        log.append(server.megabytes)
        print(f"minute {len(log) - 1}: server {log[-1]:.0f} MB", file=sys.stderr, flush=True)
        await asyncio.sleep(min(60, max(until - time.monotonic(), 0.1)))


async def crowd(server: Server, call: argparse.Namespace) -> tuple[list[Visitor], list[float]]:
    visitors = [Visitor(number) for number in range(call.sessions)]
    log: list[float] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        until = time.monotonic() + 60 * call.minutes
        visits = [visit(browser, server.address, visitor, until, call) for visitor in visitors]
        await asyncio.gather(watch(server, until, log), *visits)
        log.append(server.megabytes)
        await browser.close()
    return visitors, log


def spread(values: list[float]) -> str:
    if not values:
        return "none"
    values = sorted(values)
    high = values[min(int(len(values) * 0.95), len(values) - 1)]
    return f"p50 {statistics.median(values):.2f} s, p95 {high:.2f} s, max {values[-1]:.2f} s"


def report(visitors: list[Visitor], log: list[float], call: argparse.Namespace) -> dict[str, object]:
    counts = [len(visitor.complete) for visitor in visitors]
    first = [seconds for visitor in visitors for seconds in visitor.first]
    complete = [seconds for visitor in visitors for seconds in visitor.complete]
    print(f"{call.sessions} sessions, {call.minutes:g} minutes, fleet {call.fleet}: {sum(counts)} answers")
    print(f"answers a session: min {min(counts)}, median {statistics.median(counts):g}, max {max(counts)}")
    print(f"Enter to the first words: {spread(first)}")
    print(f"Enter to the end of the answer: {spread(complete)}")
    print(f"server memory by minute, MB: {', '.join(f'{size:.0f}' for size in log)}")
    errors, mixed = ([one for v in visitors for one in getattr(v, name)] for name in ("errors", "mixed"))
    for name, problems in (("errors", errors), ("mixed-up answers", mixed)):
        print(f"{name}: {len(problems)}")
        for one in problems[:20]:
            print(f"  {one}")
    return {"answers": counts, "first": first, "whole": complete, "memory_mb": log, "errors": errors, "mixed": mixed}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--fleet", choices=("scripted", "embedded"), default="scripted")
    parser.add_argument("--tokens", type=int, default=32, help="longest answer of the embedded fleet")
    parser.add_argument("--turns", type=int, default=5, help="turns of a conversation")
    parser.add_argument("--patience", type=float, default=300, help="seconds to wait for an answer")
    parser.add_argument("--most-errors", type=int, default=5, help="a visitor leaves after this many")
    parser.add_argument("--json", type=Path, help="also write all figures to a file")
    call = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as name,
        fleet(call, Path(name)) as folder,
        demo("--fleet", str(folder)) as server,
    ):
        visitors, log = asyncio.run(crowd(server, call))
    figures = report(visitors, log, call)
    if call.json:
        call.json.write_text(json.dumps(figures, indent=2) + "\n")
    sys.exit(bool(figures["errors"] or figures["mixed"]) or not all(visitor.complete for visitor in visitors))


if __name__ == "__main__":
    main()
