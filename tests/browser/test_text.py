"""Hostile texts in a real browser, drawn by Streamlit itself: nothing is loaded, and no link hides its host."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Request, Route, expect
from visiting import SLOW, WIDE, leaves

HERE = Path(__file__).resolve().parent
LOADS = "img, video, audio, iframe, object, embed, svg image, [style*='url(']"
LOOKS_AT = """loads => {
    const main = document.querySelector('[data-testid="stMain"]'), bad = []
    for (const one of main.querySelectorAll(loads)) bad.push('loads: ' + one.outerHTML.slice(0, 200))
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
def drawn(tmp_path: Path) -> Iterator[str]:
    """The address of a server of `drawn.py`."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    paths = os.pathsep.join([str(HERE.parents[1]), str(HERE.parent)])
    options = ["--server.port", str(port), "--server.headless", "true", "--browser.gatherUsageStats", "false"]
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", str(HERE / "drawn.py"), "--server.address", "localhost", *options],
        env={**os.environ, "PYTHONPATH": paths},
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for _ in range(300):
        try:
            urllib.request.urlopen(f"http://localhost:{port}/_stcore/health", timeout=1).close()
            break
        except OSError:
            assert process.poll() is None, "Streamlit ended at its start"
            time.sleep(0.2)
    yield f"http://localhost:{port}"
    process.terminate()
    process.wait(20)


def test_hostile_texts_reach_no_other_host(browser: Browser, drawn: str) -> None:
    page = browser.new_page(viewport={"width": WIDE, "height": 900})
    outward: list[str] = []

    def judge(route: Route, request: Request) -> None:
        if leaves(request.url):
            outward.append(request.url)
            route.abort()
        else:
            route.continue_()

    page.route("**/*", judge)
    page.goto(drawn, wait_until="commit")
    expect(page.get_by_text("all drawn")).to_be_visible(timeout=SLOW)
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0, timeout=SLOW)
    page.wait_for_load_state("networkidle")
    assert outward == []
    assert page.evaluate(LOOKS_AT, LOADS) == []
    assert page.locator(".katex").count() > 0
    assert page.get_by_role("link").count() > 20
    page.unroute_all(behavior="ignoreErrors")
    page.close()
