"""Edits that should not change who answers: those that robustness is measured with, and others to learn from."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable
from pathlib import Path

from zooter_core.strict_json import parse_json

PARAPHRASES = Path(__file__).with_name("paraphrases.jsonl")  # written for this project
POLITE = ("Hello! ", "Please help me with this: ", "Hi there, could you do something for me? ", "Dear assistant, ")
TYPOS = 75  # one word in so many characters is misspelt, at least one
BEFORE = (
    "Good morning. ", "I have a question. ", "Can you tell me: ", "Hey, ", "Thanks in advance. ", "Quick one: ",
    "I would like your opinion. ", "Excuse me, ", "Would you kindly look at the following? ", "Next task:\n",
    "My friend asked me this. ", "One more thing. ",
)  # fmt: skip
AFTER = ("", "", " Thank you.", " Thanks!", "\nTake your time.", " That is all.")


def _dice(text: str, salt: str = "") -> random.Random:
    """Random numbers that depend on the text alone, so that a figure can be had again."""
    return random.Random(hashlib.sha256((salt + text).encode("utf-8", "replace")).digest())


def typos(text: str, salt: str = "") -> str:
    """Two neighbouring letters inside some words change places; another salt takes other words."""
    dice = _dice(text, salt)
    words = [found.span() for found in re.finditer(r"[^\W\d_]{4,}", text)]
    letters = list(text)
    for start, end in dice.sample(words, min(len(words), max(1, len(text) // TYPOS))):
        place = dice.randrange(start + 1, end - 2) if end - start > 4 else start + 1
        letters[place], letters[place + 1] = letters[place + 1], letters[place]
    return "".join(letters)


def _no_final_mark(text: str) -> str:
    return text.rstrip().rstrip(".?!")


EDITS: dict[str, Callable[[str], str]] = {
    "lower case": str.lower,
    "upper case": str.upper,
    "spaces": lambda text: "  " + re.sub(r" ", "  ", text) + " \n",
    "no final mark": _no_final_mark,
    "polite prefix": lambda text: _dice(text).choice(POLITE) + text,
    "typos": typos,
}


def paraphrases() -> list[tuple[str, str]]:
    """Pairs of queries that ask for the same in other words."""
    lines = map(parse_json, PARAPHRASES.read_text(encoding="utf-8").splitlines())
    return [(line["query"], line["paraphrase"]) for line in lines]


def edited(text: str, copy: int, seed: int = 0) -> str:
    """A copy of a query to learn from: words around it, typos, a final mark less, each in some of the copies.

    None of the words that stand around it is one that robustness is measured with, and the typos are others.

    Args:
        copy: another number makes another copy.
    """
    salt = f"copy {copy} {seed}|"
    dice = _dice(text, salt)
    changed = typos(text, salt) if dice.random() < 0.5 else text
    if dice.random() < 0.3:
        changed = _no_final_mark(changed)
    if dice.random() < 0.6:
        changed = dice.choice(BEFORE) + changed + dice.choice(AFTER)
    return changed or text
