"""A round of the arena on the Compare page, by keys alone: hidden names, a vote, the rewards, and the next round."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable

from playwright.sync_api import Page, expect

from support.demo_browser import NARROW, SLOW, WIDE, Demo, assert_fits, barriers, click_when_drawn, downloaded
from support.scripted_server import Scripted

OVERLAPS = """chart => {
    const texts = [...chart.querySelectorAll('text')].map(text => [text.textContent, text.getBoundingClientRect()])
    const over = (a, b) => a.left < b.right && b.left < a.right && Math.abs(a.top - b.top) < 11
    return texts.filter(([, box], n) => texts.slice(n + 1).some(([, other]) => over(box, other))).map(([text]) => text)
}"""


def test_the_arena_is_played_by_keys_alone(open_tab: Callable[..., Page], directed: tuple[Demo, Scripted]) -> None:
    demo, endpoints = directed
    go_on = threading.Event()
    endpoints.replies.update(
        base=lambda query: f"{query} Well.", two=lambda query: f"{query} Well." if go_on.wait(SLOW / 1000) else ""
    )
    query = "What is 40 + 30?"
    page = open_tab(f"{demo.address}/compare?view=Arena&models=base&models=two")
    page.get_by_label("Query", exact=True).fill(query, timeout=SLOW)
    page.keyboard.press("Enter")
    expect(page.get_by_text("models are answering")).to_be_visible(timeout=SLOW)
    assert "compare=" in page.url
    page.reload()  # in the middle, which loses nothing
    expect(page.get_by_text("models are answering")).to_be_visible(timeout=SLOW)
    go_on.set()
    expect(page.get_by_text("Which response is best?")).to_be_visible(timeout=SLOW)
    expect(page.locator("h2")).to_have_text(["Response A", "Response B"])
    expect(page.get_by_role("status")).to_have_text("Response A, Response B")  # which a screen reader says
    heads, texts = page.locator("h2"), page.locator("[class*=st-key-card-]").get_by_text("Well.")
    assert heads.first.bounding_box()["y"] + 25 < texts.first.bounding_box()["y"]  # a line does not touch its head
    expect(page.get_by_text("stopped", exact=True)).to_have_count(0)
    assert not re.search(r"\b(base|two)\b", page.get_by_role("tabpanel").inner_html())
    assert page.locator("[data-testid=stPlotlyChart]:has(.main-svg)").count() == 0

    page.keyboard.press("2")
    expect(page.get_by_text("your choice")).to_be_in_viewport(timeout=SLOW)  # the card stays where it was
    expect(page.get_by_text("Reward of each response")).to_be_visible(timeout=SLOW)
    vote = next(vote for vote in demo.records("votes") if vote["query"] == query)
    assert vote["blind"]
    expect(page.get_by_text(f"You voted without seeing the names: {vote['best']}, Response B.")).to_be_visible()
    charts = page.locator("[data-testid=stPlotlyChart]:has(.main-svg)").filter(visible=True)
    expect(charts).to_have_count(1, timeout=SLOW)
    expect(charts.locator(".textpoint text")).to_have_count(2)  # a name and a reward each
    assert charts.evaluate(OVERLAPS) == []
    page.get_by_text("Seconds, tokens and cost").click()
    click_when_drawn(page, page.get_by_text("Votes on this fleet"))  # the figures above it push it down
    expect(page.get_by_text("Voters chose the").first).to_be_visible(timeout=SLOW)
    name = page.locator(".st-key-table-leaderboard .stMarkdownBadge").first
    name.evaluate("name => { name.textContent = 'a-long-name-'.repeat(9) }")
    assert_fits(page, NARROW, WIDE)
    assert barriers(page) == []
    shape = json.loads(downloaded(page, "Download as JSON"))
    assert {item["candidate"] for item in shape["responses"]} == {"base", "two"}
    assert shape["vote"]["best"] == vote["best"]

    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_text("Names, routing and rewards appear after your vote.")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text(query)).to_have_count(0, timeout=SLOW)
    field = page.get_by_label("Query", exact=True)
    expect(field).to_have_count(1, timeout=SLOW)  # that of the round before is still there while the page is drawn
    field.fill("What is 9 - 2?")
    page.keyboard.press("Enter")
    expect(page.get_by_text("What is 9 - 2? Well.")).to_have_count(2, timeout=SLOW)
    expect(page.get_by_text("Which response is best?")).to_be_visible(timeout=SLOW)
    page.keyboard.press("1")  # a vote, although the field had the focus
    expect(page.get_by_text("your choice")).to_be_visible(timeout=SLOW)
    page.get_by_role("button", name="All models on this query").click()
    expect(page.get_by_role("tab", name="One query")).to_have_attribute("aria-selected", "true", timeout=SLOW)
    expect(page.get_by_text("Which response is best?")).to_be_visible(timeout=SLOW)
    page.go_back()
    expect(page.get_by_role("tab", name="Arena")).to_have_attribute("aria-selected", "true", timeout=SLOW)
    expect(page.get_by_text("You voted without seeing the names")).to_be_visible(timeout=SLOW)
