"""Short maths problems with worked answers, made from templates written for this project."""

from __future__ import annotations

import random
from collections.abc import Callable

Problem = tuple[str, str]  # (query, worked answer)
NAMES = (
    "Ana",
    "Ben",
    "Chloe",
    "David",
    "Emma",
    "Farid",
    "Grace",
    "Hugo",
    "Ines",
    "Jonas",
    "Kira",
    "Liam",
    "Mona",
    "Noah",
)
THINGS = ("apples", "books", "stickers", "marbles", "pencils", "cookies", "stamps", "shells", "cards", "balloons")


def plus(dice: random.Random) -> Problem:
    a, b = dice.randint(2, 99), dice.randint(2, 99)
    ask = dice.choice(
        ("What is {} + {}?", "Compute {} + {}.", "{} + {} = ?", "Add {} and {}.", "How much is {} plus {}?")
    )
    return ask.format(a, b), f"{a} + {b} = {a + b}.\nThe answer is {a + b}."


def minus(dice: random.Random) -> Problem:
    a, b = sorted((dice.randint(2, 99), dice.randint(2, 99)), reverse=True)
    ask = dice.choice(("What is {} - {}?", "Compute {} - {}.", "{} - {} = ?", "How much is {} minus {}?"))
    return ask.format(a, b), f"{a} - {b} = {a - b}.\nThe answer is {a - b}."


def times(dice: random.Random) -> Problem:
    a, b = dice.randint(2, 12), dice.randint(2, 30)
    ask = dice.choice(("What is {} times {}?", "Compute {} * {}.", "{} x {} = ?", "Multiply {} by {}."))
    return ask.format(a, b), f"{a} * {b} = {a * b}.\nThe answer is {a * b}."


def divide(dice: random.Random) -> Problem:
    b, c = dice.randint(2, 12), dice.randint(2, 20)
    ask = dice.choice(("What is {} divided by {}?", "Compute {} / {}.", "Divide {} by {}."))
    return ask.format(b * c, b), f"{b * c} / {b} = {c}.\nThe answer is {c}."


def percent(dice: random.Random) -> Problem:
    p, whole = dice.choice((5, 10, 15, 20, 25, 30, 40, 50, 60, 75)), dice.randint(1, 20) * 20
    part = whole * p // 100
    ask = dice.choice(("What is {}% of {}?", "Find {} percent of {}.", "How much is {}% of {}?"))
    return ask.format(p, whole), f"{p}% of {whole} is {whole} * {p} / 100 = {part}.\nThe answer is {part}."


def buying(dice: random.Random) -> Problem:
    name, thing = dice.choice(NAMES), dice.choice(THINGS)
    n, price = dice.randint(2, 12), dice.randint(2, 15)
    asks = (
        f"{name} buys {n} {thing} at ${price} each. How much does {name} pay in total?",
        f"One pack of {thing} costs ${price}. How much do {n} packs cost?",
        f"If {name} needs {n} {thing} and each costs {price} dollars, what is the total cost?",
    )
    return dice.choice(asks), f"The total is {n} * ${price} = ${n * price}.\nThe answer is {n * price}."


def giving(dice: random.Random) -> Problem:
    (name, other), thing = dice.sample(NAMES, 2), dice.choice(THINGS)
    a, b = dice.randint(15, 80), dice.randint(2, 14)
    c = dice.randint(2, 30)
    asks = (
        f"{name} has {a} {thing}, gives {b} to {other} and then finds {c} more. How many {thing} does {name} have now?",
        f"{name} had {a} {thing}. {other} took {b} of them, and later {name} bought {c} more. How many are there now?",
    )
    worked = f"After giving away {b}, {a} - {b} = {a - b} are left.\nWith {c} more it is {a - b} + {c} = {a - b + c}."
    return dice.choice(asks), f"{worked}\nThe answer is {a - b + c}."


def sharing(dice: random.Random) -> Problem:
    name, thing = dice.choice(NAMES), dice.choice(THINGS)
    friends, each = dice.randint(2, 12), dice.randint(2, 15)
    total = friends * each
    asks = (
        f"{name} shares {total} {thing} equally among {friends} friends. How many does each friend get?",
        f"{total} {thing} are packed into {friends} boxes with the same number in each. How many are in one box?",
    )
    return dice.choice(asks), f"Each gets {total} / {friends} = {each}.\nThe answer is {each}."


def travel(dice: random.Random) -> Problem:
    speed, hours = dice.randint(2, 12) * 10, dice.randint(2, 9)
    asks = (
        f"A train travels at {speed} km per hour for {hours} hours. How far does it go?",
        f"How many miles does a car cover in {hours} hours at {speed} miles per hour?",
        f"A bus goes {speed} km every hour. What distance does it cover in {hours} hours?",
    )
    return dice.choice(
        asks
    ), f"Distance is speed times time: {speed} * {hours} = {speed * hours}.\nThe answer is {speed * hours}."


def equation(dice: random.Random) -> Problem:
    a, x, b = dice.randint(2, 12), dice.randint(1, 15), dice.randint(1, 30)
    c = a * x + b
    ask = dice.choice(("Solve {}x + {} = {}.", "Solve for x: {}x + {} = {}", "If {}x + {} = {}, what is x?"))
    worked = f"Subtract {b} from both sides: {a}x = {c - b}.\nDivide by {a}: x = {x}."
    return ask.format(a, b, c), f"{worked}\nThe answer is {x}."


def area(dice: random.Random) -> Problem:
    a, b = dice.randint(2, 12), dice.randint(2, 20)
    shape = dice.choice(("rectangle", "rectangular garden", "room"))
    if dice.random() < 0.5:
        query = f"A {shape} is {b} metres long and {a} metres wide. What is its area?"
        return query, f"Area is length times width: {b} * {a} = {a * b}.\nThe answer is {a * b}."
    query = f"What is the perimeter of a {shape} with sides of {a} m and {b} m?"
    return query, f"The perimeter is 2 * ({a} + {b}) = 2 * {a + b} = {2 * (a + b)}.\nThe answer is {2 * (a + b)}."


def saving(dice: random.Random) -> Problem:
    name, each, weeks, spent = dice.choice(NAMES), dice.randint(3, 25), dice.randint(3, 12), dice.randint(2, 9)
    total = each * weeks
    query = (
        f"{name} saves ${each} a week for {weeks} weeks and then spends ${spent}. How much money does {name} have left?"
    )
    left = total - spent
    worked = f"{name} saves {each} * {weeks} = ${total}.\nAfter spending ${spent}, {total} - {spent} = ${left} is left."
    return query, f"{worked}\nThe answer is {left}."


TEMPLATES: tuple[Callable[[random.Random], Problem], ...] = (
    plus, minus, times, divide, percent, buying, giving, sharing, travel, equation, area, saving,
)  # fmt: skip


def problems(count: int, seed: int) -> list[Problem]:
    """`count` different problems, the templates in turn."""
    dice = random.Random(seed)
    made: dict[str, str] = {}
    turn = 0
    while len(made) < count:
        query, answer = TEMPLATES[turn % len(TEMPLATES)](dice)
        made.setdefault(query, answer)
        turn += 1
    return list(made.items())
