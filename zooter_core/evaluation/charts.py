"""What two charts show that the command line saves and the demo draws: the score over beta, and quality over cost."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from zooter_core.evaluation.figures import Sweep, SweepRow
from zooter_core.evaluation.report_tables import Point

DASHES = ("solid", "dashed", "dotted")
GREY = "#888888"
SWEEP_AXES = ("beta (weight of the plain label)", "mean score per query, 95% interval")
RANDOM_QUERIES = "random queries"


@dataclass(frozen=True)
class Line:
    """A line of a chart.

    Attributes:
        points: (x, y).
        texts: each point in words, the parts one below the other; none for a line without marks.
        intervals: the ends of each point's interval in y, where it has one.
        best: the numbers of the points that have a star.
    """

    name: str
    points: Sequence[tuple[float, float]]
    colour: str
    dash: str = "solid"
    texts: Sequence[Sequence[str]] = ()
    intervals: Sequence[tuple[float, float]] = ()
    best: Collection[int] = ()


def sweep_lines(sweep: Sweep, colours: Sequence[str]) -> list[Line]:
    """The mean score over beta with its 95% interval, a line per tau; a star marks the best point."""
    by_tau: dict[float, list[SweepRow]] = {}
    for row in sorted(sweep.rows, key=lambda row: row.beta):
        by_tau.setdefault(row.tau, []).append(row)
    return [
        Line(
            f"tau {tau:g}",
            [(row.beta, row.mean) for row in rows],
            colours[number % len(colours)],
            DASHES[number % len(DASHES)],
            [_row_texts(row, sweep.is_best(row)) for row in rows],
            [row.interval for row in rows],
            [place for place, row in enumerate(rows) if sweep.is_best(row)],
        )
        for number, (tau, rows) in enumerate(by_tau.items())
    ]


def _row_texts(row: SweepRow, best: bool) -> list[str]:
    low, high = row.interval
    return [
        f"beta {row.beta:g}{' (the best)' if best else ''}",
        f"score {row.mean:.3f}, 95% interval {low:.3f} to {high:.3f}",
        f"{row.regret:.3f} below the oracle",
    ]


def curve_lines(
    curves: Mapping[str, Mapping[int, Sequence[Point]]], priced: bool, colours: Sequence[str]
) -> list[Line]:
    """Quality over cost: a line per trigger and k, and per k the straight line of as many random queries.

    Args:
        curves: name -> k -> the points in the order of cost. All names start and end at the same points.
        priced: cost in dollars; else in calls.
    """
    lines = []
    for place, (name, by_count) in enumerate(curves.items()):
        for number, (k, points) in enumerate(by_count.items()):
            places = [(point.cost(priced), point.reward) for point in points]
            if place == 0:
                lines.append(Line(RANDOM_QUERIES, [places[0], places[-1]], GREY, "dotted"))
            texts = [curve_texts(point, priced) for point in points]
            colour, dash = colours[place % len(colours)], DASHES[number % len(DASHES)]
            lines.append(Line(f"{name}, {k} models if unsure", places, colour, dash, texts))
    return lines


def curve_texts(point: Point, priced: bool) -> list[str]:
    """A point of a curve in words."""
    return [
        f"{point.k} models for {point.share:.0%} of the queries",
        point.described(priced),
        f"those with an uncertainty above {point.threshold:.3f}",
    ]
