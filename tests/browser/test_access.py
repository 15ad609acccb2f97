"""Every page on a phone and on a desktop: it works under the security policy, fits, and axe-core finds no barrier."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from support.demo_browser import NARROW, SLOW, WIDE, assert_fits, barriers

LAST_TEXT = {
    "": "Who answers",
    "compare": "Votes on this fleet",
    "explorer": "Are the probabilities reliable?",
    "lab": "reward entropy",
    "benchmark": "Full report",
}
CHARTS = ("explorer", "lab", "benchmark")


@pytest.mark.parametrize("path", LAST_TEXT)
@pytest.mark.parametrize(("width", "scheme"), [(WIDE, "light"), (NARROW, "dark")])
def test_every_page_works_fits_and_has_no_barrier(
    open_tab: Callable[..., Page], demo: str, path: str, width: int, scheme: str
) -> None:
    page = open_tab(f"{demo}/{path}", width, color_scheme=scheme)  # fails on errors in the console, the policy's too
    expect(page.locator("h1")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text(LAST_TEXT[path]).first).to_be_attached(timeout=SLOW)
    if path in CHARTS:
        expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible(timeout=SLOW)
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0, timeout=SLOW)
    assert barriers(page) == []
    assert_fits(page, 360, 768, 2560)
