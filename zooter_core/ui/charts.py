"""A model's badge, the strip of probabilities, and plotly charts, on top of `evaluation.charts`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

import streamlit as st

from zooter_core.base.errors import listed
from zooter_core.base.records import LEANING, SURE, Decision, Ranked, Tag
from zooter_core.evaluation.charts import CONFIG, GREY, LABEL, PALETTE, Figure, framed, of_names, text, trace
from zooter_core.ui.text import clipped, plain

SVG = "http://www.w3.org/2000/svg"
FONT = "'Source Sans Pro', 'Source Sans 3', Helvetica, Arial, sans-serif"  # unquoted, "3" would not be a valid name


def picture(width: float, height: float, body: str, more: str = "") -> str:
    size = f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
    return f'<svg xmlns="{SVG}" {size}{more}>{body}</svg>'


def avatar(pool: Sequence[str], name: str) -> str:
    """A disc in a model's colour with its letters."""
    shown = letters(pool, name)
    size = 16 if len(shown) == 1 else 13
    style = f'font-family="{FONT}" font-size="{size}" font-weight="700" text-anchor="middle" fill="#14101f"'
    disc = f'<circle cx="16" cy="16" r="16" fill="{colour(pool, name)}"/>'
    return picture(32, 32, f'{disc}<text x="16" y="{16 + size / 3:.1f}" {style}>{escape(shown)}</text>')


def letters(pool: Sequence[str], name: str) -> str:
    """A model's initial, followed by the first letter or digit that tells its name from those with the same initial."""
    name, names = name.strip().upper(), {other.strip().upper() for other in pool}
    alike = [other for other in names - {name} if other[:1] == name[:1]]
    telling = (
        sign
        for place, sign in enumerate(name)
        if sign.isalnum() and all(other[place : place + 1] != sign for other in alike)
    )
    return name[:1] + (next(telling, "") if alike else "")


def by_share(probabilities: Mapping[str, float]) -> list[tuple[str, float]]:
    """Candidates with their probabilities, the most probable first."""
    return sorted(probabilities.items(), key=lambda item: -item[1])


def in_words(probabilities: Mapping[str, float]) -> str:
    """Candidates with their probabilities, the most probable first."""
    return ", ".join(f"{name} {p:.0%}" for name, p in by_share(probabilities))


def stacked(probabilities: Mapping[str, float], pool: Sequence[str], pale: bool = False) -> str:
    """An SVG of one stacked bar, the most probable candidate first; `pale` hatches it. It stretches to any width."""
    parts, start = [], 0.0
    for name, share in by_share(probabilities):
        parts.append(f'<rect x="{start:.2f}" width="{100 * share:.2f}" height="8" fill="{colour(pool, name)}"/>')
        start += 100 * share
    body = "".join(parts)
    if pale:
        stripe = '<rect width="1.6" height="8" fill="#fff" opacity="0.3"/><rect width="0.6" height="8" fill="#fff"/>'
        pattern = f'<pattern id="hatch" width="1.6" height="8" patternUnits="userSpaceOnUse">{stripe}</pattern>'
        mask = f'<mask id="pale">{pattern}<rect width="100" height="8" fill="url(#hatch)"/></mask>'
        body = f'{mask}<g mask="url(#pale)">{body}</g>'
    return picture(100, 8, body, ' preserveAspectRatio="none"')


# Streamlit's names for colours in Markdown. config.toml sets each to the palette's colour at the same index.
NAMES = ("blue", "orange", "green", "violet", "red", "yellow", "gray")


def colour(pool: Sequence[str], name: str) -> str:
    """A model's colour in hexadecimal; grey if the model is no longer in the pool."""
    return PALETTE[list(pool).index(name) % len(PALETTE)] if name in pool else GREY


# Markers of models, for readers who cannot tell the colours apart. Other points are stars, diamonds and crosses.
SYMBOLS = ("circle", "square", "triangle-up", "pentagon", "hexagon", "triangle-down", "triangle-left")


def symbol(pool: Sequence[str], name: str) -> str:
    """A model's marker in a chart; a circle if the model is no longer in the pool."""
    return SYMBOLS[list(pool).index(name) % len(SYMBOLS)] if name in pool else SYMBOLS[0]


def colour_name(pool: Sequence[str], name: str) -> str:
    return NAMES[list(pool).index(name) % len(NAMES)] if name in pool else "gray"


def badge(pool: Sequence[str], name: str, *facts: str) -> str:
    """A model's name on its colour, followed by facts, as Markdown."""
    return f":{colour_name(pool, name)}-badge[{' '.join((plain(name), *facts))}]"


def tag_badges(tags: Sequence[Tag]) -> str:
    if not tags:
        return ":gray-badge[no tag fits]"
    return " ".join(f":gray-badge[{plain(tag.name)} {tag.score:.0%}]" for tag in tags)


LONGEST_NAME = 40  # characters of a name beside its dot
LONGEST_BAR_NAME = 20  # characters of a name beside its bar; leaves room for the bars on a phone
ROOM = 56  # pixels right of a chart, for the number of a dot at its edge
BARE = {"visible": False}  # settings of a hidden axis
BAR = 34  # pixels of a bar's row
LEAST_SHOWN = 0.5  # the lowest score of a tag that is shown, for every tagger
CLEAR = 0.55  # the lowest score of the best of several tags; below it, none is shown
CERTAINTY = {
    "sure": f"**sure**: its choice has a probability of at least {SURE:.0%}",
    "leaning": f"**leaning**: its choice has a probability between {LEANING:.0%} and {SURE:.0%}",
    "undecided": f"**undecided**: its choice has a probability of at most {LEANING:.0%}",
}


def draw_strip(decision: Decision, key: str, pool: Sequence[str] = (), why: bool = False) -> bool:
    """Draw how a query was routed, in one row. Return whether a visitor has opened the explanation.

    Args:
        pool: the fleet's candidates, if they differ from the decision's.
        why: whether there is an explanation to open.
    """
    probabilities, rivals = decision.probabilities, decision.rivals
    pool = pool or list(probabilities)
    opened = f"why-{key}"
    with st.container(horizontal=True, key=f"strip-{key}", vertical_alignment="center", gap="small", wrap=False):
        if rivals:
            names = f"{listed(rivals[:-1])} or {rivals[-1]}"
            st.markdown(f":gray-badge[undecided: {plain(names)}]", width="content")
        else:
            name = decision.candidate
            st.markdown(badge(pool, name, f"{probabilities[name]:.0%}"), width="content")
        bar = stacked(probabilities, pool, pale=bool(rivals))
        st.image(bar, width="stretch", alt=f"Routing: {in_words(probabilities)}")
        if tags := shown_tags(decision.tags):
            st.markdown(f":gray-badge[{plain(tags[0].name)}]", width="content")
        if why:
            is_open = bool(st.session_state.get(opened))
            icon = ":material/expand_less:" if is_open else ":material/expand_more:"
            st.button(
                "Why", key=f"toggle-{opened}", type="tertiary", icon=icon, icon_position="right",
                on_click=st.session_state.update, args=({opened: not is_open},),
            )  # fmt: skip
    return bool(st.session_state.get(opened))


def shown_tags(tags: Sequence[Tag]) -> list[Tag]:
    """The tags to show, from tags by descending score. An uncertain tag, or one that is hardly ahead of the next,
    confuses more than no tag (benchmarks/first_clicks.py)."""
    if len(tags) > 1 and tags[0].score < CLEAR:
        return []
    return [tag for tag in tags if tag.score >= LEAST_SHOWN]


def draw(figure: Figure, key: str, alt: str, height: int) -> None:
    """Draw a chart in the page's colours. `height` is in pixels; `alt` is for screen readers."""
    options = CONFIG | {"toImageButtonOptions": {**CONFIG["toImageButtonOptions"], "filename": f"zooter-{key}"}}
    sized = {**figure, "layout": {**figure["layout"], "height": height}}  # else plotly first draws it 450 pixels high
    st.plotly_chart(sized, key=key, height=height, config=options, alt=alt)


def redraw(figure: Figure, key: str, alt: str, height: int) -> None:
    """Draw a chart that changes while a visitor types, without flicker.

    Streamlit removes a changed plotly chart before it draws the new one. Therefore two overlapping containers take
    turns: the old chart stays until the new one has its markers.
    """
    turn, charts_of = st.session_state.get(f"turn-{key}", (0, {}))
    turn, charts_of = 1 - turn, charts_of | {1 - turn: (figure, alt)}
    st.session_state[f"turn-{key}"] = turn, charts_of
    with st.container(key=f"turns-{key}"):
        for place in (0, 1):
            with st.container(key=f"{key}-at-{place}"):
                if place in charts_of:
                    draw(charts_of[place][0], f"{key}-{place}", charts_of[place][1], height)
        # Streamlit first draws a chart invisibly, to find its width.
        drawn = f'.st-key-{key}-at-{turn} .js-plotly-plot:not([style*="visibility: hidden"]) .points path'
        older = f".st-key-{key}-at-{1 - turn}"
        st.html(f"<style>.st-key-turns-{key}:has({drawn}) {older} {{ visibility: hidden }}</style>")


def label(name: str, most: int = 200) -> str:
    """A name, shortened and escaped for plotly."""
    return text(clipped(name, most))


def clock(seconds: float) -> str:
    """A moment in local time, for an axis of dates."""
    return datetime.fromtimestamp(seconds).isoformat(sep=" ", timespec="seconds")


def time_axis(since: float, until: float) -> Figure:
    return {"type": "date", "nticks": 4, "tickangle": 0, "range": [clock(since), clock(until)]}


def dots(xs: Iterable[Any], ys: Iterable[Any], marker: Figure, hovers: Iterable[str] = (), **more: Any) -> Figure:
    """Markers, which are not clipped at the edge of a chart; `text` puts words beside each."""
    style = {"mode": "markers+text" if "text" in more else "markers", "cliponaxis": False, **more}
    return trace("scatter", xs, ys, hovers, marker={"opacity": 1} | marker, **style)


def bars(xs: Iterable[Any], ys: Iterable[Any], colour: Any, hovers: Iterable[str], **more: Any) -> Figure:
    return trace("bar", xs, ys, hovers, marker={"color": colour}, **more)


def line(xs: Iterable[Any], ys: Iterable[Any], style: Figure, hovers: Iterable[str] = ()) -> Figure:
    return trace("scatter", xs, ys, hovers, mode="lines", line=style)


def share_bars(shares: Mapping[str, float], colours: Sequence[str], hovers: Sequence[str]) -> Figure:
    """A bar from 0 to 1 for each name, with its share in percent."""
    parts = bars(
        shares.values(), range(len(shares)), list(colours), hovers, orientation="h",
        text=[f"{share:.0%}" for share in shares.values()], textposition="outside", cliponaxis=False,
    )  # fmt: skip
    names = of_names([clipped(name, LONGEST_BAR_NAME) for name in shares])
    margin = {"l": 0, "r": 52, "t": 4, "b": 4}
    return framed([parts], xaxis=BARE | {"range": [0, 1]}, yaxis=names, margin=margin)


def probability_bars(shares: Mapping[str, float], pool: Sequence[str]) -> Figure:
    """A bar for each model: the probability that it gives the best answer."""
    hovers = [
        f"{clipped(name, 80)} gives the best answer with probability {share:.1%}." for name, share in shares.items()
    ]
    return share_bars(shares, [colour(pool, name) for name in shares], hovers)


def dots_of_names(rows: Sequence[tuple[str, float, str]], sentence: str, x: str = "", **across: Any) -> Figure:
    """A row per name, the first on top, with its value as a dot.

    Args:
        rows: name, value and colour of each.
        sentence: a dot's hover text, with {name} and {value}.
        across: plotly settings for the axis of values.
    """
    values = [value for _, value, _ in rows]
    hovers = [sentence.format(name=clipped(name, 80), value=f"{value:z.2f}") for name, value, _ in rows]
    marks = dots(
        values, range(len(rows)), {"size": 16, "color": [fill for _, _, fill in rows]}, hovers,
        text=[f"{value:z.2f}" for value in values], textposition="middle right",
    )  # fmt: skip
    names = of_names([clipped(name, LONGEST_NAME) for name, _, _ in rows], showgrid=True)
    return framed([marks], x, xaxis=across, yaxis=names, margin={"r": ROOM})


def rewards(ranked: Iterable[Ranked], pool: Sequence[str]) -> Figure:
    """The rewards of responses. Only differences between rewards have a meaning, so the axis has no numbers."""
    rows = [
        (item.response.candidate, item.reward, colour(pool, item.response.candidate))
        for item in ranked
        if item.reward is not None
    ]
    sentence = "The response of {name} has the reward {value}."
    return dots_of_names(rows, sentence, showticklabels=False, showgrid=False)


def wins(shares: Mapping[str, Mapping[str, float]], names: Sequence[str], pool: Sequence[str]) -> Figure:
    """A stacked bar per source of queries, the first on top: the share of its queries that each model won."""
    parts = []
    for name in names:
        won = {source: by_name.get(name, 0.0) for source, by_name in shares.items()}
        hovers = [
            f"{clipped(name, 40)} gave the best answer to {share:.0%} of {clipped(source, 40)}."
            for source, share in won.items()
        ]
        hue = colour(pool, name)
        parts.append(bars(won.values(), range(len(won)), hue, hovers, name=label(name, 40), orientation="h"))
    percent = {"range": [0, 1], "tickformat": ".0%"}
    rows = of_names([clipped(source, LABEL) for source in shares])
    return framed(parts, "share of the questions", legend=True, barmode="stack", xaxis=percent, yaxis=rows)
