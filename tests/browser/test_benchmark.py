"""The Benchmark page on the embedded fleet, wide and narrow, light and dark."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from support.demo_browser import NARROW, SLOW, WIDE, assert_fits, downloaded
from zooter_core.ui.benchmark.titles import title

ROOT = Path(__file__).resolve().parents[2]
TITLE = "How good is the router?"
METHODS = ["chat", "math", "code", "writer", "router", "RMR", "oracle"]
SHOWN = [*METHODS[:5], "all models", "perfect choice"]
NAMES_ON_ONE_LINE = """() => [...document.querySelectorAll('.st-key-table-methods th')].filter(cell => {
    const range = document.createRange()
    range.selectNodeContents(cell)
    return !cell.textContent.trim().includes(' ') && range.getClientRects().length > 1
}).length === 0"""


def test_figures_charts_and_files(open_tab: Callable[..., Page], demo: str) -> None:
    page = open_tab(f"{demo}/benchmark", NARROW, color_scheme="dark")
    expect(page.get_by_role("heading", name=TITLE)).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("Routing beats always using chat").first).to_be_visible(timeout=SLOW)
    expect(page.locator("[data-testid=stPlotlyChart]:has(.main-svg)").first).to_be_visible(timeout=SLOW)
    table = page.locator(".st-key-table-methods table")
    expect(table.get_by_role("columnheader")).to_have_text(["", *SHOWN], timeout=SLOW)
    figures = json.loads((ROOT / "models" / "embedded" / "report.json").read_text())
    rows = list(csv.DictReader(downloaded(page, "This table (CSV)").splitlines()))
    assert [row["method"] for row in rows] == METHODS
    for name, held_back in figures["held_back"]["datasets"].items():
        assert float(rows[4][title(name)]) == held_back["chosen"]
    assert json.loads(downloaded(page, "Full report (JSON)")) == figures
    page.get_by_text("Points as a table").click()
    expect(page.locator(".st-key-table-cost-quality table")).to_be_visible(timeout=SLOW)
    assert_fits(page, WIDE, 360, NARROW)
    _nothing_scrolls_sideways(page)
    page.set_viewport_size({"width": WIDE, "height": 900})
    page.wait_for_function(NAMES_ON_ONE_LINE, timeout=SLOW)


def _nothing_scrolls_sideways(page: Page) -> None:
    """Besides commands, which scroll inside themselves; charts take a moment to their size."""
    page.wait_for_function(
        """() => [...document.querySelectorAll('*')]
            .filter(box => ['auto', 'scroll'].includes(getComputedStyle(box).overflowX))
            .filter(box => box.scrollWidth > box.clientWidth + 1)
            .every(box => ['stCode', 'stSidebar']
                .some(name => box.closest(`[data-testid="${name}"]`)))""",
        timeout=SLOW,
    )
