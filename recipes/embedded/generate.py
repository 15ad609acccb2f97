"""Fills the templates of the recipe's TOML files: draws words, and writes a request and its text with them.

A family of texts is a table in a file. To add a family, copy one. A shortened family of problems/stories.toml:

    [saving]
    draw = '''
    name, each, weeks = choice(NAMES), between(3, 60), between(3, 30)
    total = each * weeks
    spent = between(2, total - 1)
    '''
    text = '''
    All: <<{weeks} * {each}>>.
    Left: <<{total} - {spent}>>.
    '''
    train = ["{name} saves {each} dollars a week for {weeks} weeks and spends {spent}. How much is left?"]
    held_back = ["For {weeks} weeks {name} puts {each} dollars aside, and then {spent} are spent. What remains?"]

- `draw` is Python: assignments, from top to bottom, that can call the functions of `FUNCTIONS` and `DRAWS`. Lists in
  capitals are in the file's [lists] or in names.toml beside it; the family's other keys are lists, too.
  `pick` draws from this side's part of a list, `fill` puts the words drawn so far into a text with braces, `someone`
  gives a name with its pronouns, and `<<` and `>>` mark sums in drawn words, too.
- `text` is an f-string of the drawn words. `<<a sum>>` is written as the sum with its value, `3 * 4 = 12`. A text with
  sums ends with "The answer is 12.": the value of the last sum, unless `draw` sets `answer`.
- A request is one of `train` or of `held_back`, with drawn words in braces; or one of `asks`, the last fifth of which
  is held back.

A family without `draw` is drawn by a Python function.
"""

from __future__ import annotations

import ast
import random
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import CodeType
from typing import Any, TypeVar

from zooter_core.backends.calculator import result

Item = TypeVar("Item")
Example = tuple[str, str]  # (request, text)
Words = dict[str, Any]
SUM = re.compile("<<(.*?)>>")


class Dice(random.Random):
    """Random choices, on one side of the split."""

    def __init__(self, seed: int, held_back: bool) -> None:
        super().__init__(seed)
        self.held_back = held_back

    between = random.Random.randint

    def pick(self, items: Sequence[Item]) -> Item:
        """One of this side's items: the last fifth (at least two) is held back, the others are for training."""
        cut = len(items) - max(2, len(items) // 5)
        return self.choice(items[cut:] if self.held_back else items[:cut])

    def small(self, least: int = 2) -> int:
        return self.between(least, self.choice((12, 30, 60)))

    def larger_smaller(self) -> tuple[int, int]:
        """A number and a smaller one."""
        a = self.small(4)
        return a, self.between(2, a - 1)

    def whole_two_parts(self) -> tuple[int, int, int]:
        """A number, and two others whose sum is smaller."""
        a = self.small(6)
        b = self.between(2, a - 3)
        return a, b, self.between(2, a - b - 1)


def times(*factors: int) -> str:
    return " * ".join(map(str, factors))


def poly(*coefficients: int) -> str:
    """A polynomial as people type it, from the highest power to the constant: `2x^2 - x + 3`."""

    def term(size: int, power: int) -> str:
        letter = ("", "x")[power] if power < 2 else f"x^{power}"
        return f"{size}{letter}" if size != 1 or not power else letter

    return _terms(coefficients, term)


def at(x: int, *coefficients: int) -> str:
    """The same polynomial as a sum for the calculator: `2 * 4 * 4 - 4 + 3`."""
    return _terms(coefficients, lambda size, power: times(*[size] * (size != 1 or not power), *[x] * power))


def _terms(coefficients: tuple[int, ...], written: Callable[[int, int], str]) -> str:
    text = ""
    for power, value in zip(range(len(coefficients) - 1, -1, -1), coefficients, strict=True):
        if value:
            sign = "-" if value < 0 else "+"
            text += (f" {sign} " if text else sign.strip("+")) + written(abs(value), power)
    return text


def step(expression: str) -> str:
    """`expression = value`.

    Raises:
        ValueError: the calculator cannot compute the expression.
    """
    value = result(expression)
    if value is None:
        raise ValueError(f"not a sum: {expression}")
    return f"{expression} = {value}"


def upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def lines(text: str) -> str:
    """A text in lines, which are separated by slashes in `text`; each line begins with a capital."""
    return "\n".join(upper(line) for line in text.split(" / "))


# The functions that a draw may call, besides methods of strings.
FUNCTIONS = {
    function.__name__: function
    for function in (
        *(abs, all, any, enumerate, len, list, map, max, min, next, range, sorted, str, sum, zip),
        *(at, lines, poly, result, times, upper),
    )
}
DRAWS = ("between", "choice", "larger_smaller", "pick", "random", "sample", "small", "whole_two_parts")


@dataclass(frozen=True, eq=False)
class Family:
    """One table of a file, or a function in its place; `lists` are the lists that its draws may name."""

    name: str
    table: Mapping[str, Any]
    lists: Mapping[str, Any]
    by_hand: Callable[[Dice, Family], Words] | None = None

    @cached_property
    def code(self) -> tuple[CodeType, CodeType]:
        """The compiled draws and text.

        Raises:
            ValueError: `draw` contains anything but assignments.
        """
        draws = ast.parse(self.table["draw"].strip())
        if not all(isinstance(line, ast.Assign | ast.AugAssign) for line in draws.body):
            raise ValueError(f"[{self.name}] draw must hold assignments only")
        text = self.table["text"].strip()
        return compile(draws, self.name, "exec"), compile(f'f"""{text}"""', self.name, "eval")

    def words(self, dice: Dice) -> Words:
        """All drawn words, and the filled `text`."""
        if self.by_hand:
            return self.by_hand(dice, self)
        words: Words = {}
        words["__builtins__"] = {  # looked up if `words` does not have the name
            **FUNCTIONS, **{name: getattr(dice, name) for name in DRAWS}, **self.lists, **self.table,
            "someone": lambda: self.someone(dice), "fill": lambda text: text.format_map(words),
            "is_held_back": dice.held_back,
        }  # fmt: skip
        draws, text = self.code
        exec(draws, words)
        words["text"] = eval(text, words)
        del words["__builtins__"]
        return words

    def someone(self, dice: Dice) -> tuple[str, ...]:
        """A name with its pronouns: Ana, she, her, her, She, Her."""
        name = dice.choice(self.lists["NAMES"])
        he, him, his = ("she", "her", "her") if name in self.lists["WOMEN"] else ("he", "him", "his")
        return name, he, him, his, upper(he), upper(his)

    def request(self, dice: Dice, words: Words) -> str:
        """A request of this side of the split, filled with the words."""
        if "asks" in self.table:
            return dice.pick(self.table["asks"]).format_map(words)
        return dice.choice(self.table["held_back" if dice.held_back else "train"]).format_map(words)

    def example(self, dice: Dice) -> Example:
        """A request and its text, with the values of its sums."""
        words = self.words(dice)
        return words.get("request") or self.request(dice, words), worked_out(words)


def worked_out(words: Words) -> str:
    """The text with the value of every sum, followed by the answer if it has sums."""
    text, sums = words["text"], re.findall(SUM, words["text"])
    if not sums:
        return text
    worked = re.sub(SUM, lambda match: step(match[1]), text)
    return f"{worked}\nThe answer is {words.get('answer', result(sums[-1]))}."


def families(path: Path, by_hand: Mapping[str, Callable[[Dice, Family], Words]] | None = None) -> dict[str, Family]:
    """The families of a file by name, in its order."""
    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    names = tomllib.loads(path.with_name("names.toml").read_text(encoding="utf-8"))
    lists = {**names, **tables.pop("lists", {})}
    return {name: Family(name, table, lists, (by_hand or {}).get(name)) for name, table in tables.items()}
