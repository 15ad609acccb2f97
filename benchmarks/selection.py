"""How well the expected gain finds queries for which a second candidate pays off: python benchmarks/selection.py FILE

Every query is held back once: routers are trained on four fifths of the queries and give the unsureness of the others.
With --left-out, data sets are held back instead. `area` is the mean score over the range from 1 to k calls per query,
if the response with the best score of the k most probable candidates is kept. `gain` is the difference from choosing
the queries at random, `minus margin` the difference from choosing them by the margin, on the same resampled queries.

A judge is not always right. The last lines show how often it must choose the better of two different responses for the
second call to gain anything, and the gain at several rates: for all queries, and for the fifth with the largest
expected gain. A judge is measured with --judge, a file with its scores of the same responses, or with --judges ae2 ae1
if the lines of FILE have the scores of a judge and of another one that counts as the truth (as in label_quality.py).
"""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

import numpy as np
from heads import FOLDS, splits
from label_quality import of_judges
from score_file import parsed, parser_of

from zooter_core.data.scores import Scores, read_scores
from zooter_core.method import selection
from zooter_core.method.metrics import interval, quantile_interval
from zooter_core.method.selection import Outputs
from zooter_core.pipeline.train import SCORE_LABELS, choose_tags
from zooter_core.router.distill import Scored, learn_auto_kind
from zooter_core.router.encoder import Encoder
from zooter_core.router.kinds import AUTO_KIND, configure
from zooter_core.router.neighbours import Neighbours

RATES = (0.6, 0.7, 0.8, 0.9, 1.0)  # how often a judge is right
SHARE = 0.2  # the share of the queries that get a second call


def held_back(scores: Scores, encoder: Encoder, left_out: bool) -> Outputs:
    """The routers' outputs for unseen queries."""
    vectors = encoder.embed_all([query.text for query in scores.queries])
    sentences = encoder.sentence(vectors)
    middle = vectors[:, : vectors.shape[1] - sentences.shape[1]]
    tags, config = choose_tags(scores, "auto", vectors), configure(AUTO_KIND)
    probabilities, gain = np.empty_like(scores.scores), np.empty(len(vectors))
    for mask in splits(np.array(scores.datasets), 0)["left_out" if left_out else "folds"]:
        train, judged = np.flatnonzero(~mask), np.flatnonzero(mask)
        names = [scores.datasets[row] for row in train]
        scored = Scored.of(scores.scores[train], names, tags.rows(train), vectors[train], SCORE_LABELS)
        head, _ = learn_auto_kind(scored, scores.candidates, "", config)
        shares = head.probabilities(vectors[train])
        learned = Neighbours.of(
            scores.subset(train.tolist()), sentences[train], shares, shares, middle=middle[train]
        )  # fmt: skip
        probabilities[judged] = head.probabilities(vectors[judged])
        gain[judged] = learned.gain_ranks(vectors[judged], selection.ranking(probabilities[judged])[:, :2])
    return Outputs(probabilities, gain=gain)


def curves(outputs: Outputs, scores: Scores) -> list[dict[str, Any]]:
    """The curves by the gain and by the margin. `minus_margin` is the 95% interval of the difference of their areas."""
    margins, rows = selection.margin(outputs.probabilities), []
    for part, values in ((outputs, outputs.gain), (Outputs(outputs.probabilities), margins)):
        for curve in selection.report(part, scores.scores).curves:
            top = selection.best_of(outputs.probabilities, scores.scores, curve.k)
            minus = selection.lifts(values, top) - selection.lifts(margins, top)
            rows.append(asdict(curve) | {"minus_margin": quantile_interval(minus)})
    return sorted(rows, key=lambda row: row["k"])


def by_judge(outputs: Outputs, scores: Scores, judge: Scores | None) -> dict[str, Any]:
    """The gain of a second call with judges that are right at given rates, and with a measured judge."""
    rows = np.arange(len(scores.queries))[:, None]
    top = selection.ranking(outputs.probabilities)[:, :2]
    first, second = scores.scores[rows, top].T
    unsure = outputs.gain > np.quantile(outputs.gain, 1 - SHARE)
    better, worse = np.maximum(second - first, 0), np.maximum(first - second, 0)

    def gains(of_all: np.ndarray) -> list[Any]:
        return [[float(part.mean()), *interval(part)] for part in (of_all, np.where(unsure, of_all, 0))]

    result: dict[str, Any] = {
        "needed": [float(down.sum() / (up.sum() + down.sum())) for up, down in
                   ((better, worse), (better[unsure], worse[unsure]))],
        "rates": {rate: gains(rate * better - (1 - rate) * worse) for rate in RATES},
    }  # fmt: skip
    if judge is not None:
        rewards = np.nan_to_num(judge.scores[rows, top], nan=-np.inf)
        gained = np.where(rewards[:, 1] > rewards[:, 0], second, first) - first
        differ = first != second
        right = (np.sign(rewards[:, 0] - rewards[:, 1]) * np.sign(first - second) + 1) / 2  # a tie is half right
        result["judge"] = {"right": float(right[differ].mean()), "gains": gains(gained)}
    return result


def show_judges(figures: dict[str, Any]) -> None:
    def cell(gain: list[float]) -> str:
        return "{:+.2f} ({:.2f} to {:.2f})".format(*(100 * value for value in gain))

    needed = " and ".join(f"{100 * rate:.0f}%" for rate in figures["needed"])
    print(f"a judge must be right in {needed} of the queries where the two differ: all, and those of {SHARE:.0%}")
    for rate, gains in figures["rates"].items():
        print(f"right in {rate:.0%}: {cell(gains[0])} for 1 more call, {cell(gains[1])} for {SHARE}")
    if "judge" in figures:
        gains = figures["judge"]["gains"]
        print(f"the judge is right in {figures['judge']['right']:.0%}: {cell(gains[0])}, {cell(gains[1])}")


def show(report: dict[str, Any]) -> None:
    print(f"{report['n']} queries held back by {report['by']}: scores x 100, ", end="")
    print(f"{report['seconds']:.0f} s")
    columns = ("trigger", "k", "one call", "k calls", "area", "random", "gain, 95%", "minus margin, 95%")
    widths = (13, 2, 9, 8, 7, 7, 23, 17)
    print("".join(f"{name:>{width + 1}}" for name, width in zip(columns, widths, strict=True)))
    for row in report["curves"]:
        ends = [f"{100 * row['points'][end]['score']:.2f}" for end in (0, -1)]
        low, high = (100 * end for end in row["interval"])
        gain = f"{100 * row['gain']:.2f} ({low:.2f} to {high:.2f})"
        minus = " to ".join(f"{100 * end:.2f}" for end in row["minus_margin"])
        areas = [f"{100 * row[key]:.2f}" for key in ("area", "area_random")]
        cells = (row["trigger"], str(row["k"]), *ends, *areas, gain, minus)
        print("".join(f"{cell:>{width + 1}}" for cell, width in zip(cells, widths, strict=True)))


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--left-out", action="store_true")
    parser.add_argument("--judge", metavar="FILE")
    parser.add_argument("--judges", nargs=2, metavar="NAME")
    parser.add_argument("--without", nargs="+", default=[], metavar="NAME", help="candidates to leave out")
    call = parsed(parser)
    begun, judge = time.perf_counter(), None
    if call.judges:
        judge, scores = of_judges(call.scores, call.judges, call.without)
    else:
        scores = read_scores([call.scores])
        scores = scores.only([name for name in scores.candidates if name not in call.without])
    outputs = held_back(scores, Encoder(call.encoder), call.left_out)
    able = selection.scored(outputs, scores.scores)  # for other queries, scores of the most probable ones are missing
    outputs, scores = outputs.of_queries(able), scores.subset(np.flatnonzero(able).tolist())
    rows = curves(outputs, scores)
    if call.judge:
        judge = read_scores([call.judge]).only(scores.candidates)
    if judge is not None:
        places = {query.id: row for row, query in enumerate(judge.queries)}
        judge = judge.subset([places[query.id] for query in scores.queries])
    by = "data sets left out" if call.left_out else f"{FOLDS} folds"
    show({"curves": rows, "n": len(scores.queries), "by": by, "seconds": time.perf_counter() - begun})
    show_judges(by_judge(outputs, scores, judge))


if __name__ == "__main__":
    main()
