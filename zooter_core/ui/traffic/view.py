"""What the page Traffic draws: sentences, charts, what has changed, feedback and decisions."""

from __future__ import annotations

import math
from shlex import quote

import streamlit as st

from zooter_core.config.fleet import Fleet
from zooter_core.learn.drift import day
from zooter_core.learn.report import (
    AGREEMENT_HEADINGS,
    CALIBRATION_HEADINGS,
    NAMES,
    Report,
    agreement_rows,
    calibration_rows,
    figures,
    statements,
)
from zooter_core.learn.traffic_rows import FEEDBACK, LoggedDecision
from zooter_core.method.worth import RANDOM, RMR, ROUTING
from zooter_core.ui import charts, plots, tables
from zooter_core.ui.models.manage import is_users
from zooter_core.ui.text import clipped, escaped, plain, unlinked, visible
from zooter_core.ui.traffic import source as traffic_source
from zooter_core.ui.traffic.source import Source

SYMBOLS = {ROUTING: "diamond", RANDOM: plots.X, RMR: "rect"}
ICONS = {"reward": "trending_down", "far": "explore", "calibration": "speed"}
ALL = "all requests"
REASONS = {
    "router": "The router expected its answer to be the best.",
    "sticky": "The conversation kept its model, as no other one led by enough.",
    "switched": "The conversation changed its model, as another one led by enough.",
    "tool_loop": "The model was at work with tools.",
    "previous": "The request continued an answer of this model.",
    "chore": "A chat UI sent it for itself, such as for a title.",
    "named": "The client named the model.",
    "rmr": "Every model answered, and the reward model kept the best answer.",
    "compare": "It is a vote of the page Compare.",
    "best": "The router was unsure: the first models answered, and the reward model kept the best answer.",
    "import": "It comes from a log of another program.",
}


def draw_empty(fleet: Fleet, hidden: bool) -> None:
    """Say how to begin."""
    if hidden:
        message = "Traffic holds what users wrote, so this demo shows it only on the machine where it runs."
        st.info(message, icon=":material/lock:")
        return
    st.markdown("No traffic yet. Keep what comes through the endpoint, and this page says what routing is worth:")
    option = f" --fleet {quote(str(fleet.folder))}" if is_users(fleet.folder) else ""
    st.code(f"zooter serve --learn{option}", language=None, wrap_lines=True)
    st.markdown("Old logs are a beginning too:")
    st.code(f"zooter learn import FILE{option}", language=None, wrap_lines=True)


def draw_sentences(report: Report) -> None:
    """What the figures mean, and that there are warnings."""
    first, *rest = statements(report)
    st.markdown(f"#### {plain(first)}")
    for line in rest:
        st.markdown(plain(line))
    if count := len(report.changes):
        st.markdown(f":material/warning: {count} warning{'s' if count > 1 else ''}: see *What has changed*.")


def draw_changes(report: Report) -> None:
    """The warnings, and the tables behind what the report says of probabilities and of thumbs."""
    if not report.changes:
        st.markdown("Nothing that is more than chance.")
    for change in report.changes:
        st.warning(_plain(change.message), icon=f":material/{ICONS[change.kind]}:")
    if report.calibration:
        with st.expander("Do the router's probabilities hold?"):
            tables.draw("calibration", CALIBRATION_HEADINGS, calibration_rows(report.calibration), "rrrr")
            st.caption("Of sampled requests: the probability of the router's choice, and how often it was the best.")
    if report.agreement:
        with st.expander("Does the reward model agree with people?"):
            tables.draw("agreement", AGREEMENT_HEADINGS, [tuple(map(plain, row)) for row in agreement_rows(report)])
            st.caption(
                "In how many pairs of a liked and a disliked answer the liked one has the higher reward; guessing has"
                " 50%. In parentheses: 95% confidence intervals."
            )


def _plain(text: str) -> str:
    """A sentence of ours as Markdown; what is between backticks stays code."""
    parts = unlinked(visible(text)).split("`")
    return "".join(f"`{part}`" if place % 2 else escaped(part, place == 0) for place, part in enumerate(parts))


def draw_choices(source: Source, report: Report, pool: tuple[str, ...]) -> None:
    """Requests over time, by candidate, of one tag or all."""
    rows, every = traffic_source.tagged(source, report.routed)
    tags = traffic_source.often(rows)
    tag = st.selectbox("Requests with the tag", [ALL, *tags], key="tag") if tags else ALL
    counts = traffic_source.choices(source) if tag == ALL else traffic_source.choices_with(source, rows, tag)
    order = [*[name for name in pool if name in counts], *sorted(set(counts) - set(pool))]
    starts = sorted({start for steps in counts.values() for start in steps})
    series = [
        {
            "type": "bar",
            "name": plots.label(name),
            "stack": "all",
            "barCategoryGap": "15%",
            "itemStyle": {"color": charts.colour(pool, name)},
            # ECharts stacks items of the same place in their series.
            "data": [
                [plots.clock(start), n := counts[name].get(start, 0), f"{day(start)}: {n} by {name}"]
                for start in starts
            ],
            "tooltip": plots.hover(),
        }
        for name in order
    ]
    hours = "hour" if source.steps == 1 else f"{source.steps} hours"
    part = f" (one in {every} counted)" if tag != ALL and every > 1 else ""
    edges = {**plots.TIME, "min": plots.clock(source.since), "max": plots.clock(source.until)}
    title = f"requests per {hours}{part}"
    option = plots.framed(series, "", title, legend=True, xAxis=edges, yAxis={"scale": False}, useUTC=True)
    plots.draw(option, "choices", f"Requests over time by the model that answered: {', '.join(order)}.", 320)


def draw_worth(report: Report, pool: tuple[str, ...]) -> None:
    """Reward against cost, with the alternatives as points; without prices, against seconds."""
    if not report.rules:
        st.subheader("Reward against cost", anchor=False)
        st.markdown("Too few requests were answered by every model.")
        return
    priced = any(rule.dollars.mean > 0 for rule in report.rules)
    st.subheader(f"Reward against {'cost' if priced else 'time'}", anchor=False)
    x = "dollars per 1,000 answers" if priced else "seconds per answer"
    series = []
    for rule in report.rules:
        across = 1000 * rule.dollars.mean if priced else rule.seconds.mean
        if not (math.isfinite(across) and math.isfinite(rule.reward.mean)):
            continue
        name = plots.label(NAMES.get(rule.name, rule.name))
        hue = charts.ROUTER if rule.name == ROUTING else charts.colour(pool, rule.name)
        series.append(
            {
                "type": "scatter",
                "name": name,
                "symbol": SYMBOLS.get(rule.name, "circle"),
                "symbolSize": 14,
                "itemStyle": {"color": hue, "opacity": 1},
                "data": [[across, rule.reward.mean, f"{name}: reward {rule.reward.mean:.2f} at {across:.3g} {x}"]],
                "tooltip": plots.hover(),
                "markLine": plots.bars_of([(across, rule.reward.low, rule.reward.high)], hue),
            }
        )
    option = plots.framed(series, x, "mean reward", legend=True, xAxis={"scale": False})
    plots.draw(option, "worth", f"Mean reward against {x}, of routing and its alternatives.", 420)
    st.caption(
        "A model's point: it answers every request. RMR: all answer, and the reward model keeps the best answer. "
        "Rewards are the reward model's scores, of which only differences are meaningful. Bars are 95% confidence "
        "intervals."
    )
    with st.expander("All figures as a table"):
        tables.draw("worth", *figures(report))
        share = " Cost of routing: as a share of the row's cost." if priced else ""
        st.caption(f"In parentheses: 95% confidence intervals.{share}")


def draw_decisions(source: Source, pool: tuple[str, ...]) -> None:
    """The newest decisions; one is opened in full, at first the newest one that every model answered."""
    entries = traffic_source.newest(source)
    entries += [entry for _, entry in traffic_source.feedback(source) if entry not in entries]
    texts = {
        entry.request_id: f"{day(entry.time)} {entry.candidate or 'no answer'}: {clipped(entry.query, 70)}"
        for entry in entries
    }
    names, sampled = list(texts), traffic_source.answered_by_all(source)
    first = next((place for place, name in enumerate(names) if name in sampled), 0)
    picked = st.selectbox("Decision", names, first, format_func=lambda name: texts[name], key="decision")
    if entry := next((entry for entry in entries if entry.request_id == picked), None):
        draw_decision(source, entry, pool)


def draw_decision(source: Source, entry: LoggedDecision, pool: tuple[str, ...]) -> None:
    """Why somebody answered, and what the others would have said."""
    st.text(entry.query)
    tags = "".join(f" :gray-badge[{plain(tag)}]" for tag in entry.tags)
    st.markdown(f"{charts.badge(pool, entry.candidate or 'no answer')}{tags}")
    st.markdown(REASONS.get(entry.reason or "", ""))
    if entry.probabilities:
        st.markdown(f"Probabilities: {charts.in_words(entry.probabilities)}.")
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
            verdict = "good" if reward.reward > 0 else "bad" if reward.reward < 0 else "neither good nor bad"
            st.markdown(f"Feedback: {verdict} ({reward.reward:g}).")
            continue
        with st.expander(f"{plain(reward.candidate)}{served}: reward {reward.reward:.2f}"):
            text = reward.answer or (entry.answer if served else None)
            st.text(text or "The text of this answer is not kept. `[learn] answers = true` keeps it.")
    if not rewards:
        st.markdown("No reward yet: `zooter learn` computes them in the background.")


def draw_feedback(source: Source, pool: tuple[str, ...]) -> None:
    """The newest votes of users."""
    entries = traffic_source.feedback(source)
    if not entries:
        st.markdown("None yet: `POST /v1/feedback` takes it, and `zooter learn import` reads the demo's votes.")
    for reward, entry in entries:
        icon = ":material/thumb_up:" if reward.reward > 0 else ":material/thumb_down:"
        icon = icon if reward.reward else ":material/balance:"
        badge = charts.badge(pool, reward.candidate)
        st.markdown(f"{icon} {day(reward.time)} {badge} {plain(clipped(entry.query, 90))}")
