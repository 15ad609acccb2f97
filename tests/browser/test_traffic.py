"""The page Traffic, wide and narrow, light and dark."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from support.demo_browser import NARROW, SLOW, WIDE, ZOOMED, Demo, assert_fits, barriers
from support.traffic_days import add_days


@pytest.fixture
def busy(server: Demo) -> Iterator[Demo]:
    """The demo of the embedded fleet, with traffic."""
    folder = server.history.parent / "data" / "zooter" / "serve" / "embedded"
    add_days(folder, ("chat", "math", "code", "writer"))
    yield server
    shutil.rmtree(folder)


def test_traffic(open_tab: Callable[..., Page], busy: Demo) -> None:
    page = open_tab(f"{busy.address}/traffic", NARROW, color_scheme="dark")
    expect(page.get_by_text("that every model answered")).to_be_visible(timeout=SLOW)
    expect(page.locator("[data-testid=stPlotlyChart]:has(.main-svg)")).to_have_count(2, timeout=SLOW)
    expect(page.get_by_text("The router is too unsure")).to_be_visible()
    page.get_by_text("Do the router's probabilities hold?").click()
    expect(page.locator(".st-key-table-calibration table")).to_be_visible(timeout=SLOW)
    page.get_by_text("All figures as a table").click()
    expect(page.locator(".st-key-table-worth table")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("(served): reward")).to_be_visible(timeout=SLOW)
    assert_fits(page, WIDE, ZOOMED, 360, NARROW)
    assert barriers(page) == []
    page.emulate_media(color_scheme="light")
    assert barriers(page) == []
