"""Hostile texts in a real browser, drawn by Streamlit itself: nothing is loaded, and no link hides its host."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from support.demo_browser import SLOW, wait_for_server
from support.hostile_texts import NAMES
from support.patience import PATIENCE
from support.ports import free_port
from zooter_core.ui import charts

TESTS = Path(__file__).resolve().parents[1]
PICTURES = [charts.stacked(NAMES, list(NAMES), pale=True), *(charts.avatar(list(NAMES), name) for name in NAMES)]
LOADS = "img, video, audio, iframe, object, embed, svg image, [style*='url(']"
OURS = '.st-key-pictures [data-testid="stImage"] img[src^="data:image/svg+xml;base64,"]'  # one of our own drawings
FAULTS = """([loads, ours]) => {
    const main = document.querySelector('[data-testid="stMain"]'), bad = []
    for (const one of main.querySelectorAll(loads))
        if (!one.matches(ours)) bad.push('loads: ' + one.outerHTML.slice(0, 200))
    for (const one of main.querySelectorAll('a')) {
        const href = one.getAttribute('href') || one.getAttribute('xlink:href') || ''
        if (href.startsWith('#')) continue
        const to = URL.canParse(href, location) ? new URL(href, location) : { hostname: href }
        const host = to.hostname || href.replace('mailto:', '')
        if (!one.textContent.toLowerCase().includes(host)) bad.push('hides: ' + one.outerHTML.slice(0, 300))
    }
    return bad
}"""


@pytest.fixture
def page_of_texts(tmp_path: Path) -> Iterator[str]:
    """The address of a server of `hostile_texts_page.py`."""
    port = free_port()
    paths = os.pathsep.join([str(TESTS.parent), str(TESTS)])
    options = f"--server.address localhost --server.port {port} --server.headless true --browser.gatherUsageStats false"
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", str(TESTS / "support" / "hostile_texts_page.py"), *options.split()],
        env={**os.environ, "PYTHONPATH": paths},
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for_server(f"http://localhost:{port}", process)
    yield f"http://localhost:{port}"
    process.terminate()
    process.wait(PATIENCE)


def test_hostile_texts_reach_no_other_host(page_of_texts: str, open_tab: Callable[..., Page]) -> None:
    page = open_tab(page_of_texts)  # fails on a request that leaves this machine
    expect(page.get_by_text("all drawn")).to_be_visible(timeout=SLOW)
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0, timeout=SLOW)
    page.wait_for_load_state("networkidle")
    assert page.evaluate(FAULTS, [LOADS, OURS]) == []
    drawn = [image.get_attribute("src") or "" for image in page.locator(OURS).all()]
    assert [base64.b64decode(address.partition(",")[2]).decode() for address in drawn] == PICTURES
    assert page.locator(".katex").count() > 0
    assert page.get_by_role("link").count() > 20
