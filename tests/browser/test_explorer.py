"""Explorer: typing moves the probabilities and the place on the map, on the embedded fleet's real router."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Locator, Page, expect

from support.demo_browser import NARROW, SLOW, WIDE, assert_fits, click_when_drawn, wait_until_idle

IN_WORDS = re.compile(r"(chat|math|code|writer) (\d+)%")
Open = Callable[..., Page]


def box(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Type a query and watch")


def visit(page: Page) -> Page:
    """Go to the page by its name in a phone's navigation; Streamlit's own is there until the style sheet hides it."""
    click_when_drawn(page, page.locator(".st-key-narrow-navigation").get_by_role("link", name="Explorer"))
    return page


def probabilities(page: Page) -> dict[str, int]:
    """The probabilities in words, once two readings agree: the last keys may still be on their way."""
    before, text = "", page.get_by_text("In words:").inner_text()
    while text != before:
        page.wait_for_timeout(1000)
        before, text = text, page.get_by_text("In words:").inner_text()
    return {name: int(share) for name, share in IN_WORDS.findall(text)}


def test_on_a_phone_typing_moves_the_probabilities_without_enter(open_tab: Open, demo: str) -> None:
    page = open_tab(demo, NARROW)
    menu = page.get_by_test_id("stMainBlockContainer")
    for name in ("Chat", "Compare", "Models", "Explorer", "Train", "Benchmark"):
        expect(menu.get_by_role("link", name=name, exact=True)).to_be_in_viewport(ratio=0.99, timeout=SLOW)
    expect(page.get_by_test_id("stSidebarNavItems")).to_be_hidden(timeout=SLOW)  # there while the page is loading
    visit(page)
    expect(page.get_by_test_id("stExpandSidebarButton")).to_be_hidden()  # the conversations are on Chat alone
    expect(page.locator("h1")).to_be_in_viewport(timeout=SLOW)
    expect(box(page)).to_be_visible(timeout=SLOW)
    expect(page.get_by_test_id("stPlotlyChart")).to_have_count(6, timeout=SLOW)  # the query is a chart over the map
    expect(page.get_by_text("Nothing typed yet")).to_be_visible(timeout=SLOW)
    box(page).click()
    box(page).press_sequentially("What is 15% of 240?", delay=80)
    expect(page.get_by_text("Nothing typed yet")).to_have_count(0, timeout=SLOW)
    expect(page.get_by_text("math would answer")).to_be_visible(timeout=SLOW)
    first = probabilities(page)
    assert 98 <= sum(first.values()) <= 102
    bars = page.locator("[data-testid=stPlotlyChart][aria-label^=How]").filter(visible=True)
    expect(bars).to_contain_text(f"{first['math']}%")

    dots = page.locator(".st-key-explorer-map .js-plotly-plot")
    dots.evaluate("map => { map.dataset.stays = 'yes' }")
    box(page).fill("")
    box(page).press_sequentially("Write a Python function that counts vowels", delay=40)
    expect(page.get_by_text("code would answer")).to_be_visible(timeout=SLOW)
    second = probabilities(page)
    assert second["code"] > first["code"]
    assert second["math"] < first["math"]
    expect(dots).to_have_attribute("data-stays", "yes")  # the map too: its dots do not flash
    expect(page.get_by_role("figure", name="On the map: your query")).to_have_count(1)  # of two that take turns
    expect(box(page)).to_be_focused()  # the box is left alone while one types
    expect(box(page)).to_have_value("Write a Python function that counts vowels")
    expect(page.get_by_role("figure", name="Heat map of 12 tags").first).to_be_visible(timeout=SLOW)
    page.get_by_role("tab", name="Difference").click()
    expect(page.get_by_text("overrates a model")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("expected calibration error")).to_be_visible(timeout=SLOW)
    page.locator(".st-key-narrow-navigation").get_by_role("link", name="Chat").click(timeout=SLOW)
    expect(box(page)).to_have_count(0, timeout=SLOW)
    expect(box(visit(page))).to_have_value("Write a Python function that counts vowels", timeout=SLOW)
    expect(page.get_by_text("expected calibration error")).to_be_visible(timeout=SLOW)
    assert_fits(page, NARROW, WIDE)


SCROLLED = "document.querySelector('[data-testid=stMain]').scrollTop"


def test_a_finger_on_the_map_scrolls_the_page(open_tab: Open, demo: str) -> None:
    page = open_tab(f"{demo}/explorer", NARROW, has_touch=True, is_mobile=True)
    chart = page.get_by_test_id("stPlotlyChart").first
    expect(chart.locator(".main-svg").first).to_be_visible(timeout=SLOW)
    wait_until_idle(page)
    chart.evaluate("chart => chart.scrollIntoView({ block: 'center' })")
    page.wait_for_timeout(500)
    before = page.evaluate(SCROLLED)
    finger = page.context.new_cdp_session(page)
    for step in range(12):
        kind = "touchMove" if step else "touchStart"
        points = [{"x": NARROW / 2, "y": 450 - 12 * step}]
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        page.wait_for_timeout(16)
    finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.wait_for_function(f"before => {SCROLLED} > before + 40", arg=before, timeout=SLOW)
