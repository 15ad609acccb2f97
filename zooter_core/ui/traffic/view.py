"""What the page Traffic draws: sentences, two charts, and decisions."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import plotly.graph_objects as go
import streamlit as st

from zooter_core.learn.report import HEADINGS, NAMES, Report, rows_of, sentences
from zooter_core.learn.report_html import html_of
from zooter_core.learn.traffic_rows import FEEDBACK, LoggedDecision
from zooter_core.method.worth import RANDOM, RMR, ROUTING
from zooter_core.ui import charts, plots, tables
from zooter_core.ui.text import clipped, plain
from zooter_core.ui.traffic import source as traffic_source
from zooter_core.ui.traffic.source import Source
from zooter_core.ui.widgets import download

SYMBOLS = {ROUTING: "diamond", RANDOM: "x", RMR: "square"}
REASONS = {
    "router": "The router expected its answer to be the best.",
    "sticky": "The conversation kept its model, as no other one led by enough.",
    "switched": "The conversation changed its model, as another one led by enough.",
    "tool_loop": "The model was at work with tools.",
    "previous": "The request continued an answer of this model.",
    "chore": "A chat UI sent it for itself, such as for a title.",
    "named": "The client named the model.",
    "rmr": "Every model answered, and the reward model kept the best answer.",
    "best": "The router was unsure: the first models answered, and the reward model kept the best answer.",
    "import": "It comes from a log of another program.",
}


def draw_empty(hidden: bool) -> None:
    """Say how to begin."""
    if hidden:
        message = "Traffic holds what users wrote, so this demo shows it only on the machine where it runs."
        st.info(message, icon=":material/lock:")
        return
    st.markdown("No traffic yet. Keep what comes through the endpoint, and this page says what routing is worth:")
    st.code("zooter serve --learn", language="sh")
    st.markdown("Old logs are a beginning too:")
    st.code("zooter traffic import FILE", language="sh")


def draw_sentences(report: Report) -> None:
    """What the figures mean; warnings stand out."""
    first, *rest = [line for line in sentences(report) if line not in {change.message for change in report.changes}]
    st.markdown(f"#### {plain(first)}")
    for line in rest:
        st.markdown(plain(line))
    for change in report.changes:
        st.warning(plain(change.message), icon=":material/trending_down:")


def draw_choices(source: Source, pool: tuple[str, ...]) -> None:
    """Requests over time, by candidate."""
    figure = go.Figure()
    counts = traffic_source.choices(source)
    order = [*[name for name in pool if name in counts], *sorted(set(counts) - set(pool))]
    for name in order:
        moments = sorted(counts[name])
        figure.add_bar(
            x=[_local(moment, source) for moment in moments],
            y=[counts[name][moment] for moment in moments],
            name=plots.label(name),
            marker={"color": charts.colour(pool, name)},
            hovertemplate="%{x}: %{y} by " + plots.label(name) + "<extra></extra>",
        )
    hours = "hour" if source.steps == 1 else f"{source.steps} hours"
    plots.framed(figure, "", f"requests per {hours}", 300, barmode="stack", bargap=0.15)
    figure.update_layout(legend={"traceorder": "normal"})
    plots.draw(figure, "choices", f"Requests over time by the model that answered: {', '.join(order)}.")


def _local(moment: float, source: Source) -> datetime:
    """A time for an axis: of the sample day in UTC, else as clocks here show it."""
    zone = UTC if source.sample else None
    return datetime.fromtimestamp(moment, zone).replace(tzinfo=None)


def draw_worth(report: Report, pool: tuple[str, ...]) -> None:
    """Reward against cost, with the alternatives as points; without prices, against seconds."""
    priced = any(rule.dollars.mean > 0 for rule in report.rules)
    st.subheader(f"Reward against {'cost' if priced else 'time'}", anchor=False)
    figure = go.Figure()
    for rule in report.rules:
        across = 1000 * rule.dollars.mean if priced else rule.seconds.mean
        if not (math.isfinite(across) and math.isfinite(rule.reward.mean)):
            continue
        name = NAMES.get(rule.name, rule.name)
        figure.add_scatter(
            x=[across],
            y=[rule.reward.mean],
            error_y={"type": "data", "array": [rule.reward.high - rule.reward.mean], "thickness": 1.5, "width": 4},
            mode="markers",
            marker={
                "size": 14,
                "color": charts.ROUTER if rule.name == ROUTING else charts.colour(pool, rule.name),
                "symbol": SYMBOLS.get(rule.name, "circle"),
            },
            name=plots.label(name),
            cliponaxis=False,
            hovertemplate=f"{plots.label(name)}: reward %{{y:.2f}} at %{{x:.3g}}<extra></extra>",
        )
    x = "dollars per 1,000 answers" if priced else "seconds per answer"
    plots.framed(figure, x, "mean reward", 400)
    figure.update_xaxes(rangemode="tozero")
    plots.draw(figure, "worth", "Reward against cost of routing and its alternatives.")
    st.caption(
        "A model's point: it answers every request. RMR: all answer, and the reward model keeps the best answer. "
        "Rewards are the reward model's scores, of which only differences are meaningful. Bars are 95% confidence "
        "intervals."
    )
    with st.expander("All figures as a table"):
        tables.draw("worth", [*HEADINGS], rows_of(report), "l" + "r" * (len(HEADINGS) - 1))
        st.caption("In parentheses: 95% confidence intervals. Cost of routing: as a share of the row's cost.")


def draw_decisions(source: Source, pool: tuple[str, ...]) -> None:
    """The newest decisions; one is opened in full, at first the newest one that every model answered."""
    entries = traffic_source.newest(source)
    texts = {entry.request_id: _line(entry, source) for entry in entries}
    names, sampled = list(texts), traffic_source.answered_by_all(source)
    first = next((place for place, name in enumerate(names) if name in sampled), 0)
    picked = st.selectbox("Decision", names, first, format_func=lambda name: texts[name], key="decision")
    if entry := next((entry for entry in entries if entry.request_id == picked), None):
        draw_decision(source, entry, pool)


def _line(entry: LoggedDecision, source: Source) -> str:
    """A decision in a list."""
    return f"{_local(entry.time, source):%H:%M} {entry.candidate or 'no answer'}: {clipped(entry.query, 70)}"


def draw_decision(source: Source, entry: LoggedDecision, pool: tuple[str, ...]) -> None:
    """Why somebody answered, and what the others would have said."""
    st.text(entry.query)
    tags = "".join(f" :gray-badge[{plain(tag)}]" for tag in entry.tags)
    st.markdown(f"{charts.badge(pool, entry.candidate or 'no answer')}{tags}")
    st.markdown(REASONS.get(entry.reason or "", ""))
    if entry.probabilities:
        shares = [f"{plain(name)} {share:.0%}" for name, share in charts.by_share(entry.probabilities)]
        st.markdown(f"Probabilities: {', '.join(shares)}.")
    facts = [
        f"{entry.seconds:.1f} s" if entry.seconds is not None else "",
        f"{entry.tokens:,} tokens" if entry.tokens else "",
        f"${entry.dollars:.4f}" if entry.dollars else "",
        f"finish: {entry.finish}" if entry.finish else "",
    ]
    st.caption(plain(", ".join(filter(None, facts))))
    rewards = traffic_source.rewards(source, entry.request_id)
    for reward in rewards:
        served = " (served)" if reward.candidate == entry.candidate else ""
        if reward.source == FEEDBACK:
            st.markdown(f"Feedback: {'good' if reward.reward > 0 else 'bad'} ({reward.reward:g}).")
            continue
        with st.expander(f"{plain(reward.candidate)}{served}: reward {reward.reward:.2f}"):
            text = reward.answer or (entry.answer if served else None)
            st.text(text or "The text of this answer is not kept. `[learn] answers = true` keeps it.")
    if not rewards:
        st.markdown("No reward yet: `zooter learn` computes them in the background.")


def draw_files(report: Report) -> None:
    """The report to take along."""
    download("Report (HTML)", lambda: html_of(report), "zooter-report.html", help="One file to send to a colleague.")
