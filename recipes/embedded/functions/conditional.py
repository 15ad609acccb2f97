"""Functions with one condition: on characters, on the numbers of a list or a dictionary, or on a number."""

from __future__ import annotations

import random
import re
from typing import Any

from recipes.embedded.functions.conditions import (
    ALL,
    CHARS,
    NUMBER_CHANGES,
    NUMBERS,
    constant,
    with_constant,
    with_extra,
)
from recipes.embedded.functions.inputs import POOL, number_dicts, number_lists
from recipes.embedded.functions.spec import Spec, Truth


def characters(dice: random.Random, op: str, cond: str) -> Spec:
    """Count, keep, remove or find the characters of a kind."""
    k = constant(dice, cond)
    phrase, test, word = with_constant(CHARS[cond], cond, k)
    met = CHARS[cond][2]
    table: dict[str, tuple[str, str, Truth]] = {
        "count": (f"how many {phrase} there are in the string $0", f"len([x for x in $0 if {test}])", len),
        "keep": (f"the string $0 with only its {phrase} kept", f"''.join([x for x in $0 if {test}])", "".join),
        "remove": (f"the string $0 without its {phrase}", f"''.join([x for x in $0 if not ({test})])", "".join),
        "has": (f"True if the string $0 has any {phrase}, and False otherwise", f"any({test} for x in $0)", bool),
        "list": (f"a list of the {phrase} in the string $0", f"[x for x in $0 if {test}]", list),
    }
    goal, body, truth = table[op]
    body = re.sub(r"\bx\b", "ch", body)
    words = dice.sample(POOL, 4)
    values = ["", "Hello World", "a 1 B 22 c", " ".join(words[:3]), f"7 {words[3].upper()} {k}"]
    args, inputs = with_extra(cond, "text", values, k)
    names = f"{op}_{word}|{word}_{op}|{op}_{word}_in_text"
    wanted = op != "remove"
    return Spec(
        names, args, goal, f"return {body}", lambda v, k=k: truth([c for c in v if met(c, k) == wanted]), inputs
    )


def conditional(dice: random.Random, op: str, cond: str) -> Spec:
    """Tests, searches, replacements and splits of a list or a dictionary by a condition on numbers."""
    k = constant(dice, cond)
    phrase, test, word = with_constant(NUMBERS[cond], cond, k)
    met, bare, is_so = NUMBERS[cond][2], phrase.replace("%", "numbers"), " ".join(phrase.replace("%", "").split())
    one = f"{'an' if bare[0] in 'aeo' else 'a'} {phrase.replace('%', 'number')}"
    otherwise = ", and False otherwise"
    yes, no = dice.choice((("yes", "no"), ("good", "bad"), ("ok", "wrong"), ("in", "out"), ("accept", "reject")))
    j = dice.choice((0, 1, -1, 100, None))
    loop = "for x in $0:"
    # fmt: off
    table: dict[str, tuple[str, str, Truth]] = {
        "all": (f"True if all numbers in the list $0 are {is_so}{otherwise}", f"return all({test} for x in $0)",
                lambda xs, k: not [x for x in xs if not met(x, k)]),
        "any": (f"True if any number in the list $0 is {is_so}{otherwise}", f"return any({test} for x in $0)",
                lambda xs, k: bool([x for x in xs if met(x, k)])),
        "none": (f"True if no number in the list $0 is {is_so}{otherwise}", f"return not any({test} for x in $0)",
                 lambda xs, k: not [x for x in xs if met(x, k)]),
        "first": (f"the first number in the list $0 that is {is_so}, or None if there is none",
                  f"{loop}\n    if {test}:\n        return x\nreturn None",
                  lambda xs, k: next((x for x in xs if met(x, k)), None)),
        "last": (f"the last number in the list $0 that is {is_so}, or None if there is none",
                 f"for x in reversed($0):\n    if {test}:\n        return x\nreturn None",
                 lambda xs, k: next((x for x in xs[::-1] if met(x, k)), None)),
        "indices_of": (f"a list of the indices of the {bare} in the list $0",
                    f"return [i for i, x in enumerate($0) if {test}]",
                    lambda xs, k: [i for i in range(len(xs)) if met(xs[i], k)]),
        "index_of": (f"the index of the first number in the list $0 that is {is_so}, or -1 if there is none",
                  f"for i, x in enumerate($0):\n    if {test}:\n        return i\nreturn -1",
                  lambda xs, k: next((i for i in range(len(xs)) if met(xs[i], k)), -1)),
        "replace": (f"a copy of the list $0 in which the {bare} are replaced by {j}",
                    f"return [{j} if {test} else x for x in $0]", lambda xs, k: [j if met(x, k) else x for x in xs]),
        "remove": (f"the list $0 without the {bare}", f"return [x for x in $0 if not ({test})]",
                   lambda xs, k: [x for x in xs if not met(x, k)]),
        "split": (f"two lists, one of the {bare} in the list $0 and one of the other numbers",
                  f"chosen = [x for x in $0 if {test}]\n"
                  f"others = [x for x in $0 if not ({test})]\nreturn chosen, others",
                  lambda xs, k: ([x for x in xs if met(x, k)], [x for x in xs if not met(x, k)])),
        "flags": (f"a list with True for each number in the list $0 that is {is_so} and False for each other number",
                  f"return [{test} for x in $0]", lambda xs, k: [bool(met(x, k)) for x in xs]),
        "keys": (f"a list of the keys of the dictionary $0 whose value is {is_so}",
                 f"return [key for key, x in $0.items() if {test}]", lambda d, k: [key for key in d if met(d[key], k)]),
        "dict": (f"a dictionary with only the items of the dictionary $0 whose value is {is_so}",
                 f"return {{key: x for key, x in $0.items() if {test}}}",
                 lambda d, k: {key: d[key] for key in d if met(d[key], k)}),
        "is": (f"True if the number $0 is {is_so}{otherwise}", f"return {test.replace('x', '$0')}",
               lambda x, k: bool(met(x, k))),
        "label": (f"'{yes}' if $0 is {one}, and '{no}' otherwise",
                  f"if {test.replace('x', '$0')}:\n    return '{yes}'\nreturn '{no}'",
                  lambda x, k: yes if met(x, k) else no),
    }
    # fmt: on
    goal, body, truth = table[op]
    values: list[Any] = number_lists(dice, k)
    arg = "nums"
    if op in ("keys", "dict"):
        arg, values = "dict", number_dicts(dice, k)
        body = body.replace(" x ", " value ").replace(" if x", " if value").replace("key: x ", "key: value ")
    if op in ("is", "label"):
        arg, values = "int", [0, k, k + 1, -4, dice.randint(10, 40)]
    args, inputs = with_extra(cond, arg, values, k)
    names = f"{op}_{word}|{op}_{word}_{'value' if op in ('is', 'label') else 'numbers'}|check_{op}_{word}"
    if op not in ("all", "any", "none", "is"):
        names = names.replace("check_", "get_")
    return Spec(names, args, goal, body, lambda v, n=k: truth(v, n), inputs)


def mapping(dice: random.Random, change: str, cond: str) -> Spec:
    """A dictionary from the items that meet a condition to their changes."""
    k, j = constant(dice, cond), dice.randint(2, 9)
    row = NUMBERS.get(cond, ALL)
    phrase, test, word = with_constant(row, cond, k)
    _, code, changed = NUMBER_CHANGES[change]
    to = {"squares": "its square", "cubes": "its cube", "doubles": "its double", "halves": "its half",
          "negated": "its negative", "absolute": "its absolute value", "plus": f"itself plus {j}",
          "minus": f"itself minus {j}", "times": f"itself times {j}",
          "remainders": f"its remainder when divided by {j}"}[change]  # fmt: skip
    goal = f"a dictionary that maps each of the {phrase.replace('%', 'numbers')} in the list $0 to {to}"
    body = f"return {{x: {code.replace('@', str(j))} for x in $0{' if ' + test if test else ''}}}"
    args, inputs = with_extra(cond, "nums", number_lists(dice, k), k)
    names = f"map_{word}_to_{change}|{word}_{change}_dict|{change}_of_{word}"
    return Spec(names, args, goal, body, lambda v, k=k: {x: changed(x, j) for x in v if row[2](x, k)}, inputs)
