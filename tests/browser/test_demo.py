"""A visitor's way through the demo, on the embedded fleet's real models."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from support.demo_browser import SLOW, go_to


@pytest.fixture
def page(open_tab: Callable[..., Page], demo: str) -> Page:
    return open_tab(demo)


def test_chat_shows_its_routing_and_answers_then_compare_ranks(page: Page) -> None:
    expect(page.get_by_text("A small router reads your query")).to_be_visible(timeout=SLOW)
    query = page.get_by_test_id("stChatInputTextArea")
    expect(page.get_by_text("Who answers")).to_be_visible(timeout=SLOW)
    query.fill("Write a long story about a shy baker and a dragon who share a kitchen in the mountains.")
    query.press("Enter")

    strip = page.get_by_role("img", name=re.compile("^Routing:"))
    expect(strip).to_be_visible(timeout=SLOW)
    shares = [int(share) for share in re.findall(r"(\d+)%", strip.get_attribute("alt") or "")]
    assert len(shares) == 4
    assert 98 <= sum(shares) <= 102
    best = page.locator("[class*=st-key-strip-] .stMarkdownBadge").first
    expect(best).to_have_text(re.compile(rf"^(chat|math|code|writer) {max(shares)}%$"))
    heights = [box["height"] for box in [page.locator("[class*=st-key-strip-]").bounding_box()] if box]
    assert heights
    assert heights[0] <= 44

    answer = page.get_by_test_id("stChatMessage").nth(1)
    expect(answer).to_contain_text(re.compile(r"(\b[a-z]+\b\W+){8}"), timeout=SLOW)
    expect(page.get_by_text(re.compile(r"tokens in"))).to_be_visible(timeout=SLOW)
    expect(page.get_by_role("button", name="Edit")).to_be_visible()

    go_to(page, "Compare")
    expect(page.get_by_text("Every model answers")).to_be_visible(timeout=SLOW)
    page.get_by_label("Query", exact=True).fill("What is 12 + 30?")
    page.get_by_test_id("stFormSubmitButton").get_by_role("button").click()
    expect(page.get_by_text("Reward of each response")).to_be_visible(timeout=SLOW)
    cards = page.locator("h4")
    expect(cards).to_have_count(4)
    expect(cards).to_have_text([re.compile(rf"^{rank}\.") for rank in range(1, 5)])
    for name in ("chat", "math", "code", "writer"):
        assert sum(name in card.inner_text() for card in cards.all()) >= 1

    go_to(page, "Chat")  # what was said is still there
    expect(page.get_by_role("button", name="Edit")).to_be_visible(timeout=SLOW)


def test_an_empty_query_gets_a_message(page: Page) -> None:
    go_to(page, "Compare")
    page.get_by_test_id("stFormSubmitButton").get_by_role("button").click(timeout=SLOW)
    expect(page.get_by_text("an empty text")).to_be_visible(timeout=SLOW)
