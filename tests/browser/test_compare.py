"""What visitors do on the Compare page: one query, blind and by a link, and rounds of the arena."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable

from playwright.sync_api import Page, expect

from support.demo_browser import (
    NARROW,
    SLOW,
    WIDE,
    Demo,
    ask,
    assert_fits,
    barriers,
    click_when_drawn,
    downloaded,
    send_linked,
)
from support.scripted_server import Scripted

OVERLAPS = """chart => {
    const texts = [...chart.querySelectorAll('text')].map(text => [text.textContent, text.getBoundingClientRect()])
    const over = (a, b) => a.left < b.right && b.left < a.right && Math.abs(a.top - b.top) < 11
    return texts.filter(([, box], n) => texts.slice(n + 1).some(([, other]) => over(box, other))).map(([text]) => text)
}"""
Open = Callable[..., Page]


def at_once(query: str) -> str:
    return f"{query} Well."


class Permits:
    """A reply that waits for a permit, one for each query."""

    def __init__(self) -> None:
        self.free = threading.Semaphore(0)

    def __call__(self, query: str) -> str:
        self.free.acquire(timeout=SLOW / 1000)
        return at_once(query)


def test_a_blind_vote_reveals_the_names(open_tab: Open, server: Demo) -> None:
    query = "What is 1440 + 30?"
    page = open_tab(f"{server.address}/compare?models=chat&models=math&blind=true")
    expect(page.get_by_text("Votes on this fleet")).to_be_visible(timeout=3 * SLOW)  # weights are converted once
    ask(page, query)
    expect(page.get_by_text("Which response is best?")).to_be_visible(timeout=SLOW)
    expect(page.locator("h4")).to_have_text(["Response A", "Response B"])
    panel = page.get_by_role("tabpanel").inner_html()
    assert not re.search(r"\b(chat|math)\b", panel.replace("Chat message from user", ""))
    assert page.locator("[data-testid=stPlotlyChart]:has(.main-svg)").count() == 0
    assert_fits(page, NARROW, WIDE)

    page.get_by_role("button", name="Response B is best").click()
    expect(page.get_by_text("your choice")).to_be_in_viewport(timeout=SLOW)  # the card stays where it was
    expect(page.get_by_text("Reward of each response")).to_be_visible(timeout=SLOW)
    vote = next(vote for vote in server.records("votes") if vote["query"] == query)
    assert vote["blind"]
    expect(page.get_by_text(f"You voted without seeing the names: {vote['best']}, Response B.")).to_be_visible()
    cards = page.locator("h4")
    assert sorted(card.inner_text()[:2] for card in cards.all()) == ["1.", "2."]
    assert cards.nth(1).inner_text().endswith(str(vote["best"]))
    card = page.get_by_test_id("stMarkdownContainer").filter(has=cards.filter(has_text=str(vote["best"])))
    expect(card).to_contain_text("your choice")
    expect(page.get_by_text("your choice")).to_have_count(1)
    charts = page.locator("[data-testid=stPlotlyChart]:has(.main-svg)").filter(visible=True)
    expect(charts).to_have_count(1, timeout=SLOW)
    expect(charts.locator(".textpoint text")).to_have_count(2)  # a name and a reward each
    expect(charts.locator(".textpoint tspan")).to_have_count(4)
    assert charts.evaluate(OVERLAPS) == []
    page.get_by_text("Seconds, tokens and cost").click()
    click_when_drawn(page, page.get_by_text("Votes on this fleet"))  # the figures above it push it down
    expect(page.get_by_text("Voters chose the")).to_be_visible(timeout=SLOW)
    assert_fits(page, NARROW, WIDE)
    assert barriers(page) == []

    shape = json.loads(downloaded(page, "Download as JSON"))
    assert {item["candidate"] for item in shape["responses"]} == {"chat", "math"}
    assert shape["vote"]["best"] == vote["best"]
    assert "compare=" in page.url
    page.reload()  # a new session finds it by its address
    expect(page.get_by_text(f"You voted without seeing the names: {vote['best']}")).to_be_visible(timeout=SLOW)


def test_the_arena_is_played_by_keys_alone(open_tab: Open, server: Demo) -> None:
    page = open_tab(f"{server.address}/compare?view=Arena&models=chat&models=math")
    page.get_by_label("Query", exact=True).fill("What is 40 + 30?", timeout=SLOW)
    page.keyboard.press("Enter")
    expect(page.get_by_text("Which response is best?")).to_be_visible(timeout=SLOW)
    expect(page.locator("h4")).to_have_text(["Response A", "Response B"])
    assert barriers(page) == []
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("2")
    expect(page.get_by_text("your choice")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("was Response A")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_text("Names, routing and rewards appear after your vote.")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("What is 40 + 30?")).to_have_count(0, timeout=SLOW)
    assert_fits(page, NARROW, WIDE)


def test_a_link_is_sent_and_a_reload_in_the_middle_loses_nothing(
    open_tab: Open, directed: tuple[Demo, Scripted]
) -> None:
    demo, endpoints = directed
    permits = Permits()
    endpoints.replies.update(base=at_once, two=permits)
    page = open_tab(f"{demo.address}/compare?q=Write+about+the+sea&models=base&models=two")
    send_linked(page)
    expect(page.get_by_text("models are answering")).to_be_visible(timeout=SLOW)
    page.reload()
    expect(page.get_by_text("models are answering")).to_be_visible(timeout=SLOW)
    permits.free.release(2)  # for the link below as well
    expect(page.get_by_text("Reward of each response")).to_be_visible(timeout=SLOW)
    expect(page.locator("h4")).to_have_count(2)
    expect(page.get_by_text("stopped", exact=True)).to_have_count(0)
    page.get_by_role("button", name="Share").click()
    link = page.get_by_test_id("stPopoverBody").locator("code").inner_text()
    other = open_tab(link)
    send_linked(other)
    expect(other.get_by_test_id("stChatMessage")).to_contain_text("Write about the sea", timeout=SLOW)
    expect(other.get_by_text("Reward of each response")).to_be_visible(timeout=SLOW)
    expect(other.locator("h4")).to_have_count(2)
