"""Robustness: the share of queries whose candidate stays the same after an edit that does not change the meaning.

RouterArena (arXiv 2510.00202) measures robustness to small perturbations of the prompt in this way.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from zooter_core.data.scores import paraphrases
from zooter_core.evaluation.figures import Robustness
from zooter_core.router.router import Router

POLITE = ("Hello! ", "Please help me with this: ", "Hi there, could you do something for me? ", "Dear assistant, ")
TYPOS = 75  # characters for each misspelt word; at least one word is misspelt


def _dice(text: str) -> random.Random:
    """Random numbers that depend on the text alone, so that figures are reproducible."""
    return random.Random(hashlib.sha256(text.encode("utf-8", "replace")).digest())


def typos(text: str) -> str:
    """Swap two neighbouring letters inside some words."""
    dice = _dice(text)
    words = [match.span() for match in re.finditer(r"[^\W\d_]{4,}", text)]
    letters = list(text)
    for start, end in dice.sample(words, min(len(words), max(1, len(text) // TYPOS))):
        place = dice.randrange(start + 1, end - 2) if end - start > 4 else start + 1
        letters[place], letters[place + 1] = letters[place + 1], letters[place]
    return "".join(letters)


EDITS: dict[str, Callable[[str], str]] = {
    "lower case": str.lower,
    "upper case": str.upper,
    "spaces": lambda text: "  " + re.sub(r" ", "  ", text) + " \n",
    "no final mark": lambda text: text.rstrip().rstrip(".?!"),
    "polite prefix": lambda text: _dice(text).choice(POLITE) + text,
    "typos": typos,
}


def robustness(router: Router, queries: Sequence[str]) -> Robustness:
    """The share of queries whose candidate stays the same when their wording changes.

    `paraphrases` is the share of this project's pairs of paraphrases whose two queries get the same candidate.
    """

    def choices(texts: Sequence[str]) -> NDArray[np.intp]:
        return router.probabilities(texts).argmax(axis=1)

    before = choices(queries)
    edits = {}
    for name, edit in EDITS.items():
        edits[name] = float((choices([edit(query) or query for query in queries]) == before).mean())
    pairs = paraphrases()
    one, other = (choices([pair[side] for pair in pairs]) for side in (0, 1))
    return Robustness(
        n=len(queries),
        edits=edits,
        mean=sum(edits.values()) / len(edits),
        pairs=len(pairs),
        paraphrases=float((one == other).mean()),
    )
