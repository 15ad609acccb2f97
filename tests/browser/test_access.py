"""Every page for those who see, point or read in other ways: axe-core's rules, light and dark, wide and narrow."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from visiting import NARROW, SLOW, WIDE, no_sideways_scrolling

PAGES = ("", "compare", "explorer", "lab", "benchmark")
# Streamlit's own frame, which no page can change; each rule with the part of the frame that breaks it.
FRAME: dict[str, str] = {}
Open = Callable[..., Page]


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize(("width", "scheme"), [(WIDE, "light"), (NARROW, "dark")])
def test_no_serious_barrier(open_tab: Open, demo: str, path: str, width: int, scheme: str) -> None:
    page = open_tab(f"{demo}/{path}", width, color_scheme=scheme)
    expect(page.locator("h1")).to_be_visible(timeout=SLOW)
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0, timeout=SLOW)
    expect(page.get_by_text("Loading")).to_have_count(0, timeout=SLOW)
    found = Axe().run(page).response["violations"]
    serious = [
        f"{rule['id']}: {node['html'][:200]}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
        if FRAME.get(rule["id"], "no such part") not in node["html"]
    ]
    assert serious == []
    for narrowest_to_widest in (360, 768, 2560):
        page.set_viewport_size({"width": narrowest_to_widest, "height": 900})
        assert no_sideways_scrolling(page)
