"""Draws the README's pictures from the real demo: python docs/pictures.py (needs Chromium)"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

from playwright.sync_api import Error, Page, expect, sync_playwright

PORT = 8598
DOCS = Path(__file__).resolve().parent
FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking", "--no-first-run"]
SLOW = 120_000


def fit(page: Page) -> None:
    """As high as what the page shows, once the charts are drawn."""
    time.sleep(2)
    height = page.evaluate("document.querySelector('[data-testid=stMainBlockContainer]').scrollHeight")
    page.set_viewport_size({"width": 1180, "height": int(height) + 200})
    time.sleep(1)


def chat(page: Page, address: str) -> None:
    page.goto(address)
    box = page.get_by_test_id("stChatInputTextArea")
    expect(page.get_by_text("Who answers")).to_be_visible(timeout=SLOW)
    box.fill("Mia has 24 stickers. She gives 9 to Tom and buys 15 more. How many does she have now?")
    box.press("Enter")
    expect(page.get_by_text("Answer this query again with:")).to_be_visible(timeout=SLOW)
    fit(page)
    page.screenshot(path=DOCS / "chat.png")


def compare(page: Page, address: str) -> None:
    page.goto(f"{address}/compare")
    page.get_by_label("Query").fill("Write a Python function that counts the vowels in a string.")
    page.get_by_test_id("stFormSubmitButton").get_by_role("button").click(timeout=SLOW)
    expect(page.get_by_text("Reward of each response")).to_be_visible(timeout=SLOW)
    fit(page)
    page.screenshot(path=DOCS / "compare.png")


def main() -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("Expected Chromium. Found none. Install the package chromium.")
    command = [sys.executable, "-m", "zooter_core.cli", "demo", "--port", str(PORT), "--no-browser"]
    server = subprocess.Popen(command)
    address = f"http://localhost:{PORT}"
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
            page = browser.new_page(viewport={"width": 1180, "height": 900}, device_scale_factor=1)
            for _ in range(100):
                try:
                    page.goto(address)
                    break
                except Error:  # the server is not up yet
                    time.sleep(0.2)
            chat(page, address)
            compare(page, address)
    finally:
        server.send_signal(2)
        server.wait(20)


if __name__ == "__main__":
    main()
