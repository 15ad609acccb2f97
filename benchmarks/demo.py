"""How long a visitor waits, in a real browser: python benchmarks/demo.py (needs Chromium)

Cold: from the start of `zooter demo` to the first token of the first answer, typed as soon as the page accepts it.
Warm: from Enter to the first token of the next answers. Stop: from the click to the end of generation.
"""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
import sys
import time

from playwright.sync_api import Page, expect, sync_playwright

PORT = 8599
FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking", "--no-first-run"]
MINUTE = 60_000
LOADED = 5_000  # milliseconds for loading the other models after the first answer
QUERIES = ("What is 15% of 240?", "Write a Python function that adds two numbers.", "Write a poem about rain.")


def ask(page: Page, query: str, turn: int) -> float:
    """Type a query and return the seconds from Enter to the first words of its answer."""
    box = page.get_by_test_id("stChatInputTextArea")
    expect(box).to_be_enabled(timeout=MINUTE)
    box.fill(query)
    begun = time.perf_counter()
    box.press("Enter")
    answer = page.get_by_test_id("stChatMessage").nth(2 * turn + 1).get_by_test_id("stMarkdownContainer").last
    expect(answer).to_contain_text(re.compile(r"\w"), timeout=MINUTE)
    caption = page.get_by_test_id("stChatMessage").nth(2 * turn + 1)
    expect(caption).to_contain_text("Probability of giving", timeout=MINUTE)
    page.wait_for_function(
        """turn => {
            const box = document.querySelectorAll('[data-testid="stChatMessage"]')[turn];
            const words = [...box.querySelectorAll('[data-testid="stMarkdownContainer"]')]
                .filter(e => !e.closest('[data-testid="stExpander"]')).map(e => e.innerText).join(' ');
            return /\\w/.test(words.replace('thinking ...', '').replace('Stop', '').replace('stop_circle', ''));
        }""",
        arg=2 * turn + 1,
        timeout=MINUTE,
    )
    return time.perf_counter() - begun


def main() -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("Expected Chromium, but found none. Install the package chromium.")
    command = [
        sys.executable,
        "-m",
        "zooter_core.cli",
        "demo",
        "--port",
        str(PORT),
        "--no-browser",
        "--history",
        "off",
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page()
        begun = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while True:
                try:
                    page.goto(f"http://localhost:{PORT}")
                    break
                except Exception:  # the server is not up yet
                    time.sleep(0.1)
            ask(page, QUERIES[0], 0)
            cold = time.perf_counter() - begun
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
        finally:
            process.send_signal(2)
            process.wait(20)
    print(f"cold: {cold:.1f} s from the command to the first token")
    print(f"warm: {statistics.median(warm):.2f} s from Enter to the first token ({min(warm):.2f} to {max(warm):.2f})")
    print(f"stop: {stopped:.2f} s from the click to the page without a running answer")


if __name__ == "__main__":
    main()
