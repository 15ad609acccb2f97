"""A candidate left out of a router and added again: python benchmarks/extend.py FILE [--left 1 5] [--json]

A router over all candidates but one is trained on four fifths of the queries and extended with the last candidate's
scores on some of them. The last fifth is the test set. `old` is that router, `scratch` one trained on the full pool
with the same few queries, `all` one trained on all four fifths, and `single` the best candidate there. Scores are means
over the test queries, x 100.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from score_file import parsed, parser_of, trained

from zooter_core.data.scores import Scores, read_scores
from zooter_core.method import calibration, labels, metrics
from zooter_core.pipeline.train import SCORE_LABELS
from zooter_core.router.clusters import cluster_tags
from zooter_core.router.distilled import RouterHead
from zooter_core.router.encoder import Encoder
from zooter_core.router.extend import Examples, extend
from zooter_core.router.kinds import settings_of


def pool_of(examples: Examples, places: list[int]) -> Examples:
    """A copy with some of the candidates, in another order."""
    names = tuple(examples.scores.candidates[place] for place in places)
    scores = Scores(examples.scores.queries, names, examples.scores.scores[:, places])
    return Examples(scores, examples.vectors, examples.tags, examples.config)


def split(examples: Examples, seed: int) -> tuple[Examples, Examples]:
    """Four fifths as training set, a fifth as test set."""
    fifth = np.random.default_rng(seed).permutation(len(examples.vectors)) % 5 == 0
    return examples.subset(np.flatnonzero(~fifth)), examples.subset(np.flatnonzero(fifth))


def draw(examples: Examples, size: int, number: int) -> Examples:
    return examples.subset(np.random.default_rng(number).permutation(len(examples.vectors))[:size])


def fitted(examples: Examples, folder: str | None, name: str) -> RouterHead:
    """A router over the pool of `examples`, loaded from its folder if it is there, or else trained and saved there."""
    path = Path(folder) / name if folder else None
    if path and (path / "config.json").is_file():
        return RouterHead.load(path)
    head = trained(examples.scores, examples.vectors, examples.tags, settings_of("zooter"))
    if path:
        head.save(path)
    return head


def earned(head: RouterHead, examples: Examples) -> float:
    table = examples.scores.scores
    return float(table[np.arange(len(table)), head.logits(examples.vectors).argmax(axis=1)].mean())


def calibration_error(head: RouterHead, examples: Examples, temperature: float) -> float:
    """The expected calibration error of the probabilities."""
    probabilities = labels.softmax(head.logits(examples.vectors), temperature)
    return float(calibration.reliability(probabilities, metrics.win_shares(examples.scores.scores))["ece"])


def from_scratch(examples: Examples, call: argparse.Namespace) -> dict[int, float]:
    """Mean scores of routers trained on n queries alone; 0 stands for all four fifths."""
    rest, judged = split(examples, call.seed)
    scores_by_size = {0: earned(fitted(rest, call.keep, "all"), judged)}
    for size in call.sizes:
        parts = ((number, draw(rest, size, number)) for number in range(call.draws))
        scores = [earned(fitted(part, call.keep, f"scratch-{size}-{number}"), judged) for number, part in parts]
        scores_by_size[size] = float(np.mean(scores))
    return scores_by_size


def left_out(examples: Examples, column: int, scratch: dict[int, float], call: argparse.Namespace) -> dict[str, Any]:
    """One candidate left out and added again: the baselines, and a row for each number of queries."""
    places = [place for place in range(len(examples.scores.candidates)) if place != column]
    rest, judged = split(pool_of(examples, [*places, column]), call.seed)
    old = fitted(split(pool_of(examples, places), call.seed)[0], call.keep, f"without-{column}")
    before = old.logits(judged.vectors).argmax(axis=1)
    rows = []
    for size in call.sizes:
        trials = []
        for number in range(call.draws):
            part = draw(rest, size, number)
            begun = time.process_time()
            wider = extend(old, part, number).head
            seconds = time.process_time() - begun
            logits, at = wider.logits(judged.vectors), wider.config.calibration_temperature
            row = {"extended": earned(wider, judged), "chosen": float((logits.argmax(axis=1) == len(places)).mean())}
            row |= {"changed": float((logits[:, :-1].argmax(axis=1) != before).mean()), "temperature": at}
            row |= {"ece": calibration_error(wider, judged, at), "seconds": seconds}
            trials.append(
                row | {"ece_old_temperature": calibration_error(wider, judged, old.config.calibration_temperature)}
            )
        rows.append({"n": size, "scratch": scratch[size], "sd": float(np.std([one["extended"] for one in trials]))})
        rows[-1] |= {name: float(np.mean([one[name] for one in trials])) for name in trials[0]}
    table = judged.scores.scores
    baselines = {"old": earned(old, judged), "single": float(table[:, rest.scores.scores.mean(axis=0).argmax()].mean())}
    baselines |= {"all": scratch[0], "oracle": float(table.max(axis=1).mean())}
    return {"candidate": examples.scores.candidates[column], **baselines, "rows": rows}


def show(figures: dict[str, Any]) -> None:
    baselines = ", ".join(f"{name} {100 * figures[name]:.2f}" for name in ("old", "single", "all", "oracle"))
    print(f"\n{figures['candidate']}: {baselines}")
    heads = ("extended", "sd", "scratch", "chosen", "changed", "ECE", "at old T", "CPU s")
    print(f"{'n':>5}" + "".join(f"{head:>10}" for head in heads))
    for row in figures["rows"]:
        scores = "".join(f"{100 * row[name]:10.2f}" for name in ("extended", "sd", "scratch"))
        shares = f"{row['chosen']:10.0%}{row['changed']:10.1%}{row['ece']:10.3f}{row['ece_old_temperature']:10.3f}"
        print(f"{row['n']:5}{scores}{shares}{row['seconds']:10.1f}", flush=True)


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--left", nargs="+", type=int, default=[1, 5], metavar="PLACE", help="candidates, from 0")
    parser.add_argument("--sizes", nargs="+", type=int, default=[50, 200, 1000], metavar="N")
    parser.add_argument("--draws", type=int, default=3, help="random choices of the n queries (default: 3)")
    parser.add_argument("--seed", type=int, default=0, help="of the test set")
    parser.add_argument("--keep", metavar="DIR", help="save trained routers here, and reuse those that are here")
    call = parsed(parser)
    torch.set_num_threads(1)
    scores = read_scores([call.scores])
    vectors = Encoder(call.encoder).embed_all([query.text for query in scores.queries])
    examples = Examples(scores, vectors, cluster_tags(vectors), SCORE_LABELS)
    scratch, results = from_scratch(examples, call), []
    for column in call.left:
        results.append(left_out(examples, column, scratch, call))
        if not call.json:
            show(results[-1])
    if call.json:
        print(json.dumps({"n": len(vectors), "seed": call.seed, "draws": call.draws, "candidates": results}))


if __name__ == "__main__":
    main()
