"""Small Python function tasks with unit tests, generated from the templates in functions.toml."""

from __future__ import annotations

import copy
import hashlib
import itertools
import math
import random
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import CodeType
from typing import Any

Truth = Callable[..., Any]
Key = tuple[str, ...]
Row = Sequence[str]  # words, code and truth of a condition or a change
TABLE: dict[str, Any] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
NUMBERS, CHANGES = TABLE["numbers"], TABLE["number_changes"]
SIGNLESS = [key for key in NUMBERS if key not in ("positive", "negative", "nonzero")]
DIGITS = ("even", "odd", "nonzero", "above", "below", "at_least", "at_most", "above_n")
ALL, SAME = ("%", "", "True"), ("{}", "x", "x")
AGGREGATES = ("sum", "count", "max", "min", "product", "average")
SAME_VALUES = """
def _same(a, b):
    if isinstance(a, float) or isinstance(b, float):
        return isinstance(a, (int, float)) and isinstance(b, (int, float)) and abs(a - b) <= 1e-6 * max(1, abs(b))
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b))
    return type(a) is type(b) and a == b
"""
CHECK = """
for _arguments, _expected in {cases!r}:
    assert _same({name}(*_arguments), _expected)
"""


@dataclass(frozen=True, slots=True)
class Task:
    query: str
    solution: str
    name: str
    cases: tuple[tuple[tuple[Any, ...], Any], ...]
    family: str
    combination: Key  # training and held-back tasks of a family never share one

    @property
    def key(self) -> dict[str, Any]:
        """The answer key that verifies a response: its function gives the values of all cases."""
        check = CHECK.format(cases=self.cases, name=self.name)
        return {"tests": {"function": self.name, "code": check, "prompt": SAME_VALUES}}


@dataclass(frozen=True, slots=True)
class Spec:
    """A template of a function: $0, $1, ... are its arguments, and | separates alternatives."""

    names: str
    args: str
    goal: str
    body: str
    truth: Truth
    inputs: Iterable[tuple[Any, ...]]


@cache
def _compiled(text: str) -> CodeType:
    return compile(text, text, "eval")


def evaluated(text: str, **names: Any) -> Any:
    """The value of Python in functions.toml."""
    return eval(_compiled(text), {"math": math, "itertools": itertools, **names})


INPUTS = {name: evaluated(text) for name, text in TABLE["inputs"].items()}


def spec(names: str, args: str, goal: str, body: str, truth: str, inputs: str) -> Spec:
    return Spec(names, args, goal, body.strip("\n"), evaluated(truth), evaluated(inputs, **INPUTS))


def rows_of(table: Mapping[str, Any]) -> dict[str, Spec]:
    """The functions of a family with rows, by key. The columns of a row fill the family's other texts."""
    specs = {}
    for row in table["rows"]:
        words = dict(zip(table["columns"], row, strict=True))
        words.setdefault("key", table.get("key", "").format(**words))
        texts = {name: {**table, **words}[name].format(**words) for name in Spec.__slots__}
        specs[words["key"]] = spec(**texts)
    return specs


LISTED = {family: rows_of(table) for family, table in TABLE["listed"].items()}
SINGLE = {family: spec(**table) for family, table in TABLE["single"].items()}


def number_lists(dice: random.Random, k: Any) -> list[Any]:
    near = [k - 1, k, k + 1, -k, 2 * k] if k else [0, 7, -4, 9]
    draw = [[dice.randint(-15, 30) for _ in range(size)] for size in (6, 7)]
    return [[], near, *draw, [dice.randint(1, 20)]]


def number_dicts(dice: random.Random, k: Any) -> list[Any]:
    return [dict(zip("abcdefgh", numbers, strict=False)) for numbers in number_lists(dice, k)]


def word_lists(dice: random.Random) -> list[Any]:
    return [[], *(dice.sample(TABLE["POOL"], size) for size in (3, 5, 6, 7))]


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition on an item, with its constant (or the argument $1) filled in."""

    k: Any
    words: str  # % is the plural noun
    code: str
    label: str
    met: Callable[[Any], bool]
    further: bool  # whether the constant is a further argument

    def of(self, args: str, values: Iterable[Any]) -> tuple[str, list[tuple[Any, ...]]]:
        """The arguments, and the inputs of the tests."""
        if self.further:
            return f"{args} n", [(value, self.k) for value in values]
        return args, [(value,) for value in values]


def condition(dice: random.Random, rows: Mapping[str, Row], key: str, small: bool = False) -> Condition:
    words, code, truth = rows.get(key, ALL)
    if key.startswith(("starting", "ending", "containing", "without", "letter")):
        k: Any = dice.choice("aeilnoprst")
    else:
        k = dice.randint(2, 6 if small else 12)
    further = key.endswith("_n")
    constant = "$1" if further else repr(k)
    label = f"{key}_{k}" if "#" in words and not further else key
    met = evaluated(f"lambda x: {truth}", k=k)
    return Condition(k, words.replace("#", constant), code.replace("#", constant), label, met, further)


def collect(dice: random.Random, source: str, op: str, change: str, cond: str) -> Spec:
    """An operation on the (changed) items of a source that meet a condition."""
    noun, place, code, before, arg, items_of, values = TABLE["sources"][source]
    met = condition(dice, {**NUMBERS, **TABLE["words"]}, cond, source in ("words", "digits"))
    j, test = dice.randint(2, 9), met.code
    bare = met.words.replace("%", noun)
    changes = {**CHANGES, **(TABLE["word_changes"] if source == "words" else {})}
    words, item_code, changed_to = changes.get(change, SAME)[:3]
    phrase, body, truth_of = TABLE["operations"][op]
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
    parts = [part for part in (op if op != "list" else "", change if change != "same" else "", met.label) if part]
    label = "_".join(parts)
    noun_label = "_".join([*(["all"] if parts == [op] else []), *reversed(parts)])
    names = f"{label}|{noun_label}|get_{label}|{label}_{noun}|{label}_{source}"
    draws = {"number_lists": number_lists, "number_dicts": number_dicts, "word_lists": word_lists}
    args, inputs = met.of(arg, evaluated(values, dice=dice, k=met.k, **draws))
    truth, items, changed = evaluated(truth_of), evaluated(items_of), evaluated(f"lambda x: {changed_to}", j=j)
    return Spec(names, args, goal, body, lambda v, *_: truth([changed(x) for x in items(v) if met.met(x)]), inputs)


def characters(dice: random.Random, op: str, cond: str) -> Spec:
    """Count, keep, remove or find the characters of a kind."""
    met = condition(dice, TABLE["chars"], cond)
    goal, body = (TABLE["characters"][op][name].format(phrase=met.words, test=met.code) for name in ("goal", "body"))
    truth, wanted = evaluated(TABLE["characters"][op]["truth"]), op != "remove"
    words = dice.sample(TABLE["POOL"], 4)
    values = ["", "Hello World", "a 1 B 22 c", " ".join(words[:3]), f"7 {words[3].upper()} {met.k}"]
    args, inputs = met.of("text", values)
    names = f"{op}_{met.label}|{met.label}_{op}|{op}_{met.label}_in_text"
    body = "return " + re.sub(r"\bx\b", "ch", body)
    return Spec(names, args, goal, body, lambda v, *_: truth([c for c in v if met.met(c) == wanted]), inputs)


def conditional(dice: random.Random, op: str, cond: str) -> Spec:
    """A test, search, replacement or split of a list or a dictionary by a condition on numbers."""
    met = condition(dice, NUMBERS, cond)
    bare, k = met.words.replace("%", "numbers"), met.k
    yes, no = dice.choice((("yes", "no"), ("good", "bad"), ("ok", "wrong"), ("in", "out"), ("accept", "reject")))
    j = dice.choice((0, 1, -1, 100, None))
    filled = {
        "bare": bare, "is_so": " ".join(met.words.replace("%", "").split()), "test": met.code, "j": j, "yes": yes,
        "no": no, "one": f"{'an' if bare[0] in 'aeo' else 'a'} {met.words.replace('%', 'number')}",
        "test_of_0": met.code.replace("x", "$0"),
    }  # fmt: skip
    goal, body = (TABLE["conditional"][op][name].strip("\n").format(**filled) for name in ("goal", "body"))
    truth = evaluated(TABLE["conditional"][op]["truth"], met=met.met, j=j, yes=yes, no=no)
    arg, values = "nums", number_lists(dice, k)
    if op in ("keys", "dict"):
        arg, values = "dict", number_dicts(dice, k)
        body = body.replace(" x ", " value ").replace(" if x", " if value").replace("key: x ", "key: value ")
    if op in ("is", "label"):
        arg, values = "int", [0, k, k + 1, -4, dice.randint(10, 40)]
    args, inputs = met.of(arg, values)
    label = f"{op}_{met.label}"
    names = f"{label}|{label}_{'value' if op in ('is', 'label') else 'numbers'}|check_{label}"
    if op not in ("all", "any", "none", "is"):
        names = names.replace("check_", "get_")
    return Spec(names, args, goal, body, lambda v, *_: truth(v), inputs)


def mapping(dice: random.Random, change: str, cond: str) -> Spec:
    """A dictionary that maps the items that meet a condition to their changed values."""
    met, j = condition(dice, NUMBERS, cond), dice.randint(2, 9)
    _, code, changed_to, image = (text.replace("@", str(j)) for text in CHANGES[change])
    changed = evaluated(f"lambda x: {changed_to}", j=j)
    goal = f"a dictionary that maps each of the {met.words.replace('%', 'numbers')} in the list $0 to {image}"
    body = f"return {{x: {code} for x in $0{' if ' + met.code if met.code else ''}}}"
    args, inputs = met.of("nums", number_lists(dice, met.k))
    names = f"map_{met.label}_to_{change}|{met.label}_{change}_dict|{change}_of_{met.label}"
    return Spec(names, args, goal, body, lambda v, *_: {x: changed(x) for x in v if met.met(x)}, inputs)


# The compositional families: the function that makes a template, and the parts that it combines.
COMBINED: dict[str, tuple[Callable[..., Spec], tuple[Iterable[str], ...]]] = {
    "aggregate": (collect, (("list",), AGGREGATES, ("same",), ("all", *NUMBERS))),
    "filter": (collect, (("list",), ("list",), ("same",), NUMBERS)),
    "map": (collect, (("list",), ("list",), CHANGES, ("all",))),
    "filter_map": (collect, (("list",), ("list",), CHANGES, NUMBERS)),
    "aggregate_map": (collect, (("list",), ("sum", "max", "min"), CHANGES, ("all",))),
    "sum_filter_map": (collect, (("list",), ("sum",), CHANGES, NUMBERS)),
    "filter_words": (collect, (("words",), ("list", "count"), ("same",), TABLE["words"])),
    "map_words": (collect, (("words",), ("list",), TABLE["word_changes"], ("all",))),
    "filter_map_words": (collect, (("words",), ("list",), TABLE["word_changes"], TABLE["words"])),
    "range": (collect, (("range",), ("list", "sum", "count", "product"), ("same",), SIGNLESS)),
    "range_map": (collect, (("range",), ("list", "sum"), CHANGES, ("all", "even", "odd", "divisible_by"))),
    "digits": (collect, (("digits",), ("list", *AGGREGATES), ("same",), ("all", *DIGITS))),
    "dict_values": (collect, (("dict",), ("list", *AGGREGATES), ("same",), ("all", *NUMBERS))),
    "characters": (characters, (("count", "keep", "remove", "has", "list"), TABLE["chars"])),
    "test_list": (conditional, (("all", "any", "none"), NUMBERS)),
    "find": (conditional, (("first", "last", "indices_of", "index_of"), NUMBERS)),
    "change_list": (conditional, (("replace", "remove", "split", "flags"), NUMBERS)),
    "filter_dict": (conditional, (("keys", "dict"), NUMBERS)),
    "test_number": (conditional, (("is", "label"), NUMBERS)),
    "mapping": (mapping, (CHANGES, ("all", *NUMBERS))),
}
FAMILIES = (*COMBINED, *LISTED, *SINGLE)


def rendered(args: str, turn: int) -> Key:
    kinds = [TABLE["arguments"].get(kind, (kind,)) for kind in args.split()]
    return tuple(kind[turn % len(kind)] for kind in kinds)


def combinations(family: str, held_back: bool) -> list[Key]:
    """The combinations of a family on one side of the split: by hash, the first fifth (at least one) is held back."""
    if family in COMBINED:
        keys = list(itertools.product(*COMBINED[family][1]))
    elif family in LISTED:
        keys = [(key,) for key in LISTED[family]]
    else:
        single = SINGLE[family]
        keys = sorted({(name, *rendered(single.args, turn)) for name in single.names.split("|") for turn in range(4)})
    keys.sort(key=lambda key: hashlib.sha256("/".join((family, *key)).encode()).hexdigest())
    cut = max(1, round(len(keys) / 5))
    return keys[:cut] if held_back else keys[cut:]


def make(family: str, key: Key, dice: random.Random, asks: Sequence[str]) -> Task:
    """One task of a family's combination, with random names and wording."""
    if family in SINGLE:
        template, name, args = SINGLE[family], key[0], key[1:]
    else:
        template = COMBINED[family][0](dice, *key) if family in COMBINED else LISTED[family][key[0]]
        name, args = dice.choice(template.names.split("|")), rendered(template.args, dice.randrange(4))
    name = name.removesuffix("_n")
    ask = dice.choice(asks)
    goal, body, quote = dice.choice(template.goal.split("|")), template.body, "`" if "`" in ask else ""
    for place, arg in enumerate(args):
        goal = goal.replace(f"${place}", f"{quote}{arg}{quote}")
        body = body.replace(f"${place}", arg)
    shown = [f"{quote}{arg}{quote}" for arg in args]
    listed = " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))
    query = ask.format(sig=f"{name}({', '.join(args)})", name=name, args=listed, goal=goal)
    solution = "\n".join([f"def {name}({', '.join(args)}):", *(f"    {line}" for line in body.split("\n"))])
    cases = tuple((case, template.truth(*copy.deepcopy(case))) for case in template.inputs)
    return Task(query, solution, name, cases, family, key)


def tasks(count: int, seed: int, held_back: bool) -> list[Task]:
    """`count` different tasks from the families in turn; training and held-back tasks never overlap."""
    dice = random.Random(seed)
    keys = {family: combinations(family, held_back) for family in FAMILIES}
    asks = TABLE["held_back_asks" if held_back else "asks"]
    drawn: dict[str, Task] = {}
    for turn in range(100 * count):
        family = FAMILIES[turn % len(FAMILIES)]
        task = make(family, dice.choice(keys[family]), dice, asks)
        drawn.setdefault(task.query, task)
        if len(drawn) == count:
            return list(drawn.values())
    raise ValueError(f"there are only {len(drawn)} different tasks, not {count}")
