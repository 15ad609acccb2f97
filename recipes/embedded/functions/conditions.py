"""Conditions on the items of a list, a dictionary or a text, and changes of them."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

from recipes.embedded.functions.spec import Truth

# fmt: off
# Conditions on an item x: (words, where % is the plural noun and # the constant; code; truth).
Condition = tuple[str, str, Truth]
ALL: Condition = ("%", "", lambda x, k: True)
NUMBERS: dict[str, Condition] = {
    "even": ("even %", "x % 2 == 0", lambda x, k: x % 2 == 0),
    "odd": ("odd %", "x % 2 != 0", lambda x, k: x % 2 == 1),
    "positive": ("positive %", "x > 0", lambda x, k: x > 0),
    "negative": ("negative %", "x < 0", lambda x, k: x < 0),
    "nonzero": ("non-zero %", "x != 0", lambda x, k: x != 0),
    "above": ("% greater than #", "x > #", lambda x, k: x > k),
    "below": ("% less than #", "x < #", lambda x, k: x < k),
    "at_least": ("% greater than or equal to #", "x >= #", lambda x, k: not x < k),
    "at_most": ("% less than or equal to #", "x <= #", lambda x, k: not x > k),
    "divisible_by": ("% divisible by #", "x % # == 0", lambda x, k: x // k * k == x),
    "not_divisible_by": ("% not divisible by #", "x % # != 0", lambda x, k: x // k * k != x),
    "above_n": ("% greater than #", "x > #", lambda x, k: x > k),
    "below_n": ("% less than #", "x < #", lambda x, k: x < k),
    "divisible_by_n": ("% divisible by #", "x % # == 0", lambda x, k: x // k * k == x),
}
SIGNLESS = {key: row for key, row in NUMBERS.items() if key not in ("positive", "negative", "nonzero")}
DIGITS = {key: NUMBERS[key] for key in ("even", "odd", "nonzero", "above", "below", "at_least", "at_most", "above_n")}
WORDS: dict[str, Condition] = {
    "longer_than": ("% longer than # characters", "len(x) > #", lambda x, k: len(x) > k),
    "shorter_than": ("% shorter than # characters", "len(x) < #", lambda x, k: len(x) < k),
    "of_length": ("% with exactly # characters", "len(x) == #", lambda x, k: len(x) == k),
    "starting_with": ("% starting with #", "x.startswith(#)", lambda x, k: x[:1] == k),
    "ending_with": ("% ending with #", "x.endswith(#)", lambda x, k: x[-1:] == k),
    "containing": ("% containing the letter #", "# in x", lambda x, k: x.count(k) > 0),
    "without": ("% not containing the letter #", "# not in x", lambda x, k: x.count(k) == 0),
    "palindrome": ("palindromic %", "x == x[::-1]", lambda x, k: list(x) == list(reversed(x))),
    "longer_than_n": ("% longer than # characters", "len(x) > #", lambda x, k: len(x) > k),
    "shorter_than_n": ("% shorter than # characters", "len(x) < #", lambda x, k: len(x) < k),
}
CHARS: dict[str, Condition] = {
    "vowels": ("vowels", "x.lower() in 'aeiou'", lambda x, k: x in "aeiouAEIOU"),
    "consonants": ("consonants", "x.isalpha() and x.lower() not in 'aeiou'",
                   lambda x, k: x.isalpha() and x not in "aeiouAEIOU"),
    "digits": ("digits", "x.isdigit()", lambda x, k: x in "0123456789"),
    "letters": ("letters", "x.isalpha()", lambda x, k: "a" <= x.lower() <= "z"),
    "upper": ("upper-case letters", "x.isupper()", lambda x, k: "A" <= x <= "Z"),
    "lower": ("lower-case letters", "x.islower()", lambda x, k: "a" <= x <= "z"),
    "spaces": ("spaces", "x == ' '", lambda x, k: x == " "),
    "letter": ("characters equal to #", "x == #", lambda x, k: x == k),
    "letter_n": ("characters equal to #", "x == #", lambda x, k: x == k),
}
# Changes of an item x: (words, where {} is what is changed and @ a constant; code; truth).
Change = tuple[str, str, Truth]
SAME: Change = ("{}", "x", lambda x, j: x)
NUMBER_CHANGES: dict[str, Change] = {
    "squares": ("the squares of {}", "x ** 2", lambda x, j: x * x),
    "cubes": ("the cubes of {}", "x ** 3", lambda x, j: x * x * x),
    "doubles": ("{}, each doubled", "x * 2", lambda x, j: x + x),
    "halves": ("{}, each divided by 2", "x / 2", lambda x, j: x * 0.5),
    "negated": ("{}, each with its sign changed", "-x", lambda x, j: 0 - x),
    "absolute": ("the absolute values of {}", "abs(x)", lambda x, j: max(x, -x)),
    "plus": ("{}, each increased by @", "x + @", lambda x, j: x + j),
    "minus": ("{}, each decreased by @", "x - @", lambda x, j: x - j),
    "times": ("{}, each multiplied by @", "x * @", lambda x, j: x * j),
    "remainders": ("the remainders of {} after division by @", "x % @", lambda x, j: x - x // j * j),
}
WORD_CHANGES: dict[str, Change] = {
    "upper": ("{}, each in upper case", "x.upper()", lambda x, j: x.upper()),
    "lower": ("{}, each in lower case", "x.lower()", lambda x, j: x.lower()),
    "capitalized": ("{}, each capitalized", "x.capitalize()", lambda x, j: x[:1].upper() + x[1:].lower()),
    "lengths": ("the lengths of {}", "len(x)", lambda x, j: sum(1 for _ in x)),
    "reversed": ("{}, each reversed", "x[::-1]", lambda x, j: "".join(reversed(x))),
    "first_letters": ("the first letters of {}", "x[0]", lambda x, j: x[:1]),
    "last_letters": ("the last letters of {}", "x[-1]", lambda x, j: x[-1:]),
    "marked": ("{}, each followed by '!'", "x + '!'", lambda x, j: f"{x}!"),
    "twice": ("{}, each written twice", "x * 2", lambda x, j: x + x),
}
# fmt: on


def constant(dice: random.Random, key: str, small: bool = False) -> Any:
    """The number or letter a condition compares with."""
    if key.startswith(("starting", "ending", "containing", "without", "letter")):
        return dice.choice("aeilnoprst")
    return dice.randint(2, 6 if small else 12)


def with_constant(row: Condition, key: str, k: Any) -> tuple[str, str, str]:
    """A condition's words, code and word for the name, with its constant or the argument $1 put in."""
    constant = "$1" if key.endswith("_n") else repr(k)
    word = f"{key}_{k}" if "#" in row[0] and not key.endswith("_n") else key
    return row[0].replace("#", constant), row[1].replace("#", constant), word


def with_extra(key: str, args: str, values: Iterable[Any], k: Any) -> tuple[str, list[tuple[Any, ...]]]:
    """The arguments and inputs, with the constant as a further argument where the condition asks for one."""
    if key.endswith("_n"):
        return f"{args} n", [(value, k) for value in values]
    return args, [(value,) for value in values]
