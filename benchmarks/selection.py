"""Which trigger best finds queries where a second candidate pays: python benchmarks/selection.py FILE [--json]

Every query is held back once: routers of kind zooter are trained on four fifths and give the unsureness of the rest.
With --left-out, data sets are held back instead. `area` is the mean score over the range from 1 to k calls per query,
when the response with the best score of the k most probable candidates is kept. `gain` is the difference from choosing
the queries at random, and `minus best` the difference from the best trigger for that k, on the same resampled queries.
"""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
from score_file import parsed, parser_of, trained

from zooter_core.data.scores import Scores, read_scores
from zooter_core.method import selection
from zooter_core.method.metrics import quantile_interval
from zooter_core.method.selection import Outputs
from zooter_core.pipeline.train import tags_of
from zooter_core.router.encoder import Encoder
from zooter_core.router.kinds import DistillConfig

FOLDS = 5


def parts_of(scores: Scores, seed: int, left_out: bool) -> list[np.ndarray]:
    """Masks of the rows that are held back together."""
    names = np.array(scores.datasets)
    if left_out:
        return [names == name for name in dict.fromkeys(names.tolist())]
    folds = np.random.default_rng(seed).permutation(len(names)) % FOLDS
    return [folds == fold for fold in range(FOLDS)]


def held_back(scores: Scores, encoder: Encoder, seed: int, left_out: bool) -> Outputs:
    """The routers' outputs for unseen queries."""
    vectors = encoder.embed_all([query.text for query in scores.queries])
    tags = tags_of(scores, "auto", vectors, seed)
    probabilities, members = np.empty_like(scores.scores), None
    for mask in parts_of(scores, seed, left_out):
        train, judged = np.flatnonzero(~mask), np.flatnonzero(mask)
        head = trained(scores, vectors, tags, DistillConfig(seed=seed), train)
        outputs = head.outputs(vectors[judged])
        assert outputs.members is not None
        members = np.empty((len(outputs.members), *scores.scores.shape)) if members is None else members
        probabilities[judged], members[:, judged] = outputs.probabilities, outputs.members
    return Outputs(probabilities, members)


def against_best(outputs: Outputs, scores: Scores, report: dict[str, Any], seed: int) -> None:
    """Add `minus_best` to each curve: the 95% interval of its area minus that of the best trigger for its k."""
    samples = {}
    for row in report["curves"]:
        top = selection.best_of(outputs.probabilities, scores.scores, row["k"])
        values = selection.unsureness(outputs, row["trigger"])
        samples[row["trigger"], row["k"]] = selection.lifts(values, top, seed)
    for row in report["curves"]:
        best = max((one for one in report["curves"] if one["k"] == row["k"]), key=lambda one: one["gain"])
        difference = samples[row["trigger"], row["k"]] - samples[best["trigger"], best["k"]]
        row["minus_best"] = quantile_interval(difference)


def show(report: dict[str, Any]) -> None:
    print(f"{report['n']} queries held back by {report['by']}, seed {report['seed']}: scores x 100, ", end="")
    print(f"{report['seconds']:.0f} s")
    columns = ("trigger", "k", "one call", "k calls", "area", "random", "gain, 95%", "minus best, 95%")
    widths = (13, 2, 9, 8, 7, 7, 23, 17)
    print("".join(f"{name:>{width + 1}}" for name, width in zip(columns, widths, strict=True)))
    for row in report["curves"]:
        ends = [f"{100 * row['points'][end]['score']:.2f}" for end in (0, -1)]
        low, high = (100 * end for end in row["interval"])
        gain = f"{100 * row['gain']:.2f} ({low:.2f} to {high:.2f})"
        minus = " to ".join(f"{100 * end:.2f}" for end in row["minus_best"])
        areas = [f"{100 * row[key]:.2f}" for key in ("area", "area_random")]
        cells = (row["trigger"], str(row["k"]), *ends, *areas, gain, minus)
        print("".join(f"{cell:>{width + 1}}" for cell, width in zip(cells, widths, strict=True)))
    best = report["best"]
    print(f"best for k = 2: {best['trigger']}; beats random beyond its interval: {best['beats_random']}")


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--left-out", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    call = parsed(parser)
    begun, scores = time.perf_counter(), read_scores([call.scores])
    outputs = held_back(scores, Encoder(call.encoder), call.seed, call.left_out)
    report = selection.report(outputs, scores.scores, seed=call.seed)
    against_best(outputs, scores, report, call.seed)
    by = "data sets left out" if call.left_out else f"{FOLDS} folds"
    report |= {"n": len(scores.queries), "by": by, "seed": call.seed, "seconds": time.perf_counter() - begun}
    if call.json:
        print(json.dumps(report))
    else:
        show(report)


if __name__ == "__main__":
    main()
