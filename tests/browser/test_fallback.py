"""What visitors see when models fail: scripted endpoints behind the demo, wide and narrow, light and dark."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from support import endpoint_fleet
from support.demo_browser import NARROW, SLOW, WIDE, Demo, assert_fits, barriers, send_linked
from support.patience import wait_until
from support.scripted_answers import TEXT
from support.scripted_server import Scripted, serving

QUERY = "What is the sea?"
COMPLETE = "".join(TEXT)
Open = Callable[..., Page]


def answer(page: Page, text: str) -> Locator:
    """The answer with that text; its copy button holds the text once more, hidden."""
    return page.get_by_text(text).filter(visible=True)


@pytest.fixture(scope="module")
def server() -> Iterator[Scripted]:
    with serving() as endpoints:
        yield endpoints


@pytest.fixture(scope="module")
def far(
    tiny_fleet: Path, tmp_path_factory: pytest.TempPathFactory, server: Scripted
) -> Iterator[tuple[Demo, tuple[str, ...]]]:
    """A demo whose first choice is down and whose second breaks off at first; the names in the router's order."""
    folder = Path(shutil.copytree(tiny_fleet, tmp_path_factory.mktemp("far") / "far"))
    order = endpoint_fleet.save_by_order(folder, server.url, QUERY, ("http-500", "recovers", "good"), rest_after=99)
    demo = Demo(folder.parent / "history.db", folder)
    yield demo, order
    demo.stop()


def test_a_failed_model_is_replaced_and_a_broken_answer_tried_again(
    open_tab: Open, far: tuple[Demo, tuple[str, ...]]
) -> None:
    demo, (first, second, _) = far
    page = open_tab(f"{demo.address}/?q={QUERY.replace(' ', '+')}", NARROW, color_scheme="dark")
    send_linked(page)
    box = page.get_by_test_id("stAlert").filter(has_text=f"{second} answers instead.")
    expect(box).to_contain_text(f'{first} could not answer (status 500, "scripted http-500")', timeout=SLOW)
    expect(answer(page, "Half of")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("incomplete", exact=True)).to_be_visible()
    expect(page.get_by_text("the connection broke, after 7 characters")).to_be_visible()
    expect(page.get_by_role("button", name="Continue")).to_be_visible()
    assert barriers(page) == []
    assert_fits(page, WIDE, NARROW)
    page.reload()
    expect(box).to_be_visible(timeout=SLOW)
    page.get_by_role("button", name="Retry").click(timeout=SLOW)
    expect(answer(page, COMPLETE)).to_be_visible(timeout=SLOW)
    expect(page.get_by_role("button", name="Edit")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("incomplete", exact=True)).to_have_count(0)
    expect(page.get_by_role("button", name="Retry")).to_have_count(0)
    expect(box).to_be_visible()
    assert barriers(page) == []
    page.emulate_media(color_scheme="light")
    assert barriers(page) == []
    assert_fits(page, WIDE, NARROW)


def counting(query: str) -> Iterator[str]:
    """Numbers for ten seconds."""
    for number in range(200):
        yield str(number)
        time.sleep(0.05)


STOPPED = "getComputedStyle(document.querySelector('[data-testid=stApp]'), '::after').content"


def test_after_a_crash_the_page_comes_back_and_the_answer_can_be_continued(
    browser: Browser, directed: tuple[Demo, Scripted]
) -> None:
    demo, endpoints = directed
    query = "Count to two hundred."

    def text_of_turn() -> str:
        return next((str(turn["text"]) for turn in demo.records() if turn["query"] == query), "")

    endpoints.replies.update(dict.fromkeys(("base", "one", "two"), counting))
    page = browser.new_page()  # without a look at the console, which reports the lost connection
    page.goto(f"{demo.address}/?q={query.replace(' ', '+')}")
    send_linked(page)
    wait_until(lambda: text_of_turn().startswith("0 1 2"))
    demo.crash()
    try:
        page.wait_for_function(f"{STOPPED}.includes('Zooter has stopped. Start it again: zooter demo')", timeout=SLOW)
        expect(page.get_by_text("streamlit run")).not_to_be_visible(timeout=SLOW)
        text = text_of_turn().strip()
        assert text.startswith("0 1 2")
        endpoints.replies.update(dict.fromkeys(("base", "one", "two"), lambda query: "and the rest."))
    finally:
        demo.start()  # for the tests behind this one, too
    expect(page.get_by_text("incomplete")).to_be_visible(timeout=SLOW)
    page.wait_for_function(f"{STOPPED} === 'none'", timeout=SLOW)
    page.get_by_role("button", name="Continue").click()
    expect(answer(page, "and the rest.")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("incomplete")).to_have_count(0, timeout=SLOW)
    expect(page.get_by_role("button", name="Edit")).to_be_visible(timeout=SLOW)
    assert text_of_turn().startswith(text)
    assert text_of_turn().endswith("and the rest.")
    page.close()
