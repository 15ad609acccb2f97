"""The page Traffic: a summary, charts, changes, feedback and decisions, from the traffic that the endpoint has stored.

Traffic contains what users wrote. A demo shows it only if other machines cannot reach it, or if its owner lets visitors
manage the fleet.
"""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

import streamlit as st

from zooter_core.backends.endpoint.faults import CUT_OFF, ENDED
from zooter_core.base.errors import ZooterError
from zooter_core.base.money import in_dollars
from zooter_core.config.fleet import Fleet
from zooter_core.evaluation.charts import ROUTER, error_bars, framed
from zooter_core.evaluation.thinking import twins
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.learn.advice import Setup, advise
from zooter_core.learn.changes import day
from zooter_core.learn.report import TrafficReport, report_on
from zooter_core.learn.report_text import NAMES, WITH_THOUGHTS, figures, statements
from zooter_core.learn.traffic import FILE, Traffic, data_folder
from zooter_core.learn.traffic_rows import FEEDBACK, SAMPLE, LoggedDecision, LoggedReward
from zooter_core.method.worth import RANDOM, RMR, ROUTING
from zooter_core.ui import charts, resources, tables
from zooter_core.ui.answer_view import counted
from zooter_core.ui.history import is_local
from zooter_core.ui.models import manage
from zooter_core.ui.text import clipped, plain, with_commands

PERIODS = {"Last day": (1, 1), "Last 7 days": (7, 6), "Last 30 days": (30, 24)}  # days, and hours per step
DAY = 86_400.0
FRESH_SECONDS = 20  # how long a report is cached
SYMBOLS = {ROUTING: "star", RANDOM: "cross", RMR: "diamond"}  # as on the Benchmark page
ICONS = {"reward": "trending_down", "far": "explore", "calibration": "speed"}
NEWEST, FEEDBACKS = 20, 8  # numbers of decisions and of votes that are shown
REASONS = {
    "router": "The router expected its answer to be the best.",
    "sticky": "The conversation kept its model, since no other led by a clear margin.",
    "switched": "The conversation changed its model, since another led by a clear margin.",
    "tool_loop": "The model was in the middle of calling tools.",
    "previous": "The request continued an answer of this model.",
    "chore": "A chat application asked for something of its own, such as a title.",
    "named": "The client named the model.",
    "rmr": "Every model answered, and the reward model kept the best answer.",
    "compare": "It is a vote on the page Compare.",
    "best": "The router was unsure: the first models answered, and the reward model kept the best answer.",
    "import": "It comes from a log of another program.",
}


@dataclass(frozen=True)
class Source:
    """A traffic file and the period that is shown."""

    folder: Path
    since: float
    until: float
    steps: int  # hours per step in the chart over time


def may_look() -> bool:
    return is_local() or manage.allowed()


def traffic_folder(fleet: Fleet) -> Path | None:
    """The folder with a fleet's traffic; None if there is none, or if the visitor must not see it."""
    folder = data_folder(fleet)
    if not may_look() or not (folder / FILE).is_file():
        return None
    with open_traffic(folder) as traffic:
        return folder if traffic.newest(1) else None


def last_days(folder: Path, days: int, steps: int) -> Source:
    """The latest days of a fleet's traffic. The end is rounded, so that a cached report can be used for a while."""
    until = (time.time() // FRESH_SECONDS + 1) * FRESH_SECONDS
    return Source(folder, until - days * DAY, until, steps)


@st.cache_data(show_spinner="Summing up the traffic ...", max_entries=8)
def sum_up(source: Source, _ensemble: Ensemble) -> TrafficReport:
    """The report on a period. It also says which queries are unlike a trained router's training queries."""
    fleet = _ensemble.fleet
    trained = _ensemble if fleet.router else None
    with open_traffic(source.folder) as traffic:
        return report_on(traffic, fleet.name, source.since, source.until, trained, twins(fleet.candidates))


def open_traffic(folder: Path) -> Traffic:
    """Open the traffic in a folder. If it cannot be read, the page's run ends."""
    try:
        return Traffic.open(folder, create=False)
    except ZooterError as problem:
        resources.fail(str(problem))


def draw_empty(fleet: Fleet, hidden: bool) -> None:
    if hidden:
        message = "Traffic holds what users wrote, so this demo shows it only on the machine where it runs."
        st.info(message, icon=":material/lock:")
        return
    st.markdown("No traffic yet. Keep what comes through the endpoint, and this page says what routing is worth:")
    option = f" --fleet {quote(str(fleet.folder))}" if manage.is_users(fleet.folder) else ""
    st.code(f"zooter serve --learn{option}", language=None, wrap_lines=True)
    st.markdown("Old logs are a beginning too:")
    st.code(f"zooter learn import FILE{option}", language=None, wrap_lines=True)


def draw_sentences(report: TrafficReport) -> None:
    first, *rest = statements(report)
    st.markdown(f"## {with_commands(first)}")
    for line in rest:
        st.markdown(plain(line))
    if count := len(report.changes):
        st.markdown(f":material/warning: {count} warning{'s' if count > 1 else ''}: see *What has changed*.")


def draw_advice(report: TrafficReport, fleet: Fleet, folder: Path) -> None:
    advice = advise(report, Setup.of(fleet, folder))
    icon = ":material/check:" if not advice.command else ":material/lightbulb:"
    st.info(
        f"**{with_commands(advice.sentence)}** {with_commands(advice.reason_beside(statements(report)))}", icon=icon
    )
    if advice.command:
        st.code(advice.command, language=None, wrap_lines=True)


def draw_changes(report: TrafficReport) -> None:
    """Draw the warnings, and the tables behind the report's statements on probabilities and on thumbs."""
    if not report.changes:
        st.markdown("Nothing significant.")
    if report.note:
        st.caption(plain(report.note))
    for change in report.changes:
        st.warning(with_commands(change.message), icon=f":material/{ICONS[change.kind]}:")
    if report.calibration:
        with st.expander("Do the router's probabilities hold?"):
            headings = ("probability", "requests", "mean probability", "was the best")
            bins = [
                (f"{of['from']:.0%} to {of['to']:.0%}", f"{of['n']:,}", f"{of['probability']:.0%}", f"{of['won']:.0%}")
                for of in report.calibration.bins
            ]
            tables.draw("calibration", headings, bins, "rrrr")
            st.caption("Of sampled requests: the probability of the router's choice, and how often it was the best.")
    if report.agreement:
        with st.expander("Does the reward model agree with people?"):
            shares = [
                (plain(tag), f"{of.n:,}", plain(f"{of.mean:.0%} ({of.low:.0%} to {of.high:.0%})"))
                for tag, of in report.agreement.items()
            ]
            tables.draw("agreement", ("tag", "votes", "agreement"), shares)
            st.caption(
                "The share of pairs of a liked and a disliked answer where the liked one has the higher reward; "
                "guessing gives 50%. In parentheses: 95% confidence intervals."
            )


def draw_choices(source: Source, pool: tuple[str, ...]) -> None:
    """Draw requests over time by the candidate that answered. Each step is named by the second at which it starts."""
    counts = defaultdict[str, dict[int, int]](Counter)
    with open_traffic(source.folder) as traffic:
        for total in traffic.totals(source.since, source.until, hours=source.steps):
            if total.candidate and not total.chore and total.hour is not None:
                counts[total.candidate][total.hour * 3600] += total.n
    order = [*[name for name in pool if name in counts], *sorted(set(counts) - set(pool))]
    starts, step = sorted({start for steps in counts.values() for start in steps}), 3600 * source.steps
    bars = []
    for name in order:
        heights = [counts[name].get(start, 0) for start in starts]
        hovers = [
            f"{clipped(name, 80)} answered {height} request{'s' * (height != 1)} from {day(start)} on."
            for start, height in zip(starts, heights, strict=True)
        ]
        middles, shown = [charts.clock(start + step / 2) for start in starts], charts.label(name, 40)
        hue, width = charts.colour(pool, name), 850 * step  # in milliseconds, with a gap
        bars.append(charts.bars(middles, heights, hue, hovers, name=shown, width=width))
    hours = "hour" if source.steps == 1 else f"{source.steps} hours"
    times = charts.time_axis(source.since, max([source.until, *(start + step for start in starts)]))
    figure = framed(bars, "", f"requests per {hours}", legend=True, barmode="stack", xaxis=times)
    charts.draw(figure, "choices", f"Requests over time by the model that answered: {', '.join(order)}.", 320)


def draw_worth(report: TrafficReport, pool: tuple[str, ...]) -> None:
    """Draw reward against cost (or against seconds, without prices), with the alternatives as points."""
    if not report.rules:
        st.header("Reward against cost", anchor=False)
        st.markdown("Too few requests were answered by every model.")
        return
    priced = any(rule.dollars.mean > 0 for rule in report.rules)
    st.header(f"Reward against {'cost' if priced else 'time'}", anchor=False)
    x = "dollars per 1,000 answers" if priced else "seconds per answer"
    marks = []
    for rule in report.rules:
        across = 1000 * rule.dollars.mean if priced else rule.seconds.mean
        if not (math.isfinite(across) and math.isfinite(rule.reward.mean)):
            continue
        name = NAMES.get(rule.name, rule.name)
        shown = in_dollars(across) if priced else f"{across:.2f}"
        hue = ROUTER if rule.name == ROUTING else charts.colour(pool, rule.name)
        sentence = f"{clipped(name, 80)} earns a mean reward of {rule.reward.mean:.2f} at {shown} {x}."
        height, ends = [rule.reward.mean], error_bars([rule.reward.mean], [(rule.reward.low, rule.reward.high)], hue)
        symbol = SYMBOLS.get(rule.name) or charts.symbol(pool, rule.name)
        marker = {"symbol": symbol, "size": 14, "color": hue}
        marks.append(charts.dots([across], height, marker, [sentence], name=charts.label(name, 40), error_y=ends))
    figure = framed(marks, x, "mean reward", legend=True, xaxis={"rangemode": "tozero"})
    charts.draw(figure, "worth", f"Mean reward against {x}, of routing and its alternatives.", 420)
    st.caption(
        "A model's point: it answers every request. RMR: all answer, and the reward model keeps the best answer. "
        "Rewards are the reward model's scores, of which only differences are meaningful. Bars are 95% confidence "
        "intervals."
    )
    with st.expander("All figures as a table"):
        head, rows = figures(report)
        tables.draw("worth", head, [[plain(cell) or "–" for cell in row] for row in rows])
        share = " Cost of routing: beside the row's cost." if priced else ""
        thoughts = " Tokens: of an answer, thoughts included." if WITH_THOUGHTS in head else ""
        st.caption(f"In parentheses: 95% confidence intervals.{share}{thoughts}")


def draw_decisions(source: Source, pool: tuple[str, ...]) -> None:
    """Draw the latest decisions, with one in full: by default, the latest one that every model answered."""
    with open_traffic(source.folder) as traffic:
        entries = traffic.newest(NEWEST)
        entries += [entry for _, entry in traffic.newest_feedback(FEEDBACKS) if entry not in entries]
        rewards = traffic.rewards_for([entry.request_id for entry in entries])
    texts = {
        entry.request_id: f"{day(entry.time)} {entry.candidate or 'no answer'}: {clipped(entry.query, 70)}"
        for entry in entries
    }
    names, sampled = list(texts), {reward.request_id for reward in rewards if reward.why == SAMPLE}
    first = next((place for place, name in enumerate(names) if name in sampled), 0)
    picked = st.selectbox("Decision", names, first, format_func=lambda name: texts[name], key="decision")
    if entry := next((entry for entry in entries if entry.request_id == picked), None):
        draw_decision(entry, [reward for reward in rewards if reward.request_id == picked], pool)


def draw_decision(entry: LoggedDecision, rewards: list[LoggedReward], pool: tuple[str, ...]) -> None:
    """Draw why a model answered, and the other models' answers."""
    st.text(entry.query)
    tags = "".join(f" :gray-badge[{plain(tag)}]" for tag in entry.tags)
    st.markdown(f"{charts.badge(pool, entry.candidate or 'no answer')}{tags}")
    st.markdown(REASONS.get(entry.reason or "", ""))
    if entry.probabilities:
        st.markdown(f"Probabilities: {plain(charts.in_words(entry.probabilities))}.")
    facts = [
        f"{entry.seconds:.1f} s" if entry.seconds is not None else "",
        counted(entry.tokens, entry.thought_tokens or 0) if entry.tokens else "",
        f"${in_dollars(entry.dollars)}" if entry.dollars else "",
        "cut off at the token limit" if entry.finish in CUT_OFF else "" if entry.finish in ENDED else entry.finish,
    ]
    st.caption(plain(", ".join(filter(None, facts))))
    for reward in sorted(rewards, key=lambda reward: -reward.reward):
        served = " (served)" if reward.candidate == entry.candidate else ""
        if reward.source == FEEDBACK:
            verdict = "good" if reward.reward > 0 else "bad" if reward.reward < 0 else "neither good nor bad"
            st.markdown(f"Feedback: {verdict} ({reward.reward:g}).")
            continue
        with st.expander(f"{plain(reward.candidate)}{served}: reward {reward.reward:.2f}"):
            text = reward.answer or (entry.answer if served else None)
            st.text(text or "The text of this answer is not kept. `[learn] answers = true` keeps it.")
    if not rewards:
        st.markdown("No reward yet: `zooter learn` computes those of a share of the requests, in the background.")


def draw_feedback(source: Source, pool: tuple[str, ...]) -> None:
    with open_traffic(source.folder) as traffic:
        entries = traffic.newest_feedback(FEEDBACKS)
    if not entries:
        st.markdown("None yet: `POST /v1/feedback` takes it, and `zooter learn import` reads the demo's votes.")
    for reward, entry in entries:
        icon = ":material/thumb_up:" if reward.reward > 0 else ":material/thumb_down:"
        icon = icon if reward.reward else ":material/balance:"
        badge = charts.badge(pool, reward.candidate)
        st.markdown(f"{icon} {day(reward.time)} {badge} {plain(clipped(entry.query, 90))}")
