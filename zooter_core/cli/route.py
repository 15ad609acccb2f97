"""`zooter route`: shows the probabilities, tags and choice for a query, or for each line of stdin."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from zooter_core.base.errors import one_line
from zooter_core.base.records import Decision
from zooter_core.base.terminal import json_text
from zooter_core.cli.fleets import open_ensemble
from zooter_core.cli.options import FLEET, JSON, QUERY_OR_STDIN, WILLINGNESS, flag
from zooter_core.cli.stdin import STDIN, stdin_queries
from zooter_core.data import prices

if TYPE_CHECKING:
    from zooter_core.router.explain import Explanation

MOST_SHOWN = 5  # words for the choice, words against it, and similar queries


def route(
    query: str = QUERY_OR_STDIN,
    fleet: Path | None = FLEET,
    willingness: float | None = WILLINGNESS,
    why: bool = flag("--why", "Explain the choice by words, tags and similar queries."),
    json: bool = JSON,
) -> None:
    ensemble = open_ensemble(fleet)
    note = ensemble.router.note
    if note and not json:
        print(f"{note} `zooter exam` trains one.", file=sys.stderr)
    for text in (line.text for line in stdin_queries()) if query == STDIN else [query]:
        decision = ensemble.route(text, willingness)
        explanation = ensemble.explain(decision) if why else None
        if json:
            shape = decision.to_json() | ({"why": explanation.to_json()} if explanation else {})
            shape |= {"note": note} if note else {}
            print(json_text(shape), flush=query == STDIN)
            continue
        _print(decision)
        if explanation:
            _print_why(explanation)


def _print(decision: Decision) -> None:
    from rich.table import Table

    from zooter_core.cli.consoles import out

    utilities = decision.utilities or {}
    columns = ("candidate", "probability", *(["utility"] if utilities else []))
    table = Table(*columns, title=one_line(decision.query), title_justify="left")
    for name, p in decision.probabilities.items():
        cells = [f"{p:.1%}", *([f"{utilities[name]:.1%}"] if utilities else [])]
        table.add_row(name, *cells, style="bold" if name == decision.candidate else "")
    out.print(table)
    out.print("tags: " + (", ".join(f"{tag.name} ({tag.score:.2f})" for tag in decision.tags) or "none"))
    out.print(f"chosen: {decision.candidate}, {decision.margin:.1%} ahead of the next; {decision.certainty}")
    if reason := prices.why(decision):
        out.print(reason)


def _print_why(why: Explanation) -> None:
    """Print the words that contribute most for and against the choice, the tags, and the most similar queries."""
    from rich.table import Table

    from zooter_core.cli.consoles import out

    order = sorted(why.pieces, key=lambda piece: -piece.contribution)
    for side, pieces in (("for", order[:MOST_SHOWN]), ("against", order[::-1][:MOST_SHOWN])):
        words = [p for p in pieces if (p.contribution > 0) == (side == "for") and abs(p.contribution) >= 0.005]
        shown = ", ".join(f"{piece.text[:40]!r} {piece.contribution:+.1%}" for piece in words)
        out.print(f"words {side} {why.candidate}: {shown or 'none'}")
    for tag in why.tags:
        out.print(f"tag {tag.name}: {tag.contribution:+.1%} for {why.candidate} in {tag.queries} queries")
    if not why.neighbours:
        return
    title = "label of similar queries and their rewards"
    table = Table("similarity", "query", *why.neighbours[0].label, title=title, title_justify="left")
    for near in why.neighbours[:MOST_SHOWN]:
        name = near.text or ", ".join((near.id, *near.tags))
        rewards = {name: f"{reward:.2f}" for name, reward in near.rewards.items()}  # a score may be missing
        cells = [f"{share:.0%} {rewards.get(name, '–')}" for name, share in near.label.items()]
        table.add_row(f"{near.similarity:.2f}", one_line(name, 50), *cells)
    out.print(table)
