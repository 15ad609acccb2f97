"""Files beside a query, settings of a conversation and links on the Chat page, on the embedded fleet's real models."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from playwright.sync_api import FilePayload, Page, expect

from support.demo_browser import (
    NARROW,
    SLOW,
    WIDE,
    Demo,
    answered,
    ask,
    assert_fits,
    barriers,
    composer,
    downloaded,
    wait_until_idle,
)
from support.pdf_files import pdf

Open = Callable[..., Page]
QUERY = "How many loaves did the bakery sell in May?"
PDF = FilePayload(name="report.pdf", mimeType="application/pdf", buffer=pdf("The bakery sold 412 loaves in May."))
NOTES = FilePayload(name="notes.md", mimeType="text/markdown", buffer=b"- Anna brings <script>alert(1)</script> cake.")
NOISE = FilePayload(name="cat.png", mimeType="image/png", buffer=b"\x89PNG\r\n\x1a\n" + bytes(range(256)))


def opened(page: Page) -> Page:
    """The page once the composer takes keys and files."""
    expect(page.get_by_text("Who answers")).to_be_visible(timeout=SLOW)
    wait_until_idle(page)
    return page


def test_files_are_sized_sent_read_and_exported(open_tab: Open, server: Demo) -> None:
    page = opened(open_tab(server.address, NARROW))
    box = composer(page)
    box.fill(QUERY)
    page.locator("input[type=file]").set_input_files([PDF, NOTES, NOISE])
    expect(page.get_by_role("button", name="report.pdf · about 12 tokens")).to_be_visible(timeout=SLOW)
    expect(page.get_by_role("button", name="notes.md · about")).to_be_visible()
    expect(page.get_by_text("cat.png is neither text nor PDF.")).to_be_visible()
    expect(page.get_by_test_id("stFileChip")).to_have_count(0)
    expect(box).to_have_value(QUERY)
    assert barriers(page) == []
    assert_fits(page, WIDE, NARROW)
    box.press("Enter")
    answered(page)
    expect(page.get_by_test_id("stChatMessage").last).to_contain_text("412")
    page.get_by_role("button", name="notes.md").click()
    expect(page.get_by_text("<script>alert(1)</script>")).to_be_visible(timeout=SLOW)
    assert barriers(page) == []
    assert_fits(page)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="This conversation").click()
    (turn,) = json.loads(downloaded(page, "Download as JSON"))["turns"]
    assert [file["name"] for file in turn["attachments"]] == ["report.pdf", "notes.md"]
    exported = "Attached: report.pdf\n\n```\nThe bakery sold 412 loaves in May.\n```"
    assert exported in downloaded(page, "Download as Markdown")


def test_settings_fit_and_have_no_barrier(open_tab: Open, server: Demo) -> None:
    page = opened(open_tab(server.address, WIDE))
    page.get_by_role("button", name="Settings").click()
    page.get_by_role("textbox", name="System prompt").fill("Answer in one short sentence.")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("system prompt “Answer in one short sentence.”")).to_be_visible(timeout=SLOW)
    assert barriers(page) == []
    assert_fits(page, NARROW, WIDE)


def test_a_link_names_the_host_that_the_browser_used_and_stays_within_a_phone(open_tab: Open, server: Demo) -> None:
    address = server.address.replace("localhost", "127.0.0.1")
    page = opened(open_tab(address, NARROW))
    ask(page, "What is 42 + 2?")
    answered(page)
    page.get_by_role("button", name="Share").click()
    dialog = page.get_by_test_id("stPopoverBody")
    expect(dialog.get_by_text("It works on this machine only")).to_be_visible(timeout=SLOW)
    assert re.match(rf"{re.escape(address)}/?\?", dialog.locator("code").inner_text())
    box = dialog.bounding_box()
    assert 0 <= box["x"] <= NARROW - box["width"]
    assert barriers(page) == []
    assert_fits(page)


def test_the_first_keys_typed_arrive(open_tab: Open, demo: str) -> None:
    page = open_tab(demo)
    box = composer(page)
    expect(box).to_be_focused(timeout=SLOW)
    page.keyboard.type("hello")
    wait_until_idle(page)
    expect(box).to_have_value("hello")
