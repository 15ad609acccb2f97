"""Functions that combine a source of items, a condition on them, a change and an operation."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable
from typing import Any

from recipes.embedded.functions.conditions import (
    ALL,
    NUMBER_CHANGES,
    NUMBERS,
    SAME,
    WORD_CHANGES,
    WORDS,
    constant,
    with_constant,
    with_extra,
)
from recipes.embedded.functions.inputs import number_dicts, number_lists, word_lists
from recipes.embedded.functions.spec import Spec, Truth

# fmt: off
# The operation on the items: (words; code, where LIST is the list; truth).
OPERATIONS: dict[str, tuple[str, str, Truth]] = {
    "list": ("a list of {}", "LIST", list),
    "sum": ("the sum of {}", "sum(LIST)", lambda xs: sum(reversed(xs))),
    "count": ("how many {}", "len(LIST)", len),
    "max": ("the largest of {}, or None if there are none", "max(LIST, default=None)",
            lambda xs: sorted(xs)[-1] if xs else None),
    "min": ("the smallest of {}, or None if there are none", "min(LIST, default=None)",
            lambda xs: sorted(xs)[0] if xs else None),
    "product": ("the product of {}, or 1 if there are none",
                "result = 1\nfor x in LIST:\n    result *= x\nreturn result", math.prod),
    "average": ("the average of {}, or 0 if there are none",
                "chosen = LIST\nif not chosen:\n    return 0\nreturn sum(chosen) / len(chosen)",
                lambda xs: sum(reversed(xs)) / len(xs) if xs else 0),
}
# Where the items come from: (noun, place, code, code before it, kind of argument, truth, inputs).
SOURCES: dict[str, tuple[str, str, str, str, str, Truth, Callable[[random.Random, Any], list[Any]]]] = {
    "list": ("numbers", "in the list $0", "$0", "", "nums", list, number_lists),
    "words": ("words", "in the list $0", "$0", "", "words", list, word_lists),
    "range": ("numbers", "from 1 to $0", "range(1, $0 + 1)", "", "int", lambda n: [i + 1 for i in range(n)],
              lambda dice, k: [0, 1, 6, dice.randint(8, 12), dice.randint(13, 20)]),
    "digits": ("digits", "of the positive number $0", "digits", "digits = [int(d) for d in str($0)]\n", "int",
               lambda n: list(map(int, str(n))),
               lambda dice, k: [7, 20, dice.randint(100, 999), dice.randint(10000, 99999), 908172]),
    "dict": ("values", "in the dictionary $0", "$0.values()", "", "dict", lambda d: [d[key] for key in d],
             number_dicts),
}
# fmt: on


def collect(dice: random.Random, source: str, op: str, change: str, cond: str) -> Spec:
    """An operation on the (changed) items of a source that meet a condition."""
    noun, place, code, before, arg, items, values = SOURCES[source]
    row = {**NUMBERS, **WORDS}.get(cond, ALL)
    k, j = constant(dice, cond, source in ("words", "digits")), dice.randint(2, 9)
    condition_words, test, word = with_constant(row, cond, k)
    bare = condition_words.replace("%", noun)
    words, item_code, changed = {**NUMBER_CHANGES, **(WORD_CHANGES if source == "words" else {})}.get(change, SAME)
    phrase, body, truth = OPERATIONS[op]
    if op == "count":
        goal = f"how many {bare} there are {place}".replace("are of", "are in")
    else:
        goal = phrase.format(words.format(f"{'the' if test else 'all'} {bare} {place}")).replace("@", str(j))
    listed = code if not test and change == "same" else f"[{item_code} for x in {code}{' if ' + test if test else ''}]"
    if listed == code and op == "list":
        listed = f"list({code})"
    body = before + ("" if "\n" in body else "return ") + body.replace("LIST", listed.replace("@", str(j)))
    if source == "words":
        body = re.sub(r"\bx\b", "word", body)
    parts = [part for part in (op if op != "list" else "", change if change != "same" else "", word) if part]
    label = "_".join(parts)
    noun_label = "_".join([*(["all"] if parts == [op] else []), *reversed(parts)])
    names = f"{label}|{noun_label}|get_{label}|{label}_{noun}|{label}_{source}"
    args, inputs = with_extra(cond, arg, values(dice, k), k)
    met = row[2]
    return Spec(names, args, goal, body, lambda v, k=k: truth([changed(x, j) for x in items(v) if met(x, k)]), inputs)
