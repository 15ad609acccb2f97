"""The page's main figure as one sentence and one picture, to be saved and shown elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from zooter_core.evaluation.report_tables import Figures, pool_of
from zooter_core.ui.charts import BOLD, GREY, INKS, ROUTER, colour, picture, words
from zooter_core.ui.text import plain
from zooter_core.ui.widgets import download

WIDTH, ROW, HEAD = 640, 34, 84  # pixels of the picture
LEFT, RIGHT = 210, 550  # of its axis
LINK = "Zooter: one front door to several language models · arxiv.org/abs/2311.08692"


def sentence(held_back: Figures) -> str:
    """How much of the way from the best single model to a perfect choice the router goes, and at what cost."""
    mean, count = held_back["mean"], len(pool_of(held_back))
    single, gap = held_back["average"]["best_single"]["candidate"], mean["oracle"] - mean["best_single"]
    calls = f"with one call instead of {count}"
    if gap <= 0:
        return f"{single} alone is already a perfect choice on every query."
    share = (mean["chosen"] - mean["best_single"]) / gap
    if share < 0:
        return f"Worse than {single} alone, {calls}."
    return f"{share:.0%} of the way from the best single model to a perfect choice, {calls}."


def drawn(held_back: Figures, pool: Sequence[str], scheme: str = "light", headline: bool = True) -> str:
    """Where random choice, the best single model, the router, all models and the oracle stand, below the sentence."""
    top = HEAD if headline else 0
    mean, count = held_back["mean"], len(pool)
    single = held_back["average"]["best_single"]["candidate"]
    rows = [
        ("random model", mean["random"], GREY),
        (f"{single} alone", mean["best_single"], colour(pool, single)),
        ("router: one call", mean["chosen"], ROUTER),
        (f"all models: {count} calls", mean["rmr"], GREY),
        ("perfect choice", mean["oracle"], GREY),
    ]
    ground, ink, pale = INKS[scheme]
    low, high = min(value for _, value, _ in rows), max(value for _, value, _ in rows)
    first, _, rest = sentence(held_back).partition(" of the way ")
    head, tail = (first, f"of the way {rest}") if rest else (sentence(held_back), "")
    height = top + ROW * len(rows) + (44 if headline else 20)
    body = [f'<rect width="{WIDTH}" height="{height}" rx="12" fill="{ground}"/>']

    if headline:
        body += [
            words(20, 42, head, 32 if rest else 18, ROUTER, BOLD),
            words(20, 66, tail, 14, ink),
            words(WIDTH - 20, 24, "Zooter · mean reward", 12, pale, 'text-anchor="end"'),
            words(20, height - 14, LINK, 12, pale),
        ]
    for place, (name, value, fill) in enumerate(rows):
        y = top + ROW * place + 20
        x = LEFT + (RIGHT - LEFT) * (value - low) / ((high - low) or 1)
        bold = BOLD if fill == ROUTER else ""
        body += [
            words(20, y + 5, name, 15, ink, bold),
            f'<line x1="{LEFT}" x2="{RIGHT}" y1="{y}" y2="{y}" stroke="{GREY}" stroke-opacity="0.3"/>',
            f'<circle cx="{x:.1f}" cy="{y}" r="{9 if bold else 7}" fill="{fill}"/>',
            words(RIGHT + 16, y + 5, f"{value:z.2f}", 14, ink if bold else pale, bold),
        ]
    return picture(WIDTH, height, "".join(body))


def draw(held_back: Figures, pool: Sequence[str]) -> None:
    headline = sentence(held_back)
    st.markdown(f"### {plain(headline)}")
    scheme = st.context.theme.type or "light"
    means = ", ".join(f"{key} {held_back['mean'][key]:z.2f}" for key in ("random", "best_single", "chosen", "rmr"))
    st.image(drawn(held_back, pool, scheme, headline=False), width=680, alt=f"{headline} Mean rewards: {means}.")
    download("Download as a picture", drawn(held_back, pool, scheme), "zooter-benchmark.svg", type="tertiary")
