"""Bare sums, percentages, equations, units and sequences."""

from __future__ import annotations

from recipes.embedded.problems.dice import Dice, Problem, Template
from recipes.embedded.problems.steps import so, step
from zooter_core.backends.local.calculator import result

UNITS = (
    ("hours", "minutes", 60),
    ("minutes", "seconds", 60),
    ("days", "hours", 24),
    ("weeks", "days", 7),
    ("years", "months", 12),
    ("dozen", "pieces", 12),
    ("metres", "centimetres", 100),
    ("kilometres", "metres", 1000),
    ("kilograms", "grams", 1000),
    ("litres", "millilitres", 1000),
)
PARTS = (("half", 2), ("a third", 3), ("a quarter", 4), ("a fifth", 5), ("1/2", 2), ("1/4", 4), ("1/3", 3), ("1/5", 5))
MANIFOLD = (("double", 2), ("twice", 2), ("triple", 3), ("three times", 3), ("four times", 4), ("five times", 5))
PERCENTS = (5, 10, 12, 15, 20, 25, 30, 35, 40, 45, 50, 60, 75, 80)
LETTERS = "xxxxyzn"


def plus(dice: Dice) -> Problem:
    most = dice.choice((99, 400, 2000))
    a, b = dice.between(2, most), dice.between(2, most)
    return dice.ask("plus", a=a, b=b), so(f"Add: {step(f'{a} + {b}')}", a + b)


def minus(dice: Dice) -> Problem:
    most = dice.choice((99, 400, 2000))
    b, a = sorted((dice.between(2, most), dice.between(2, most)))
    return dice.ask("minus", a=a, b=b), so(f"Subtract: {step(f'{a} - {b}')}", a - b)


def three(dice: Dice) -> Problem:
    """Three numbers, the first large enough for what is taken away."""
    b, c = dice.between(2, 150), dice.between(2, 150)
    a = b + c + dice.between(1, 300)
    one, two = dice.choice(("+-", "++", "-+", "--"))
    spoken = {"+": "plus", "-": "minus"}
    done = {"+": "add", "-": "subtract"}
    sum_ = f"{a} {one} {b} {two} {c}"
    ask = dice.ask(
        "three",
        a=a,
        sum=sum_,
        words=f"{a} {spoken[one]} {b} {spoken[two]} {c}",
        steps=f"{done[one]} {b}, then {done[two]} {c}",
    )
    return ask, so(step(sum_), str(result(sum_)))


def compare(dice: Dice) -> Problem:
    b, more = dice.between(2, 900), dice.between(1, 900)
    a = b + more
    return dice.ask("compare", a=a, b=b), so(f"The difference: {step(f'{a} - {b}')}", more)


def times(dice: Dice) -> Problem:
    a, b = dice.between(2, dice.choice((12, 99))), dice.between(2, 99)
    return dice.ask("times", a=a, b=b), so(f"Multiply: {step(f'{a} * {b}')}", a * b)


def divide(dice: Dice) -> Problem:
    b, c = dice.between(2, 25), dice.between(2, 60)
    a = b * c
    return dice.ask("divide", a=a, b=b), so(f"Divide: {step(f'{a} / {b}')}", c)


def rest(dice: Dice) -> Problem:
    b, quotient = dice.between(3, 25), dice.between(1, 30)
    left = dice.between(0, b - 1)
    a = b * quotient + left
    worked = f"{step(f'{a} / {b}')}, so {quotient} whole times: {step(f'{b} * {quotient}')}.\n"
    return dice.ask("rest", a=a, b=b), so(f"{worked}The remainder is {step(f'{a} - {b * quotient}')}", left)


def double(dice: Dice) -> Problem:
    (word, factor), a = dice.choice(MANIFOLD), dice.between(5, 400)
    return dice.ask("double", word=word, a=a), so(f"Multiply by {factor}: {step(f'{factor} * {a}')}", factor * a)


def square(dice: Dice) -> Problem:
    a = dice.between(2, 40)
    return dice.ask("square", a=a), so(f"{a}^2 = {step(f'{a} * {a}')}", a**2)


def power(dice: Dice) -> Problem:
    a = dice.between(2, 25)
    return dice.ask("power", a=a), so(f"{a}^3 = {step(f'{a} * {a} * {a}')}", a**3)


def order(dice: Dice) -> Problem:
    a, b, c = dice.between(2, 300), dice.between(2, 25), dice.between(2, 40)
    worked = f"First the product: {step(f'{b} * {c}')}.\nThen {step(f'{a} + {b * c}')}"
    return dice.ask("order", a=a, b=b, c=c), so(worked, a + b * c)


def percent(dice: Dice) -> Problem:
    p, amount = dice.choice(PERCENTS), 2 * dice.between(5, 400)
    sum_ = f"{amount} * {p} / 100"
    return dice.ask("percent", p=p, whole=amount), so(f"{p}% of {amount} is {step(sum_)}", str(result(sum_)))


def percent_change(dice: Dice) -> Problem:
    p, price = 5 * dice.between(1, 16), 20 * dice.between(1, 60)
    more = price * p // 100
    worked = f"{p}% of {price} is {step(f'{price} * {p} / 100')}.\nWith that added: {step(f'{price} + {more}')}"
    return dice.ask("percent_change", p=p, price=price), so(worked, price + more)


def part(dice: Dice) -> Problem:
    (word, over), share = dice.choice(PARTS), dice.between(3, 150)
    amount = share * over
    return dice.ask("part", word=word, whole=amount), so(f"Divide by {over}: {step(f'{amount} / {over}')}", share)


def fraction_of(dice: Dice) -> Problem:
    top, bottom = dice.choice(((2, 3), (3, 4), (2, 5), (3, 5), (4, 5), (5, 6), (3, 7), (3, 8), (5, 8), (7, 10)))
    share = dice.between(2, 80)
    amount = bottom * share
    worked = f"1/{bottom} of {amount} is {step(f'{amount} / {bottom}')}.\n{top}/{bottom} is {step(f'{top} * {share}')}"
    return dice.ask("fraction_of", top=top, bottom=bottom, whole=amount), so(worked, top * share)


def equation(dice: Dice) -> Problem:
    a, x, b, letter = dice.between(2, 25), dice.between(1, 40), dice.between(1, 100), dice.choice(LETTERS)
    c = a * x + b
    worked = f"Subtract {b}: {step(f'{c} - {b}')}.\n{a}{letter} = {c - b}, so {letter} = {step(f'{c - b} / {a}')}"
    return dice.ask("equation", a=a, b=b, c=c, letter=letter), so(worked, x)


def equation_minus(dice: Dice) -> Problem:
    a, x, letter = dice.between(2, 25), dice.between(3, 40), dice.choice(LETTERS)
    b = dice.between(1, min(100, a * x - 1))
    c = a * x - b
    worked = f"Add {b}: {step(f'{c} + {b}')}.\n{a}{letter} = {c + b}, so {letter} = {step(f'{c + b} / {a}')}"
    return dice.ask("equation_minus", a=a, b=b, c=c, letter=letter), so(worked, x)


def equation_short(dice: Dice) -> Problem:
    x, b, letter = dice.between(1, 300), dice.between(1, 300), dice.choice("xxxyab")
    c = x + b
    return dice.ask("equation_short", b=b, c=c, letter=letter), so(f"Subtract {b}: {step(f'{c} - {b}')}", x)


def average(dice: Dice) -> Problem:
    mean, d, e = dice.between(10, 150), dice.between(0, 9), dice.between(0, 9)
    a, b, c = dice.sample((mean - d, mean + e, mean + d - e), 3)
    worked = f"The sum is {step(f'{a} + {b} + {c}')}.\nThe average is {step(f'{3 * mean} / 3')}"
    return dice.ask("average", a=a, b=b, c=c), so(worked, mean)


def mean_four(dice: Dice) -> Problem:
    mean, e, f, g = dice.between(20, 150), dice.between(0, 9), dice.between(0, 9), dice.between(0, 9)
    a, b, c, d = dice.sample((mean - e, mean - f, mean + g, mean + e + f - g), 4)
    worked = f"The sum is {step(f'{a} + {b} + {c} + {d}')}.\nThe average is {step(f'{4 * mean} / 4')}"
    return dice.ask("mean_four", a=a, b=b, c=c, d=d), so(worked, mean)


def units(dice: Dice) -> Problem:
    count, (big, small, factor) = dice.between(2, 60), dice.choice(UNITS)
    worked = f"One {big.removesuffix('s')} is {factor} {small}: {step(f'{count} * {factor}')}"
    return dice.ask("units", count=count, big=big, small=small), so(worked, count * factor)


def sequence(dice: Dice) -> Problem:
    """Four numbers with the same step between them, upwards or downwards, and the one that follows."""
    start, by = dice.between(1, 90), dice.between(2, 25)
    rising = [start + by * turn for turn in range(5)]
    up = dice.random() < 0.75
    a, b, c, d, e = rising if up else rising[::-1]
    if up:
        worked = f"Each number is {by} more: {step(f'{b} - {a}')}.\n{step(f'{d} + {by}')}"
    else:
        worked = f"Each number is {by} less: {step(f'{a} - {b}')}.\n{step(f'{d} - {by}')}"
    return dice.ask("sequence", shown=f"{a}, {b}, {c}, {d}"), so(worked, e)


ARITHMETIC: tuple[Template, ...] = (
    plus, minus, three, compare, times, divide, rest, double, square, power, order, percent, percent_change, part,
    fraction_of, equation, equation_minus, equation_short, average, mean_four, units, sequence,
)  # fmt: skip
