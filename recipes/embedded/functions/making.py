"""The families of function tasks, and a generator of tasks for one side of the split."""

from __future__ import annotations

import copy
import hashlib
import itertools
import random
from collections.abc import Callable, Iterable, Sequence

from recipes.embedded.functions.collecting import collect
from recipes.embedded.functions.conditional import characters, conditional, mapping
from recipes.embedded.functions.conditions import CHARS, DIGITS, NUMBER_CHANGES, NUMBERS, SIGNLESS, WORD_CHANGES, WORDS
from recipes.embedded.functions.listed import LISTED
from recipes.embedded.functions.lists import LIST_FUNCTIONS
from recipes.embedded.functions.numbers import NUMBER_FUNCTIONS
from recipes.embedded.functions.phrasing import ASKS, HELD_BACK_ASKS, rendered
from recipes.embedded.functions.spec import Key, Spec, Task
from recipes.embedded.functions.texts import TEXT_FUNCTIONS

FEW_FORMS = ("sum", "count", "max", "min", "product", "average")
# The compositional families: the maker and what it combines.
COMBINED: dict[str, tuple[Callable[..., Spec], tuple[Iterable[str], ...]]] = {
    "aggregate": (collect, (("list",), FEW_FORMS, ("same",), ("all", *NUMBERS))),
    "filter": (collect, (("list",), ("list",), ("same",), NUMBERS)),
    "map": (collect, (("list",), ("list",), NUMBER_CHANGES, ("all",))),
    "filter_map": (collect, (("list",), ("list",), NUMBER_CHANGES, NUMBERS)),
    "aggregate_map": (collect, (("list",), ("sum", "max", "min"), NUMBER_CHANGES, ("all",))),
    "sum_filter_map": (collect, (("list",), ("sum",), NUMBER_CHANGES, NUMBERS)),
    "filter_words": (collect, (("words",), ("list", "count"), ("same",), WORDS)),
    "map_words": (collect, (("words",), ("list",), WORD_CHANGES, ("all",))),
    "filter_map_words": (collect, (("words",), ("list",), WORD_CHANGES, WORDS)),
    "range": (collect, (("range",), ("list", "sum", "count", "product"), ("same",), SIGNLESS)),
    "range_map": (collect, (("range",), ("list", "sum"), NUMBER_CHANGES, ("all", "even", "odd", "divisible_by"))),
    "digits": (collect, (("digits",), ("list", *FEW_FORMS), ("same",), ("all", *DIGITS))),
    "dict_values": (collect, (("dict",), ("list", *FEW_FORMS), ("same",), ("all", *NUMBERS))),
    "characters": (characters, (("count", "keep", "remove", "has", "list"), CHARS)),
    "test_list": (conditional, (("all", "any", "none"), NUMBERS)),
    "find": (conditional, (("first", "last", "indices_of", "index_of"), NUMBERS)),
    "change_list": (conditional, (("replace", "remove", "split", "flags"), NUMBERS)),
    "filter_dict": (conditional, (("keys", "dict"), NUMBERS)),
    "test_number": (conditional, (("is", "label"), NUMBERS)),
    "mapping": (mapping, (NUMBER_CHANGES, ("all", *NUMBERS))),
}
# Families of one function, where names and arguments are held back.
SINGLE: dict[str, Spec] = {**TEXT_FUNCTIONS, **NUMBER_FUNCTIONS, **LIST_FUNCTIONS}
FAMILIES = (*COMBINED, *LISTED, *SINGLE)


def combinations(family: str, held_back: bool) -> list[Key]:
    """The combinations of a family for one side: by hash, the first fifth (at least one) is held back."""
    if family in COMBINED:
        keys = list(itertools.product(*COMBINED[family][1]))
    elif family in LISTED:
        keys = [(key,) for key in LISTED[family]]
    else:
        spec = SINGLE[family]
        keys = sorted({(name, *rendered(spec.args, turn)) for name in spec.names.split("|") for turn in range(4)})
    keys.sort(key=lambda key: hashlib.sha256("/".join((family, *key)).encode()).hexdigest())
    cut = max(1, round(len(keys) / 5))
    return keys[:cut] if held_back else keys[cut:]


def make(family: str, key: Key, dice: random.Random, asks: Sequence[str]) -> Task:
    """One task of a family's combination, with random names and wording."""
    if family in SINGLE:
        spec, name, args = SINGLE[family], key[0], key[1:]
    else:
        spec = COMBINED[family][0](dice, *key) if family in COMBINED else LISTED[family][key[0]]
        name, args = dice.choice(spec.names.split("|")), rendered(spec.args, dice.randrange(4))
    name = name.removesuffix("_n")
    ask = dice.choice(asks)
    goal, body, quote = dice.choice(spec.goal.split("|")), spec.body, "`" if "`" in ask else ""
    for place, arg in enumerate(args):
        goal = goal.replace(f"${place}", f"{quote}{arg}{quote}")
        body = body.replace(f"${place}", arg)
    shown = [f"{quote}{arg}{quote}" for arg in args]
    listed = " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))
    query = ask.format(sig=f"{name}({', '.join(args)})", name=name, args=listed, goal=goal)
    solution = "\n".join([f"def {name}({', '.join(args)}):", *(f"    {line}" for line in body.split("\n"))])
    cases = tuple((case, spec.truth(*copy.deepcopy(case))) for case in spec.inputs)
    return Task(query, solution, name, cases, family, key)


def tasks(count: int, seed: int, held_back: bool) -> list[Task]:
    """`count` different tasks from the families in turn; training and held-back tasks never overlap."""
    dice = random.Random(seed)
    keys = {family: combinations(family, held_back) for family in FAMILIES}
    drawn: dict[str, Task] = {}
    for turn in range(100 * count):
        family = FAMILIES[turn % len(FAMILIES)]
        task = make(family, dice.choice(keys[family]), dice, HELD_BACK_ASKS if held_back else ASKS)
        drawn.setdefault(task.query, task)
        if len(drawn) == count:
            return list(drawn.values())
    raise ValueError(f"there are only {len(drawn)} different tasks, not {count}")
