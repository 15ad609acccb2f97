"""What visitors do on the Chat page, on the embedded fleet's real models."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Callable, Iterator

from playwright.sync_api import Page, expect

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
    go_to,
    no_sideways_scrolling,
    send_linked,
    tab_to,
    wait_until_idle,
)
from support.scripted_server import Scripted

STORY = "Write a long story about a shy baker and a dragon who share a kitchen in the mountains."
Open = Callable[..., Page]


def writing(page: Page) -> None:
    """Wait until some words of the answer have come."""
    answer = page.get_by_test_id("stChatMessage").last
    expect(page.get_by_role("button", name="Stop")).to_be_visible(timeout=SLOW)
    expect(answer).to_contain_text(re.compile(r"(\b[A-Za-z]+\b\W+){14}"), timeout=SLOW)


def test_a_query_is_routed_stopped_answered_by_another_model_and_explained(open_tab: Open, demo: str) -> None:
    page = open_tab(demo)
    ask(page, STORY)
    strip = page.get_by_role("img", name=re.compile("^Routing:"))
    expect(strip).to_be_visible(timeout=SLOW)
    shares = [int(share) for share in re.findall(r"(\d+)%", strip.get_attribute("alt") or "")]
    assert len(shares) == 4
    assert 98 <= sum(shares) <= 102
    line = page.locator("[class*=st-key-strip-]")
    best = re.compile(rf"^(chat|math|code|writer) {max(shares)}%$")
    expect(line.locator(".stMarkdownBadge").first).to_have_text(best)
    assert line.bounding_box()["height"] <= 44
    writing(page)
    page.get_by_role("button", name="Stop").click()
    answered(page)
    expect(page.get_by_text("stopped", exact=True)).to_be_visible()
    expect(page.get_by_text(re.compile("tokens in"))).to_be_visible()
    page.get_by_role("button", name="Answer again with").click()
    page.get_by_role("option", name="chat").or_(page.get_by_role("menuitem", name="chat")).click()
    expect(page.get_by_text("because you chose it")).to_be_visible(timeout=SLOW)
    page.get_by_role("button", name="Stop").click(timeout=SLOW)
    answered(page)
    expect(page.get_by_text("2/2")).to_be_visible()
    page.get_by_role("button", name="Previous version").click()
    expect(page.get_by_text("1/2")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("because you chose it")).to_have_count(0)
    page.get_by_role("button", name="Why").click()
    expect(page.get_by_text("What points to")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("The most similar training queries")).to_be_visible(timeout=SLOW)
    assert_fits(page, NARROW, WIDE, 2560)
    page.wait_for_timeout(500)
    answer = page.get_by_test_id("stChatMessage").last.bounding_box()
    assert answer["width"] < 1000  # lines stay readable on a wide screen


def test_a_reload_in_the_middle_loses_nothing(open_tab: Open, demo: str) -> None:
    page = open_tab(demo)
    ask(page, STORY)
    writing(page)
    page.get_by_role("button", name="Why").click()  # a rerun of the page leaves it alone as well
    page.reload()
    expect(page.get_by_text(STORY)).to_be_visible(timeout=SLOW)
    assert "chat=" in page.url
    go_to(page, "Compare")
    expect(page.get_by_text("Every model answers")).to_be_visible(timeout=SLOW)
    go_to(page, "Chat")
    expect(page.get_by_text(STORY)).to_be_visible(timeout=SLOW)
    answered(page)
    expect(page.get_by_text("incomplete")).to_have_count(0)
    expect(page.get_by_text("stopped", exact=True)).to_have_count(0)


def test_back_and_forward_show_the_conversations_of_before(open_tab: Open, demo: str) -> None:
    page, queries = open_tab(demo), ("What is 61 + 12?", "What is 62 + 12?")
    for query in queries:
        ask(page, query)
        answered(page)
        page.locator(".st-key-new button").click()
        expect(page.get_by_text("A small router reads your query")).to_be_visible(timeout=SLOW)
    messages = page.get_by_test_id("stChatMessage")
    for query in queries:
        page.get_by_test_id("stSidebar").get_by_role("button", name=query).click()
        expect(messages.first).to_contain_text(query, timeout=SLOW)
        page.wait_for_timeout(1500)  # later than what still comes from the address before
    page.go_back()
    expect(messages.first).to_contain_text(queries[0], timeout=SLOW)
    page.go_forward()
    expect(messages.first).to_contain_text(queries[1], timeout=SLOW)
    wait_until_idle(page)
    expect(messages.first).to_contain_text(queries[1])


def endless(query: str) -> Iterator[str]:
    """Words until the reader goes away."""
    while True:
        yield "tide"
        time.sleep(0.05)


def test_closing_the_tab_stops_its_answer(open_tab: Open, directed: tuple[Demo, Scripted]) -> None:
    demo, endpoints = directed
    endpoints.replies.update(base=endless, one=endless, two=endless)
    page = open_tab(f"{demo.address}/?mode=All+of+them")
    query = "Write a very long poem about the tides, in forty stanzas."
    ask(page, query)
    writing(page)
    page.close()
    end, ended = time.monotonic() + SLOW / 1000, None
    while ended is None and time.monotonic() < end:
        turns = [turn for turn in demo.records() if turn["query"] == query]
        ended = next((turn for turn in turns if len(turn["responses"]) == len(turn["texts"])), None)
        time.sleep(0.1)
    assert ended is not None
    assert [response["finish"] for response in ended["responses"].values()] == ["stopped"] * 3


def test_an_answer_is_copied_and_its_query_shared_in_a_link_that_runs_nothing(open_tab: Open, server: Demo) -> None:
    page = open_tab(f"{server.address}/?q=What+is+33+%2B+14%3F", NARROW)
    send_linked(page)
    answered(page)
    turn = next(turn for turn in server.records() if turn["query"] == "What is 33 + 14?")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("[class*=st-key-copy-] button").click()
    assert page.evaluate("navigator.clipboard.readText()") == turn["text"]
    page.get_by_role("button", name="Share").click()
    link = page.get_by_test_id("stPopoverBody").locator("code").inner_text()
    assert barriers(page) == []
    before = len(server.records())
    other = open_tab(link)
    expect(other.get_by_text("Nothing has run yet")).to_be_visible(timeout=SLOW)
    expect(composer(other)).to_have_value("What is 33 + 14?", timeout=SLOW)
    assert len(server.records()) == before


def test_the_keyboard_alone_is_enough(open_tab: Open, demo: str) -> None:
    page = open_tab(demo)
    expect(page.get_by_text("Who answers")).to_be_visible(timeout=SLOW)
    box = composer(page)
    expect(box).to_be_focused(timeout=SLOW)
    tab_to(page, "Explorer")
    page.keyboard.press("/")
    expect(box).to_be_focused()
    expect(box).to_have_value("")
    page.keyboard.type("What is 30 + 12?")
    page.keyboard.press("Enter")
    answered(page)
    wait_until_idle(page)
    expect(box).to_be_focused()  # for the next query
    tab_to(page, "Why")
    page.keyboard.press("Space")
    expect(page.get_by_text("What points to")).to_be_visible(timeout=SLOW)
    tab_to(page, "Edit")
    page.keyboard.press("Enter")
    expect(page.get_by_role("textbox", name="Your query")).to_have_value("What is 30 + 12?", timeout=SLOW)
    tab_to(page, "Cancel")
    page.keyboard.press("Enter")
    answered(page)


def test_conversations_are_beside_the_page_and_behind_a_button_on_a_phone(open_tab: Open, demo: str) -> None:
    page = open_tab(demo)
    ask(page, "What is 7 + 8?")
    answered(page)
    side = page.get_by_test_id("stSidebar")
    expect(side.get_by_role("button", name="What is 7 + 8?").first).to_be_visible(timeout=SLOW)
    page.get_by_placeholder("Search").focus()
    for _ in range(2):
        page.keyboard.press("Tab")
        focused = page.evaluate("document.activeElement.closest('[class*=st-key-]')?.className ?? ''")
        assert not re.search("st-key-(pin|delete)-", focused)  # one stop a conversation
    side.get_by_role("button", name="What is 7 + 8?").first.focus()
    page.keyboard.press("ArrowRight")
    expect(side.get_by_role("button", name="Pin").and_(page.locator(":focus"))).to_have_count(1, timeout=SLOW)
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Alt+n")
    expect(page.get_by_role("heading", name="Ask once")).to_be_visible(timeout=SLOW)
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Begin a new conversation", timeout=SLOW)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert barriers(page) == []
    page.set_viewport_size({"width": NARROW, "height": 844})
    page.reload()
    expect(page.get_by_test_id("stExpandSidebarButton")).to_be_visible(timeout=SLOW)
    expect(side).to_be_hidden()
    page.get_by_test_id("stExpandSidebarButton").click()
    side.get_by_role("button", name="What is 7 + 8?").first.click()
    expect(side).to_be_hidden()  # it would cover the conversation
    expect(page.get_by_role("button", name="Edit")).to_be_visible(timeout=SLOW)
    assert no_sideways_scrolling(page)


LEFT_EDGES = """(paragraph, words) => words.map(word => {
    const range = new Range(), text = paragraph.firstChild, start = text.data.indexOf(word)
    range.setStart(text, start)
    range.setEnd(text, start + word.length)
    return range.getBoundingClientRect().left
})"""


def test_a_query_from_right_to_left_runs_that_way(open_tab: Open, directed: tuple[Demo, Scripted]) -> None:
    page = open_tab(directed[0].address, NARROW)
    ask(page, "ما هو Python؟ اشرح لي الفكرة باختصار مع مثال")
    answered(page)
    query = page.get_by_test_id("stChatMessage").first.get_by_text("Python")  # the innermost element
    first, foreign, later = query.evaluate(LEFT_EDGES, ["ما", "Python", "اشرح"])
    assert first > foreign > later
    assert query.evaluate("text => getComputedStyle(text).textAlign") == "start"  # also where a line is short


def test_the_first_minute_begins_at_its_heading_on_a_phone(open_tab: Open, demo: str) -> None:
    page = open_tab(demo)
    page.set_viewport_size({"width": NARROW, "height": 650})
    page.reload()
    expect(page.get_by_role("button", name="Show me how it works")).to_be_visible(timeout=SLOW)
    for title in ("Ask once", "A router reads", "The winner answers", "What the others"):
        expect(page.get_by_role("heading", name=title)).to_be_in_viewport(timeout=SLOW)
        wait_until_idle(page)
        page.wait_for_timeout(500)  # nothing scrolls by itself
        assert page.locator(".stMain").evaluate("main => main.scrollTop") == 0
        if title == "Ask once":
            composer(page).fill("Not sent yet")
        page.locator(".stMain").evaluate("main => main.scrollTo(0, main.scrollHeight)")
        page.get_by_role("button", name=re.compile("Show me how|Next")).click()
    page.get_by_role("button", name="Skip").click()
    expect(composer(page)).to_be_in_viewport(timeout=SLOW)
    expect(composer(page)).to_have_value("Not sent yet")


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
        database.execute("INSERT INTO conversations VALUES ('long', 'A long one', 'models/embedded', 1)")
        database.execute("INSERT INTO turns VALUES ('long', 0, ?)", [json.dumps(record)])
    page.goto(f"{server.address}/?chat=long")  # a page that froze would never come
    expect(page.get_by_text("characters more, which an export has")).to_be_visible(timeout=SLOW)
    page.get_by_role("button", name="Edit").click()
    field = page.get_by_test_id("stChatMessage").get_by_role("textbox", name="Your query")
    expect(field).to_be_focused(timeout=SLOW)
    expect(field).to_be_in_viewport(timeout=SLOW)
    assert no_sideways_scrolling(page)
