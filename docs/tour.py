"""Take the screenshots of docs/tour.md from the real demo. This needs Chromium.

python docs/tour.py [PAGE ...]
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Error, Page, expect, sync_playwright

PORT = 8598
ADDRESS = f"http://localhost:{PORT}"
ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "tour"
FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking", "--no-first-run"]
SLOW = 240_000
WIDTH, NARROW, MOST = 1440, 390, 3000  # pixels
ROOM = 200  # pixels above and below a page's own contents
FRAMES = "[data-testid=stMain], [data-testid=stAppScrollToBottomContainer]"  # what scrolls: the second one on Chat
PARTS = "[data-testid=stHeading], [class*=st-key-model-]"
TOPS = "parts => parts.map(part => part.getBoundingClientRect().top)"


def chat(page: Page) -> None:
    answer(page, "Tom has 40 marbles. He loses 12 and wins 7. How many does he have now?")


def answer(page: Page, query: str) -> None:
    page.goto(f"{ADDRESS}/?q={query}")
    field = page.get_by_test_id("stChatInputTextArea")
    expect(field).not_to_have_value("", timeout=SLOW)
    field.press("Enter")
    expect(page.get_by_role("button", name="Edit")).to_be_visible(timeout=SLOW)


def why(page: Page) -> None:
    answer(page, "Write a haiku about my old bicycle")
    page.get_by_role("button", name="Why").click()
    expect(page.get_by_text("The most similar training queries")).to_be_visible(timeout=SLOW)


def compare(page: Page) -> None:
    page.goto(f"{ADDRESS}/compare?q=Write a Python function that reverses a string")
    query = page.get_by_test_id("stChatInputTextArea")
    expect(query).not_to_have_value("", timeout=SLOW)
    query.press("Enter")
    expect(page.get_by_text("Reward of each response")).to_be_visible(timeout=SLOW)


def models(page: Page) -> None:
    page.goto(f"{ADDRESS}/models")
    expect(page.get_by_role("button", name="Try")).to_have_count(4, timeout=SLOW)
    page.get_by_role("button", name="Try").nth(1).click()  # of math
    expect(page.get_by_text("“").first).to_be_visible(timeout=SLOW)  # the query, above the answer


def explorer(page: Page) -> None:
    page.goto(f"{ADDRESS}/explorer")
    field = page.get_by_role("textbox", name="Type a query and watch")
    field.press_sequentially("Write a toast for my sister's wedding", timeout=SLOW)
    expect(page.get_by_text("writer would answer")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("Are the probabilities reliable?")).to_be_visible(timeout=SLOW)


def train(page: Page) -> None:
    page.goto(f"{ADDRESS}/train")
    page.locator(".st-key-primary-train button").click(timeout=SLOW)
    expect(page.get_by_text("Your router chooses the best model in")).to_be_visible(timeout=SLOW)


def benchmark(page: Page) -> None:
    page.goto(f"{ADDRESS}/benchmark")
    expect(page.get_by_text("Do similar queries help")).to_be_visible(timeout=SLOW)


VIEWS: dict[str, Callable[[Page], None]] = {
    view.__name__: view for view in (chat, why, compare, models, explorer, train, benchmark)
}


def take(browser: Browser, name: str) -> None:
    """Take four screenshots of a page, as high as it is: wide and narrow, light and dark.

    One that would be too high ends above a part that does not fit.
    """
    page = browser.new_page(viewport={"width": WIDTH, "height": 900}, color_scheme="light")
    VIEWS[name](page)
    for scheme, ground in (("light", ""), ("dark", "-dark")):
        page.emulate_media(color_scheme=scheme)
        for width, size in ((WIDTH, ""), (NARROW, "-narrow")):
            page.set_viewport_size({"width": width, "height": 900})
            page.mouse.move(0, 0)  # no tooltip
            time.sleep(0.7)  # until charts have their new width
            height = page.evaluate("document.querySelector('[data-testid=stMainBlockContainer]').scrollHeight") + ROOM
            page.set_viewport_size({"width": width, "height": min(MOST, int(height))})
            page.evaluate(f"document.querySelectorAll('{FRAMES}').forEach(frame => frame.scrollTo(0, 0))")
            expect(page.get_by_test_id("stSkeleton")).to_have_count(0, timeout=SLOW)
            time.sleep(0.7)
            if height > MOST:
                parts = page.locator(PARTS).evaluate_all(TOPS)
                page.set_viewport_size({"width": width, "height": max(int(top) for top in parts if top < MOST)})
            page.screenshot(path=PICTURES / f"{name}{size}{ground}.png")
    page.close()
    print(f"saved {name}", flush=True)


def main() -> None:
    names = sys.argv[1:] or [*VIEWS]
    if unknown := set(names) - {*VIEWS}:
        sys.exit(f"There is no page {', '.join(unknown)}. The pages are {', '.join(VIEWS)}.")
    take_all(names)


def take_all(names: list[str]) -> None:
    """Take the screenshots of these pages from a demo with a history of its own."""
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("Chromium is not installed. Install the package chromium.")
    command = [sys.executable, "-m", "zooter_core.cli", "demo", "--port", str(PORT), "--no-browser"]
    with tempfile.TemporaryDirectory() as folder:
        places = {"PYTHONPATH": str(ROOT), "ZOOTER_HISTORY": "history.db", "XDG_DATA_HOME": folder}
        server = subprocess.Popen(command, cwd=folder, env={**os.environ, **places})
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
                page = browser.new_page()
                for _ in range(300):
                    try:
                        page.goto(ADDRESS)
                        break
                    except Error:  # the server is not up yet
                        time.sleep(0.2)
                for name in names:
                    take(browser, name)
        finally:
            server.send_signal(2)
            server.wait(20)


if __name__ == "__main__":
    main()
