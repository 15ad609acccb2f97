"""The page's main figure as one sentence and one picture, to be saved and shown elsewhere."""

from __future__ import annotations

from html import escape

import streamlit as st

from zooter_core.evaluation.report_tables import Figures, pool_of
from zooter_core.ui.colours import GREY, ROUTER, colour
from zooter_core.ui.pictures import FONT, INKS, picture
from zooter_core.ui.text import number, plain

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


def drawn(held_back: Figures, pool: list[str], scheme: str = "light", headline: bool = True) -> str:
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

    def write(x: float, y: float, size: int, fill: str, text: str, more: str = "") -> None:
        style = f'font-family="{FONT}" font-size="{size}" fill="{fill}" {more}'
        body.append(f'<text x="{x:g}" y="{y:g}" {style}>{escape(text)}</text>')

    if headline:
        write(20, 42, 32 if rest else 18, ROUTER, head, 'font-weight="700"')
        write(20, 66, 14, ink, tail)
        write(WIDTH - 20, 24, 12, pale, "Zooter · mean reward", 'text-anchor="end"')
    for place, (name, value, fill) in enumerate(rows):
        y = top + ROW * place + 20
        x = LEFT + (RIGHT - LEFT) * (value - low) / ((high - low) or 1)
        bold = 'font-weight="700"' if fill == ROUTER else ""
        write(20, y + 5, 15, ink, name, bold)
        body.append(f'<line x1="{LEFT}" x2="{RIGHT}" y1="{y}" y2="{y}" stroke="{GREY}" stroke-opacity="0.3"/>')
        body.append(f'<circle cx="{x:.1f}" cy="{y}" r="{9 if bold else 7}" fill="{fill}"/>')
        write(RIGHT + 16, y + 5, 14, ink if bold else pale, number(value), bold)
    if headline:
        write(20, height - 14, 12, pale, LINK)
    return picture(WIDTH, height, "".join(body))


def draw(held_back: Figures, pool: list[str]) -> None:
    """The sentence, the picture, and a button that saves it."""
    headline = sentence(held_back)
    st.markdown(f"### {plain(headline)}")
    scheme = st.context.theme.type or "light"
    means = ", ".join(f"{key} {number(held_back['mean'][key])}" for key in ("random", "best_single", "chosen", "rmr"))
    st.image(drawn(held_back, pool, scheme, headline=False), width=680, alt=f"{headline} Mean rewards: {means}.")
    st.download_button(
        "Download as a picture",
        drawn(held_back, pool, scheme),
        "zooter-benchmark.svg",
        "image/svg+xml",
        icon=":material/download:",
        on_click="ignore",
        type="tertiary",
    )
