"""What visitors see when models fail: scripted endpoints behind the demo, wide and narrow, light and dark."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import afar
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from scripted import TEXT, Scripted, serving
from visiting import NARROW, SLOW, WIDE, Demo, no_sideways_scrolling, send_linked

pytest.importorskip("openai", reason="the extra zooter[openai] is not installed")

QUERY = "What is the sea?"
WHOLE = "".join(TEXT)
Open = Callable[..., Page]
VIEWS = [(WIDE, "light"), (WIDE, "dark"), (NARROW, "light"), (NARROW, "dark")]


@pytest.fixture(scope="module")
def server() -> Iterator[Scripted]:
    with serving() as made:
        yield made


@pytest.fixture(scope="module")
def far(
    tiny_fleet: Path, tmp_path_factory: pytest.TempPathFactory, server: Scripted
) -> Iterator[tuple[Demo, tuple[str, ...]]]:
    """A demo whose first choice is down and whose second breaks off at first; the names in the router's order."""
    folder = Path(shutil.copytree(tiny_fleet, tmp_path_factory.mktemp("far") / "far"))
    order = afar.save_by_order(folder, server.url, QUERY, ("http-500", "mends", "good"), rest_after=99)
    made = Demo(folder.parent / "history.db", folder)
    yield made, order
    made.stop()


def fits(page: Page) -> bool:
    """Whether nothing sticks out and nobody is shut out."""
    found = Axe().run(page).response["violations"]
    assert [rule["id"] for rule in found if rule["impact"] in ("serious", "critical")] == []
    return no_sideways_scrolling(page)


@pytest.mark.parametrize(("width", "scheme"), VIEWS)
def test_a_failed_model_is_replaced_and_a_broken_answer_tried_again(
    open_tab: Open, far: tuple[Demo, tuple[str, ...]], server: Scripted, width: int, scheme: str
) -> None:
    demo, (first, second, _) = far
    server.bodies.clear()
    page = open_tab(f"{demo.address}/?q={QUERY.replace(' ', '+')}", width, color_scheme=scheme)
    send_linked(page)
    box = page.get_by_test_id("stAlert").filter(has_text=f"{second} answers instead.")
    expect(box).to_contain_text(f'{first} could not answer (status 500, "scripted http-500")', timeout=SLOW)
    expect(page.get_by_text("Half of")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("incomplete", exact=True)).to_be_visible()
    expect(page.get_by_text("the connection broke, after 7 characters")).to_be_visible()
    expect(page.get_by_role("button", name="Continue")).to_be_visible()
    assert fits(page)
    page.reload()
    expect(box).to_be_visible(timeout=SLOW)
    page.get_by_role("button", name="Retry").click(timeout=SLOW)
    expect(page.get_by_text(WHOLE)).to_be_visible(timeout=SLOW)
    expect(page.get_by_role("button", name="Edit")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("incomplete", exact=True)).to_have_count(0)
    expect(page.get_by_role("button", name="Retry")).to_have_count(0)
    expect(box).to_be_visible()
    assert fits(page)


@pytest.mark.parametrize(("width", "scheme"), [(WIDE, "dark"), (NARROW, "light")])
def test_where_nobody_answers_one_error_names_all_reasons(
    open_tab: Open, far: tuple[Demo, tuple[str, ...]], server: Scripted, width: int, scheme: str
) -> None:
    def down(query: str) -> str:
        raise ConnectionResetError

    demo, order = far
    server.replies.update(mends=down, good=down)
    page = open_tab(f"{demo.address}/?q={QUERY.replace(' ', '+')}", width, color_scheme=scheme)
    send_linked(page)
    error = page.get_by_test_id("stAlert")
    expect(error).to_contain_text("but found none:", timeout=SLOW)
    expect(error.get_by_role("listitem")).to_have_count(3)
    for name, item in zip(order, error.get_by_role("listitem").all(), strict=True):
        expect(item).to_contain_text(f"{name}: ")
    assert fits(page)
    server.replies.clear()
    page.get_by_role("button", name="Retry").click()
    expect(page.get_by_text(WHOLE)).to_be_visible(timeout=SLOW)
    expect(error).to_contain_text("answers instead.")
