"""Every page, wide and light, then narrow and dark: it works, fits at 200% too, and axe-core finds no barrier."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from support.demo_browser import NARROW, SLOW, ZOOMED, Demo, answered, ask, assert_fits, barriers, composer
from support.invented_traffic import add_days
from support.scripted_server import Scripted
from zooter_core.base.paths import EMBEDDED_FLEET
from zooter_core.config.fleet import load_fleet
from zooter_core.learn.traffic import data_folder

LAST_TEXT = {
    "": "Who answers",
    "compare": "Votes on this fleet",
    "models": "Kind of query",
    "explorer": "Are the probabilities reliable?",
    "train": "Advanced",
    "benchmark": "Full report",
    "traffic": "(served): reward",
}
FOLDED = (
    *("More figures", "Points as a table"),
    *("Do the router's probabilities hold?", "All figures as a table"),
)
CHARTS = ("explorer", "benchmark", "traffic")
CUT = """() => [...document.querySelectorAll('[data-testid="stMain"] button [data-testid="stMarkdownContainer"]')]
    .filter(words => words.clientWidth > 1 && words.scrollWidth > words.clientWidth + 1)
    .map(words => words.innerText)"""
FIELDS = '[data-testid="stMain"] :is(textarea, input, [data-testid="stExpander"], [data-testid="stAlert"])'
REACH = 1280  # pixels that a hand can reach and an eye follow
PALE = """() => [...document.querySelectorAll('[data-testid="stCaptionContainer"] code')]
    .filter(code => getComputedStyle(code).color !== getComputedStyle(code.parentElement).color)
    .map(code => code.innerText)"""
# Names of methods, or of data sets, that break within a word; the former made long; where charts of cards begin.
BROKEN = """cells => [...document.querySelectorAll(`.st-key-table-methods ${cells}`)].filter(cell => {
    const range = document.createRange()
    range.selectNodeContents(cell)
    return !cell.textContent.trim().includes(' ') && range.getClientRects().length > 1
}).length"""
LENGTHEN = """() => document.querySelectorAll('.st-key-table-methods th:not(:first-child)')
    .forEach(cell => { cell.textContent = 'Qwen/Qwen2.5-7B-Instruct' })"""
EDGES = """() => [...document.querySelectorAll('[class*="st-key-shares-"] .js-plotly-plot')].map(
    chart => chart.getBoundingClientRect().top)"""


@pytest.fixture
def busy(server: Demo, monkeypatch: pytest.MonkeyPatch) -> Iterator[Demo]:
    """The demo of the embedded fleet, with traffic."""
    monkeypatch.setenv("XDG_DATA_HOME", str(server.history.parent / "data"))
    folder = data_folder(load_fleet(EMBEDDED_FLEET))
    add_days(folder, ("chat", "math", "code", "writer"))
    yield server
    shutil.rmtree(folder)


@pytest.mark.parametrize("path", LAST_TEXT)
def test_every_page_works_fits_and_has_no_barrier(
    request: pytest.FixtureRequest, open_tab: Callable[..., Page], server: Demo, path: str
) -> None:
    if path == "traffic":
        request.getfixturevalue("busy")
    page = open_tab(f"{server.address}/{path}")  # fails on errors in the console, the policy's too
    expect(page.locator("h1")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text(LAST_TEXT[path]).first).to_be_attached(timeout=SLOW)
    assert page.title().lower().startswith(path or "chat")
    if path in CHARTS:
        expect(page.locator("[data-testid=stPlotlyChart]:has(.main-svg)").first).to_be_visible(timeout=SLOW)
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0, timeout=SLOW)
    for title in FOLDED:
        if (fold := page.get_by_text(title)).is_visible():
            fold.click()
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning", timeout=SLOW)
    assert barriers(page) == []
    assert page.evaluate(PALE) == []  # a caption is as pale as it can be
    assert page.evaluate(BROKEN, "th") == 0
    assert len(set(page.evaluate(EDGES))) <= 1
    if path == "models":
        card = page.locator('[class*="st-key-model-"]').first
        card.get_by_role("button", name="Try").click()
        expect(card.get_by_text("“")).to_be_visible(timeout=SLOW)
        expect(card).to_be_in_viewport(ratio=0.99)  # the answer, too
    assert_fits(page, 2560)
    assert page.locator("h1").bounding_box()["x"] > 300  # in the middle
    assert page.locator(FIELDS).evaluate_all("fields => Math.max(0, ...fields.map(f => f.offsetWidth))") <= REACH
    page.set_viewport_size({"width": 768, "height": 900})  # a tablet: one of the two menus
    expect(page.get_by_role("link", name="Explorer").filter(visible=True)).to_have_count(1)
    assert_fits(page, ZOOMED, 360)
    assert page.evaluate(CUT) == []
    page.emulate_media(color_scheme="dark")
    expect(page.get_by_test_id("stApp")).to_have_css("background-color", "rgb(19, 16, 25)", timeout=SLOW)
    assert barriers(page) == []
    words = page.locator("[data-testid=stPlotlyChart] svg text")  # axe-core does not look at them
    inks = words.evaluate_all("words => words.map(word => getComputedStyle(word).fill)")
    assert {ink for ink in inks if int(re.findall(r"\d+", ink)[0]) < 200} == set()
    page.set_viewport_size({"width": 1440, "height": 900})
    page.evaluate(LENGTHEN)  # last: Streamlit cannot draw what was changed by others
    assert page.evaluate(BROKEN, "td:first-child") == 0


SMALL = """() => [...document.querySelectorAll('button')].filter(button => {
    const { width, height } = button.getBoundingClientRect()
    return width && !/^(Help|Download plot)/.test(button.ariaLabel) && Math.min(width, height) < 24
}).map(button => button.innerText || button.ariaLabel)"""


def test_a_phone_has_targets_for_fingers_and_room_to_read_also_on_its_side(
    open_tab: Callable[..., Page], directed: tuple[Demo, Scripted]
) -> None:
    page = open_tab(directed[0].address, NARROW, has_touch=True, is_mobile=True)
    ask(page, "What is 7 + 8?")
    answered(page)
    fields = page.locator("input, textarea").evaluate_all("all => all.map(field => getComputedStyle(field).fontSize)")
    assert set(fields) == {"16px"}  # Safari zooms into smaller letters
    page.get_by_test_id("stExpandSidebarButton").tap()
    expect(page.get_by_role("button", name="Pin").first).to_be_visible(timeout=SLOW)
    page.wait_for_timeout(1000)  # while it slides in
    assert page.evaluate(SMALL) == []
    page.get_by_test_id("stSidebarCollapseButton").get_by_role("button").tap()
    for width, height in ((844, 390), (NARROW, 390)):
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(500)
        top = page.get_by_test_id("stHeader").bounding_box()["height"]
        assert composer(page).bounding_box()["y"] - top > height / 2
        page.get_by_role("button", name="Edit").scroll_into_view_if_needed()
        page.get_by_role("button", name="Edit").tap(trial=True)
