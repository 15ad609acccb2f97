"""A report as one HTML file that needs nothing else: sentences, a chart of reward against cost, a table."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from itertools import product
from pathlib import Path

from zooter_core.base.files import open_atomic
from zooter_core.learn.drift import day
from zooter_core.learn.report import (
    AGREEMENT_HEADINGS,
    CALIBRATION_HEADINGS,
    NAMES,
    Report,
    Rule,
    agreement_rows,
    calibration_rows,
    figures,
    statements,
)
from zooter_core.method.worth import ROUTING

STYLE = """
:root { color-scheme: light dark; --ink: #1f2328; --line: #d0d7de; --dot: #6e7781; --mark: #0b7a75; --paper: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --line: #3d444d; --dot: #9198a1; --mark: #3fb8af; --paper: #0d1117; }
}
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 54rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
p:first-of-type { font-size: 1.15rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .3rem .7rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } small { color: var(--dot); }
svg { width: 100%; height: auto; } svg text { fill: var(--ink); font: 14px system-ui, sans-serif; }
"""
WIDTH, HEIGHT, EDGE = 640, 340, 56
COST = " Cost of routing: as a share of the row's."
LETTER, LINE = 8, 14  # the room that a name takes


def write_html(report: Report, path: Path) -> None:
    """Write a report as an HTML file.

    Raises:
        ZooterError: there can be no such file.
        WorkError: the disk is full.
    """
    with open_atomic(path) as file:
        file.write(html_of(report))


def html_of(report: Report) -> str:
    """The page."""
    title = f"What routing is worth: {report.fleet}"
    parts = [f"<h1>{escape(title)}</h1>", f"<small>{day(report.since)} to {day(report.until)}</small>"]
    parts += [f"<p>{escape(line)}</p>" for line in statements(report)]
    if report.changes:
        parts.append("<h2>What has changed</h2>")
        parts += [f"<p>{_code(change.text)}</p>" for change in report.changes]
    priced = any(rule.dollars.mean > 0 for rule in report.rules)
    if chart := _chart(report, priced):
        parts += [f"<h2>Reward against {'cost' if priced else 'time'}</h2>", chart]
    if report.rules:
        parts += _table(
            "All figures", *figures(report),
            f"In parentheses: 95% confidence intervals.{COST if priced else ''}",
        )  # fmt: skip
    if report.calibration:
        parts += _table(
            "The router's probabilities", CALIBRATION_HEADINGS, calibration_rows(report.calibration),
            "Of sampled requests: the probability of the router's choice, and how often it was the best.",
        )  # fmt: skip
    if report.agreement:
        parts += _table(
            "The reward model and people", AGREEMENT_HEADINGS, agreement_rows(report),
            "In how many pairs of a liked and a disliked answer the liked one has the higher reward; guessing has 50%.",
        )  # fmt: skip
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def _table(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> list[str]:
    head = "".join(f"<th>{escape(name)}</th>" for name in headings)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return [
        f"<h2>{escape(title)}</h2>",
        f'<div class="wide" tabindex="0"><table><tr>{head}</tr>{body}</table></div>',
        f"<p><small>{escape(caption)}</small></p>",
    ]


def _code(text: str) -> str:
    """A sentence of ours; what is between backticks is code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if place % 2 else part for place, part in enumerate(parts))


def _chart(report: Report, priced: bool) -> str:
    """Rules as points, reward over dollars, or over seconds without prices; empty with neither."""
    points = [(rule, 1000 * rule.dollars.mean if priced else rule.seconds.mean) for rule in report.rules]
    rules = [rule for rule, value in points if math.isfinite(value)]
    across = [value for _, value in points if math.isfinite(value)]
    if len(rules) < 2 or not max(across) > 0:
        return ""
    up = [value for rule in rules for value in (rule.reward.low, rule.reward.high) if math.isfinite(value)]
    low, high = min(up), max(up)
    title = "dollars per 1,000 answers" if priced else "seconds per answer"
    span = (high - low) or 1.0

    def x(value: float) -> float:
        return EDGE + (WIDTH - 2 * EDGE) * value / max(across)

    def y(reward: float) -> float:
        return HEIGHT - EDGE + (2 * EDGE - HEIGHT) * (reward - low) / span

    shapes = [
        f'<line x1="{EDGE}" y1="{HEIGHT - EDGE}" x2="{WIDTH - EDGE}" y2="{HEIGHT - EDGE}" stroke="var(--line)"/>',
        f'<text x="{WIDTH - EDGE}" y="{HEIGHT - 20}" text-anchor="end">{title}</text>',
        f'<text x="{EDGE}" y="{EDGE / 2}">mean reward</text>',
        *(f'<text x="{EDGE - 6}" y="{y(value):.0f}" text-anchor="end">{value:.2f}</text>' for value in (low, high)),
        *(
            f'<text x="{x(v):.0f}" y="{HEIGHT - EDGE + 16}" text-anchor="middle">{v:.2f}</text>'
            for v in (0, max(across))
        ),
    ]
    taken = [(x(value) - 6, x(value) + 6, y(rule.reward.mean) + 5) for rule, value in zip(rules, across, strict=True)]
    shapes += [_point(rule, x(value), y, taken) for rule, value in zip(rules, across, strict=True)]
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Reward against {title}">{"".join(shapes)}</svg>'


def _point(rule: Rule, x: float, y: Callable[[float], float], taken: list[tuple[float, float, float]]) -> str:
    """A point with its interval and its name, which stands clear of what is in `taken`: left, right, height."""
    colour = "var(--mark)" if rule.name == ROUTING else "var(--dot)"
    at, low, middle, high = f"{x:.0f}", *(f"{y(value):.0f}" for value in _ends(rule))
    bar = f'<line x1="{at}" x2="{at}" y1="{low}" y2="{high}" stroke="{colour}"/>'
    dot = f'<circle cx="{at}" cy="{middle}" r="5" fill="{colour}"/>'
    name = NAMES.get(rule.name, rule.name)
    width = LETTER * len(name)
    for down, aside in product((4, -9, 17, -22, 30, -35, 43), (9, -9)):
        left, height = x + aside - (width if aside < 0 else 0), int(middle) + down
        if (
            left >= 0
            and left + width <= WIDTH
            and not any(
                left < right and begin < left + width and abs(height - other) < LINE for begin, right, other in taken
            )
        ):
            break
    taken.append((left, left + width, height))
    place = f'x="{x + aside:.0f}" y="{height}" text-anchor="{"end" if aside < 0 else "start"}"'
    return f"{bar}{dot}<text {place}>{escape(name)}</text>"


def _ends(rule: Rule) -> tuple[float, float, float]:
    """The lower end of the interval, the mean, and the upper end."""
    mean, low, high = rule.reward.mean, rule.reward.low, rule.reward.high
    return (low, mean, high) if math.isfinite(low) else (mean, mean, mean)
