"""Finds the number that continues a sequence, if a text asks for it: "What comes next: 2, 4, 8, 16?"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

from zooter_core.arithmetic.sums import in_decimals, work_out

Rule = tuple[str, Fraction]  # how a number follows from the numbers before it, and the next number
NUMBER = r"-?\d[\d.]*"
NUMBERS = re.compile(rf"(?<![\w.]){NUMBER}(?:(?:, ?(?:and )?|; ?| ){NUMBER}){{2,}}(?!\w)")
ASKS_NEXT = re.compile(r"\b(?:next|continue|complete|finish|follows?)\b|,\s*(?:\?|_|…|\.\.)", re.IGNORECASE)
GAP = re.compile(r"[_?.…]\s*,\s*\d")  # a gap before a number, so that it is not the next one that is missing
AROUND = re.compile(  # words around the numbers; other words may ask for something else
    r"(?:\b(?:what(?:'s|s)?|which|is|comes?|goes|should|would|be|next|the|an?|numbers?|terms?|value|in|of|to|this|these|my"
    r"|following|sequence|series|pattern|continue|complete|finish|find|guess|predict|after|follows?|please|can|you|for"
    r"|fill|missing|blank|and|then)\b|[\W_])*",
    re.IGNORECASE,
)
DEGREES = (2, 3)  # degrees of polynomials, such as squares and cubes


def next_number(text: str) -> tuple[str, str] | None:
    """A sentence about the next number of the sequence in a text, and that number; None for any other text."""
    match = NUMBERS.search(text)
    if not match or not ASKS_NEXT.search(text) or GAP.search(text):
        return None
    around = text[: match.start()], text[match.end() :]
    values = [work_out(part.rstrip(".")) for part in re.findall(NUMBER, match[0])]
    terms = [value for value in values if value is not None]
    if not all(AROUND.fullmatch(part.replace("’", "'")) for part in around) or len(terms) < len(values):
        return None
    rule = _from_the_one_before(terms) or _sums_of_two(terms) or _growing_steps(terms)
    return (f"{rule[0]} = {in_decimals(rule[1])}.", in_decimals(rule[1])) if rule else None


def _from_the_one_before(terms: Sequence[Fraction]) -> Rule | None:
    """The rule that each number is a factor times the number before it plus a constant: 3, 7, 15, 31."""
    first, second, third = terms[:3]
    factor = (third - second) / (second - first) if first != second else Fraction(1)
    added = second - factor * first
    if any(after != factor * before + added for before, after in pairwise(terms)) or (
        added and factor != 1 and len(terms) < 4
    ):
        return None
    last = in_decimals(terms[-1])
    rule, calculation = f"{in_decimals(factor)} times the one before", f"{last} * {in_decimals(factor)}"
    if factor == 1:
        rule, calculation = f"{'' if added else 'the same as '}the one before", last
    elif factor.numerator == 1:
        rule, calculation = f"the one before divided by {factor.denominator}", f"{last} / {factor.denominator}"
    if added:
        change = f" {'-' if added < 0 else '+'} {in_decimals(abs(added))}"
        rule, calculation = f"{rule}{change}", f"{calculation}{change}"
    return f"Each number is {rule}: {calculation}", factor * terms[-1] + added


def _sums_of_two(terms: Sequence[Fraction]) -> Rule | None:
    if len(terms) < 5 or any(c != a + b for a, b, c in zip(terms, terms[1:], terms[2:], strict=False)):
        return None
    one, other = in_decimals(terms[-2]), in_decimals(terms[-1])
    return f"Each number is the sum of the two before: {one} + {other}", terms[-2] + terms[-1]


def _growing_steps(terms: Sequence[Fraction]) -> Rule | None:
    """The rule that the second or third differences are constant, as for squares and cubes."""
    for degree in DEGREES:
        rows = [list(terms)]
        for _ in range(degree):
            rows.append([after - before for before, after in pairwise(rows[-1])])
        if len(rows[-1]) > 1 and len(set(rows[-1])) == 1:
            steps, step = rows[1], sum((row[-1] for row in rows[1:]), Fraction(0))
            shown = ", ".join(map(in_decimals, steps))
            sum_of = f"{in_decimals(terms[-1])} {'-' if step < 0 else '+'} {in_decimals(abs(step))}"
            return f"The steps are {shown}, and next {in_decimals(step)}: {sum_of}", terms[-1] + step
    return None
