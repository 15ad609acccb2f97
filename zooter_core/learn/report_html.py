"""A report as one HTML file that needs nothing else: sentences, a chart of reward against cost, a table."""

from __future__ import annotations

import math
from collections.abc import Callable
from html import escape
from pathlib import Path

from zooter_core.base.files import open_atomic
from zooter_core.learn.drift import day
from zooter_core.learn.report import HEADINGS, NAMES, Report, Rule, rows_of, sentences
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
    parts += [f"<p>{escape(line)}</p>" for line in sentences(report)]
    if chart := _chart(report):
        parts += ["<h2>Reward against cost</h2>", chart]
    if report.rules:
        head = "".join(f"<th>{escape(name)}</th>" for name in HEADINGS)
        rows = ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in rows_of(report)]
        table = f"<tr>{head}</tr>" + "".join(f"<tr>{row}</tr>" for row in rows)
        parts += ["<h2>All figures</h2>", f'<div class="wide"><table>{table}</table></div>']
        parts.append(
            "<p><small>In parentheses: 95% confidence intervals. Cost of routing: as a share of the row's.</small></p>"
        )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def _chart(report: Report) -> str:
    """Rules as points, reward over dollars; empty without prices."""
    rules = [rule for rule in report.rules if math.isfinite(rule.dollars.mean)]
    if len(rules) < 2 or not any(rule.dollars.mean > 0 for rule in rules):
        return ""
    across = [1000 * rule.dollars.mean for rule in rules]
    up = [value for rule in rules for value in (rule.reward.low, rule.reward.high) if math.isfinite(value)]
    low, high = min(up), max(up)
    span = (high - low) or 1.0

    def x(dollars: float) -> float:
        return EDGE + (WIDTH - 2 * EDGE) * dollars / max(across)

    def y(reward: float) -> float:
        return HEIGHT - EDGE + (2 * EDGE - HEIGHT) * (reward - low) / span

    shapes = [
        f'<line x1="{EDGE}" y1="{HEIGHT - EDGE}" x2="{WIDTH - EDGE}" y2="{HEIGHT - EDGE}" stroke="var(--line)"/>',
        f'<text x="{WIDTH - EDGE}" y="{HEIGHT - 20}" text-anchor="end">dollars per 1,000 answers</text>',
        f'<text x="{EDGE}" y="{EDGE / 2}">mean reward</text>',
        *(f'<text x="{EDGE - 6}" y="{y(value):.0f}" text-anchor="end">{value:.2f}</text>' for value in (low, high)),
        *(
            f'<text x="{x(v):.0f}" y="{HEIGHT - EDGE + 16}" text-anchor="middle">{v:.2f}</text>'
            for v in (0, max(across))
        ),
        *(_point(rule, x(dollars), y) for rule, dollars in zip(rules, across, strict=True)),
    ]
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Reward against cost">{"".join(shapes)}</svg>'


def _point(rule: Rule, x: float, y: Callable[[float], float]) -> str:
    colour = "var(--mark)" if rule.name == ROUTING else "var(--dot)"
    anchor, aside = ("end", -9) if x > WIDTH / 2 else ("start", 9)
    at, low, middle, high = f"{x:.0f}", *(f"{y(value):.0f}" for value in _ends(rule))
    bar = f'<line x1="{at}" x2="{at}" y1="{low}" y2="{high}" stroke="{colour}"/>'
    dot = f'<circle cx="{at}" cy="{middle}" r="5" fill="{colour}"/>'
    place = f'x="{x + aside:.0f}" y="{int(middle) - 7}" text-anchor="{anchor}"'
    return f"{bar}{dot}<text {place}>{escape(NAMES.get(rule.name, rule.name))}</text>"


def _ends(rule: Rule) -> tuple[float, float, float]:
    """The lower end of the interval, the mean, and the upper end."""
    mean, low, high = rule.reward.mean, rule.reward.low, rule.reward.high
    return (low, mean, high) if math.isfinite(low) else (mean, mean, mean)
