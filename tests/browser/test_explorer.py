"""Explorer on a phone: typing moves the probabilities and the place on the map, by the embedded fleet's router."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Locator, Page, expect

from support.demo_browser import NARROW, SLOW, WIDE, barriers, click_when_drawn, wait_until_idle

AGREE = """winner => {  // of two figures while the older one gives way; both change with every letter
    const share = document.body.innerText.match(new RegExp(`Probabilities:\\\\s${winner}\\\\s(\\\\d+%)`))?.[1]
    const bars = [...document.querySelectorAll('[data-testid=stPlotlyChart][aria-label^=How]')]
    const shown = bars.find(figure => figure.checkVisibility({ visibilityProperty: true }))
    return share && shown?.textContent.includes(share)
}"""
SCROLLED = "document.querySelector('[data-testid=stMain]').scrollTop"


def box(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Type a query and watch")


def visit(page: Page) -> Page:
    """Go to the page by its name in a phone's navigation; Streamlit's own is there until the style sheet hides it."""
    click_when_drawn(page, page.locator(".st-key-narrow-navigation").get_by_role("link", name="Explorer"))
    return page


def type_query(page: Page, query: str, winner: str) -> None:
    """Type a query, and see that the bars and the sentence come to say who would answer it, without Enter."""
    box(page).fill("")
    box(page).press_sequentially(query, delay=40)
    expect(page.get_by_text(f"{winner} would answer")).to_be_visible(timeout=SLOW)
    page.wait_for_function(AGREE, arg=winner, timeout=SLOW)


def test_typing_moves_the_probabilities_without_enter(open_tab: Callable[..., Page], demo: str) -> None:
    page = open_tab(demo, has_touch=True, is_mobile=True, viewport={"width": NARROW, "height": 900})
    page.set_viewport_size({"width": NARROW, "height": 900})
    menu = page.get_by_test_id("stMainBlockContainer")
    for name in ("Chat", "Compare", "Models", "Explorer", "Train", "Benchmark"):
        expect(menu.get_by_role("link", name=name, exact=True)).to_be_in_viewport(ratio=0.99, timeout=SLOW)
    expect(page.get_by_test_id("stSidebarNavItems")).to_be_hidden(timeout=SLOW)  # there while the page is loading
    visit(page)
    expect(page.get_by_test_id("stExpandSidebarButton")).to_be_hidden()  # the conversations are on Chat alone
    expect(page.get_by_test_id("stPlotlyChart")).to_have_count(5, timeout=SLOW)
    expect(page.get_by_text("Nothing typed yet")).to_be_visible(timeout=SLOW)
    expect(box(page)).to_have_css("font-size", "16px")  # Safari on a phone enlarges the page at a smaller one
    type_query(page, "What is 15% of 240?", "math")
    expect(page.get_by_text("Nothing typed yet")).to_have_count(0, timeout=SLOW)
    dots = page.locator(".st-key-explorer-map .js-plotly-plot")
    dots.evaluate("map => { map.dataset.stays = 'yes' }")
    query = "Write a Python function that counts vowels"
    type_query(page, query, "code")
    expect(dots).to_have_attribute("data-stays", "yes")  # the map too: its dots do not flash
    expect(page.get_by_role("img", name="On the map: your query").locator("b")).to_be_visible(timeout=SLOW)
    bars = page.locator(".st-key-turns-explorer-bars")
    assert bars.bounding_box()["y"] < dots.bounding_box()["y"]  # the map alone fills a phone
    page.set_viewport_size({"width": WIDE, "height": 768})  # a laptop: both are seen while one types
    expect(bars).to_be_in_viewport(ratio=0.99, timeout=SLOW)
    expect(dots).to_be_in_viewport(ratio=0.4)
    page.set_viewport_size({"width": NARROW, "height": 900})
    expect(box(page)).to_be_focused()  # the box is left alone while one types
    expect(box(page)).to_have_value(query)
    page.get_by_role("tab", name="Difference").click()
    expect(page.get_by_text("overrates a model")).to_be_visible(timeout=SLOW)
    assert barriers(page) == []
    page.locator(".st-key-narrow-navigation").get_by_role("link", name="Chat").click(timeout=SLOW)
    expect(box(page)).to_have_count(0, timeout=SLOW)
    expect(box(visit(page))).to_have_value(query, timeout=SLOW)

    wait_until_idle(page)
    expect(dots.locator(".main-svg").first).to_be_visible(timeout=SLOW)
    dots.evaluate("map => map.scrollIntoView({ block: 'center' })")  # a finger on it scrolls the page
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
