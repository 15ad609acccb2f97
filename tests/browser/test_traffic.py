"""The page Traffic with its sample day, wide and narrow, light and dark."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from support.demo_browser import NARROW, SLOW, WIDE, ZOOMED, assert_fits, barriers


def test_the_sample_day(open_tab: Callable[..., Page], demo: str) -> None:
    page = open_tab(f"{demo}/traffic", NARROW, color_scheme="dark")
    expect(page.get_by_text("zooter serve --learn")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("This is a sample day")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("that every model answered")).to_be_visible(timeout=SLOW)
    expect(page.locator("[data-testid=stEChartsChart] svg")).to_have_count(3, timeout=SLOW)
    expect(page.get_by_text("was rolled back to")).to_be_visible()
    page.get_by_text("Do the router's probabilities hold?").click()
    expect(page.locator(".st-key-table-calibration table")).to_be_visible(timeout=SLOW)
    page.get_by_text("All figures as a table").click()
    expect(page.locator(".st-key-table-worth table")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("(served): reward")).to_be_visible(timeout=SLOW)
    assert_fits(page, WIDE, ZOOMED, 360, NARROW)
    assert barriers(page) == []
    page.emulate_media(color_scheme="light")
    assert barriers(page) == []
    page.get_by_text("Show a sample day").click()
    expect(page.get_by_text("This is a sample day")).to_have_count(0, timeout=SLOW)
