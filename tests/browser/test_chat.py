"""What visitors do on the Chat page, on the embedded fleet's real models."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from visiting import NARROW, SLOW, WIDE, Demo, no_sideways_scrolling, send_linked

STORY = "Write a long story about a shy baker and a dragon who share a kitchen in the mountains."
Open = Callable[..., Page]


def ask(page: Page, query: str) -> None:
    box = page.get_by_test_id("stChatInputTextArea")
    expect(box).to_be_enabled(timeout=SLOW)
    box.fill(query)
    box.press("Enter")


def answered(page: Page) -> None:
    expect(page.get_by_role("button", name="Edit")).to_be_visible(timeout=SLOW)


def writing(page: Page) -> None:
    """Wait until some words of the answer have come."""
    answer = page.get_by_test_id("stChatMessage").last
    expect(page.get_by_role("button", name="Stop")).to_be_visible(timeout=SLOW)
    expect(answer).to_contain_text(re.compile(r"(\b[A-Za-z]+\b\W+){14}"), timeout=SLOW)


def records(history: Path) -> list[dict[str, Any]]:
    with sqlite3.connect(history) as database:
        return [json.loads(row[0]) for row in database.execute("SELECT record FROM turns ORDER BY rowid")]


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_chat_stop_vote_and_again(open_tab: Open, demo: str, width: int) -> None:
    page = open_tab(demo, width)
    ask(page, STORY)
    writing(page)
    page.get_by_role("button", name="Stop").click()
    answered(page)
    expect(page.get_by_text("stopped", exact=True)).to_be_visible()
    assert no_sideways_scrolling(page)
    page.get_by_role("button", name="Answer with").click()
    page.get_by_role("option", name="chat").or_(page.get_by_role("menuitem", name="chat")).click()
    expect(page.get_by_text("because you chose it")).to_be_visible(timeout=SLOW)
    page.get_by_role("button", name="Stop").click(timeout=SLOW)
    answered(page)
    page.get_by_text("Why?").click()
    expect(page.get_by_text("What each part of the query adds to")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("The training queries most like it")).to_be_visible(timeout=SLOW)
    assert no_sideways_scrolling(page)


def test_a_reload_in_the_middle_loses_nothing(open_tab: Open, demo: str) -> None:
    page = open_tab(demo)
    ask(page, STORY)
    writing(page)
    page.get_by_text("Answer settings").click()  # a rerun of the page leaves it alone as well
    page.reload()
    writing(page)
    expect(page.get_by_text(STORY)).to_be_visible()
    assert "chat=" in page.url
    page.get_by_role("link", name="Compare").click()
    expect(page.get_by_text("Every model answers")).to_be_visible(timeout=SLOW)
    page.get_by_role("link", name="Chat", exact=True).click()
    expect(page.get_by_text(STORY)).to_be_visible(timeout=SLOW)
    answered(page)
    expect(page.get_by_text("incomplete")).to_have_count(0)
    expect(page.get_by_text("stopped", exact=True)).to_have_count(0)


def test_closing_the_tab_stops_its_answer_within_five_seconds(open_tab: Open, server: Demo) -> None:
    page = open_tab(f"{server.address}/?mode=All+of+them")
    query = "Write a very long poem about the tides, in forty stanzas."
    ask(page, query)
    writing(page)
    page.close()
    end = time.monotonic() + 5
    ended: list[dict[str, Any]] = []
    while not ended and time.monotonic() < end:
        turns = [turn for turn in records(server.history) if turn["query"] == query]
        ended = [turn for turn in turns if len(turn["responses"]) == len(turn["texts"])]
        time.sleep(0.1)
    assert len(ended) == 1
    assert len(ended[0]["texts"]) == 4
    assert "stopped" in [response["finish"] for response in ended[0]["responses"].values()]


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_an_exported_conversation_is_whole_and_a_deleted_one_gone(open_tab: Open, server: Demo, width: int) -> None:
    page = open_tab(f"{server.address}/?q=What+is+21+%2B+14%3F", width)
    send_linked(page)
    answered(page)
    if width == NARROW:
        page.get_by_test_id("stExpandSidebarButton").click()
    page.get_by_text("Conversations (").click()
    page.locator("[data-testid=stSidebar] [data-testid=stPopover] button").first.click()
    with page.expect_download(timeout=SLOW) as started:
        page.get_by_role("button", name="JSON").click(timeout=SLOW)
    shape = json.loads(Path(started.value.path()).read_text())
    assert shape["turns"][0]["query"] == "What is 21 + 14?"
    assert shape["turns"][0]["text"]
    with page.expect_download(timeout=SLOW) as started:
        page.get_by_role("button", name="Markdown").click(timeout=SLOW)
    assert "> What is 21 + 14?" in Path(started.value.path()).read_text()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("A small router reads your query")).to_be_visible(timeout=SLOW)
    assert all(turn["query"] != "What is 21 + 14?" for turn in records(server.history))


def test_after_a_crash_the_answer_can_be_continued(browser: Any, tmp_path: Path) -> None:
    own = Demo(tmp_path / "history.db")
    try:
        page = browser.new_page()  # its connection breaks, which the console may tell
        page.goto(own.address)
        ask(page, STORY)
        writing(page)
        time.sleep(1.5)  # what has come is noted every second
        own.crash()
        own.start()
        page.reload()
        expect(page.get_by_text("incomplete")).to_be_visible(timeout=SLOW)
        came = records(own.history)[0]["text"]
        assert len(came) > 10
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_text("incomplete")).to_have_count(0, timeout=SLOW)
        answered(page)
        assert records(own.history)[0]["text"].startswith(came.strip())
        page.close()
    finally:
        own.stop()


def test_two_sessions_at_once_keep_to_themselves(open_tab: Open, demo: str) -> None:
    queries = ("What is 12 + 30?", "How do I boil an egg?")
    pages = [open_tab(demo) for _ in queries]
    for page, query in zip(pages, queries, strict=True):
        ask(page, query)
    answers = []
    for page, query in zip(pages, queries, strict=True):
        answered(page)
        messages = page.get_by_test_id("stChatMessage")
        expect(messages).to_have_count(2)
        expect(messages.first).to_contain_text(query)
        answers.append(messages.nth(1).inner_text())
    assert answers[0] != answers[1]


def tab_to(page: Page, words: str) -> None:
    """Press Tab until what has the focus is called so."""
    for _ in range(80):
        page.keyboard.press("Tab")
        focused = page.evaluate("(document.activeElement.ariaLabel || document.activeElement.innerText || '').trim()")
        if focused.split("\n")[-1] == words:  # an icon comes before its button's word
            return
    raise AssertionError(f"Tab never came to {words}")


def test_the_keyboard_alone_is_enough(open_tab: Open, demo: str) -> None:
    page = open_tab(demo)
    expect(page.get_by_text("Who answers")).to_be_visible(timeout=SLOW)
    tab_to(page, "Ask anything")
    page.keyboard.type("What is 30 + 12?")
    page.keyboard.press("Enter")
    answered(page)
    tab_to(page, "Why?")
    page.keyboard.press("Space")
    expect(page.get_by_text("What each part of the query adds to")).to_be_visible(timeout=SLOW)
    tab_to(page, "Edit")
    page.keyboard.press("Enter")
    expect(page.get_by_role("textbox", name="Your query")).to_have_value("What is 30 + 12?", timeout=SLOW)
    tab_to(page, "Cancel")
    page.keyboard.press("Enter")
    answered(page)


def test_a_hundred_thousand_characters_do_not_freeze_the_page(open_tab: Open, server: Demo) -> None:
    long = "**bold** and [a link](http://host.example/x) ![i](http://host.example/i.png) $5 `code`\n" * 1200
    page = open_tab(f"{server.address}/?q=What+is+2+%2B+2%3F")
    send_linked(page)
    answered(page)
    with sqlite3.connect(server.history) as database:
        id = page.url.split("chat=")[1]
        record = json.loads(database.execute("SELECT record FROM turns WHERE conversation = ?", [id]).fetchone()[0])
        name = record["candidate"]
        record |= {"text": long, "texts": {name: long}, "query": "A long one"}
        record["responses"][name]["text"] = long
        columns = "INSERT INTO conversations VALUES ('long', 'A long one', 'models/embedded', 1)"
        database.execute(columns)
        database.execute("INSERT INTO turns VALUES ('long', 0, ?)", [json.dumps(record)])
    begun = time.monotonic()
    page.goto(f"{server.address}/?chat=long")
    expect(page.get_by_text("characters more, which an export has")).to_be_visible(timeout=SLOW)
    page.get_by_role("button", name="Edit").click()
    expect(page.get_by_role("textbox", name="Your query")).to_be_in_viewport(timeout=SLOW)
    assert time.monotonic() - begun < 60  # seconds; it takes two or three, a page that froze would never come
    assert no_sideways_scrolling(page)
