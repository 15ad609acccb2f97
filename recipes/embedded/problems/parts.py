"""The simplest word problems of a part and the rest; phrasings in groups.toml."""

from __future__ import annotations

from recipes.embedded.problems.dice import NAMES, Dice, Problem
from recipes.embedded.problems.steps import so, step

FOLK = ("friends", "children", "cousins", "pupils", "neighbours", "guests", "players")
OWNED = ("beads", "cups", "pencils", "blocks", "marbles", "buttons", "toys")


def parted(dice: Dice, template: str) -> tuple[str, str, int, int]:
    """What is asked, the step to the part, the whole and the part."""
    (name, other), part = dice.people(), dice.between(2, 15)
    word, factor = dice.choice((("half", 2), ("a third", 3), ("a quarter", 4), ("a fifth", 5)))
    words = {"thing": dice.choice(OWNED), "col": dice.choice(("red", "blue", "green", "white", "yellow"))}
    m = part * factor
    ask = dice.ask(template, name=name, other=other, m=m, part=word, Part=word.capitalize(), **words)
    return ask, f"{word.capitalize()} of {m}: {step(f'{m} / {factor}')}", m, part


def part_of(dice: Dice) -> Problem:
    ask, worked, _, part = parted(dice, "part_of")
    return ask, so(worked, part)


def part_left(dice: Dice) -> Problem:
    ask, worked, m, part = parted(dice, "part_left")
    return ask, so(f"{worked}.\nThe others: {step(f'{m} - {part}')}", m - part)


def sliced(dice: Dice, template: str) -> tuple[str, int, int, int]:
    """What is asked, how many eat, how much each and how much there was."""
    n, k = dice.between(2, 8), dice.between(2, 4)
    m = n * k + dice.between(1, 10)
    food, bits = dice.choice(("pizza", "cake", "pie", "tart")), dice.choice(("slices", "pieces"))
    words = {"name": dice.choice(NAMES), "people": dice.choice(FOLK), "bits": bits}
    return dice.ask(template, n=n, k=k, m=m, food=food, Food=food.capitalize(), **words), n, k, m


def slices_eaten(dice: Dice) -> Problem:
    ask, n, k, _ = sliced(dice, "slices_eaten")
    return ask, so(f"Eaten: {step(f'{n} * {k}')}", n * k)


def slices_left(dice: Dice) -> Problem:
    ask, n, k, m = sliced(dice, "slices_left")
    return ask, so(f"Eaten: {step(f'{n} * {k}')}.\nRemaining: {step(f'{m} - {n * k}')}", m - n * k)
