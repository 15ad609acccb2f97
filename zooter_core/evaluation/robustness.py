"""Does a choice survive what changes nothing? The share of queries whose candidate stays the same after an edit.

RouterArena (arXiv 2510.00202) measures routers so, as robustness to small perturbations of the prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zooter_core.evaluation.edits import EDITS, paraphrases
from zooter_core.router.router import Router


def robustness(router: Router, queries: Sequence[str]) -> dict[str, Any]:
    """For each edit the share of queries, in [0, 1], that keep their candidate; `mean` is over the edits.

    `paraphrases` is the same share of this project's own pairs; `n` and `pairs` say of how many.
    """
    before = router.probabilities(queries).argmax(axis=1)
    edits = {}
    for name, edit in EDITS.items():
        edited = [edit(query) or query for query in queries]
        edits[name] = float((router.probabilities(edited).argmax(axis=1) == before).mean())
    pairs = paraphrases()
    one, other = (router.probabilities([pair[side] for pair in pairs]).argmax(axis=1) for side in (0, 1))
    return {
        "n": len(queries),
        "edits": edits,
        "mean": sum(edits.values()) / len(edits),
        "pairs": len(pairs),
        "paraphrases": float((one == other).mean()),
    }
