"""A map that follows typing, drawn by ECharts and by plotly: python benchmarks/live_map.py (needs Chromium)

A page with a text field and a map of 1,500 dots, as on the Explorer, on which a named point moves with every
key. Both libraries take turns; medians over all keys. Shown: from the key until the map shows the point there.
Flash: how much of that time the page has no map. Kept: whether the map on the page is still the same element.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright
from servers import FLAGS, chromium, streamlit

TEXT = "How do I write a poem about the sea"
WAYS = ("echarts", "plotly")
APP = """
import numpy as np
import plotly.graph_objects as go
import streamlit as st

dots = np.random.default_rng(0).normal(size=(4, 375, 2)).round(4)
way = st.query_params["way"]

@st.fragment
def live():
    text = st.text_input("Query", live="50ms")
    name, place = f"point {len(text)}", [(7 * len(text)) % 5 - 2, (3 * len(text)) % 5 - 2]
    if way == "echarts":
        series = [{"type": "scatter", "data": part.tolist(), "symbolSize": 8} for part in dots]
        label = {"show": True, "formatter": name}
        option = {"animation": False, "xAxis": {"min": -4, "max": 4}, "yAxis": {"min": -4, "max": 4},
                  "series": [*series, {"type": "scatter", "data": [place], "symbolSize": 20, "label": label}]}
        st.echarts_chart(option, key="map", height=480, renderer="svg")
    else:
        traces = [go.Scatter(x=part[:, 0], y=part[:, 1], mode="markers") for part in dots]
        figure = go.Figure([*traces, go.Scatter(x=[place[0]], y=[place[1]], mode="markers+text", text=[name])])
        figure.update_layout(height=480, xaxis_range=[-4, 4], yaxis_range=[-4, 4])
        st.plotly_chart(figure, key="map")

live()
"""
# Look at every frame after a key: when the map first shows the name, and for how long its dots were not there.
WATCH = """name => { window.measured = new Promise(resolve => {
    const find = () => document.querySelector('[data-testid=stEChartsChart] svg, .js-plotly-plot')
    const texts = () => [...(find()?.querySelectorAll('text') ?? [])]
    const dots = () => find()?.querySelectorAll('path').length ?? 0
    const drawn = () => dots() > 1500 && find().checkVisibility({visibilityProperty: true})
    const old = find()
    let start = null, last = null, flash = 0
    addEventListener('keydown', () => { start ??= last = performance.now() }, {capture: true, once: true})
    const look = now => {
        if (start !== null) {
            if (!drawn()) flash += now - last
            last = now
            if (texts().some(one => one.textContent === name))
                return resolve([performance.now() - start, flash, find() === old])
        }
        requestAnimationFrame(look)
    }
    requestAnimationFrame(look)
}) }"""


def typed(page: Page, address: str) -> list[tuple[float, float, bool]]:
    """For each key: milliseconds until the map shows it, milliseconds without a map, whether it is the same element."""
    page.goto(address)
    box = page.get_by_role("textbox", name="Query")
    expect(page.get_by_text("point 0")).to_be_visible(timeout=60_000)
    box.click()
    figures = []
    for number, letter in enumerate(TEXT, 1):
        page.evaluate(WATCH, f"point {number}")
        page.keyboard.press(letter)
        figures.append(tuple(page.evaluate("() => window.measured")))
        page.wait_for_timeout(150)
    return figures[3:]  # the first keys warm up


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    keys: dict[str, list[tuple[float, float, bool]]] = {way: [] for way in WAYS}
    with (
        tempfile.TemporaryDirectory() as folder,
        streamlit(Path(folder) / "live.py", APP) as server,
        sync_playwright() as playwright,
    ):
        page = playwright.chromium.launch(executable_path=chromium(), args=FLAGS).new_page()
        for _ in range(rounds):
            for way in WAYS:
                keys[way] += typed(page, f"{server.address}/?way={way}")
    print(f"load {os.getloadavg()[0]:.1f}, {len(keys[WAYS[0]])} keys each")
    for way, figures in keys.items():
        shown, flash, same = zip(*figures, strict=True)
        slow = statistics.quantiles(shown, n=20)[-1]
        print(f"{way:10} shown {statistics.median(shown):.0f} ms, 95% within {slow:.0f} ms; ", end="")
        print(f"flash {statistics.median(flash):.0f} ms; kept {sum(same)} of {len(same)}")


if __name__ == "__main__":
    main()
