"""Every page, wide and light, then narrow and dark: it works, fits at 200% too, and axe-core finds no barrier."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from support.demo_browser import NARROW, SLOW, WIDE, ZOOMED, assert_fits, barriers

LAST_TEXT = {
    "": "Who answers",
    "compare": "Votes on this fleet",
    "models": "Kind of query",
    "explorer": "Are the probabilities reliable?",
    "train": "Next: labels",
    "benchmark": "Full report",
    "traffic": "zooter serve --learn",
}
CHARTS = ("explorer", "benchmark")
CUT = """() => [...document.querySelectorAll('[data-testid="stMain"] button [data-testid="stMarkdownContainer"]')]
    .filter(words => words.clientWidth > 1 && words.scrollWidth > words.clientWidth + 1)
    .map(words => words.innerText)"""
FIELDS = '[data-testid="stMain"] :is(textarea, input, [data-testid="stExpander"], [data-testid="stAlert"])'
REACH = 1280  # pixels that a hand can reach and an eye follow
PALE = """() => [...document.querySelectorAll('[data-testid="stCaptionContainer"] code')]
    .filter(code => getComputedStyle(code).color !== getComputedStyle(code.parentElement).color)
    .map(code => code.innerText)"""


@pytest.mark.parametrize("path", LAST_TEXT)
def test_every_page_works_fits_and_has_no_barrier(open_tab: Callable[..., Page], demo: str, path: str) -> None:
    page = open_tab(f"{demo}/{path}", WIDE, color_scheme="light")  # fails on errors in the console, the policy's too
    expect(page.locator("h1")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text(LAST_TEXT[path]).first).to_be_attached(timeout=SLOW)
    if path in CHARTS:
        expect(page.locator("[data-testid=stPlotlyChart]:has(.main-svg)").first).to_be_visible(timeout=SLOW)
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0, timeout=SLOW)
    assert barriers(page) == []
    assert page.evaluate(PALE) == []  # a caption is as pale as it can be
    assert_fits(page, 2560, WIDE, ZOOMED, 360, NARROW)
    for width in (NARROW, WIDE):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate(CUT) == [], width
    page.set_viewport_size({"width": 2560, "height": 900})
    assert page.locator(FIELDS).evaluate_all("fields => Math.max(0, ...fields.map(f => f.offsetWidth))") <= REACH
    page.set_viewport_size({"width": NARROW, "height": 900})
    page.emulate_media(color_scheme="dark")
    expect(page.get_by_test_id("stApp")).to_have_css("background-color", "rgb(19, 16, 25)", timeout=SLOW)
    assert barriers(page) == []
