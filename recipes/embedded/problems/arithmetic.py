"""Bare sums, percentages, equations, units and sequences."""

from __future__ import annotations

from recipes.embedded.problems.dice import Dice, Problem
from recipes.embedded.problems.steps import difference, product, quotient, share, so, total

UNITS = (
    ("hours", "minutes", 60),
    ("weeks", "days", 7),
    ("metres", "centimetres", 100),
    ("dozen", "pieces", 12),
    ("days", "hours", 24),
)


def drill(dice: Dice) -> Problem:
    """Several bare sums at once: much practice in few words."""
    lines = []
    for _ in range(dice.randint(4, 7)):
        kind = dice.choice("++--*/")
        a, b = dice.randint(10, 150), dice.randint(2, 99)
        if kind == "+":
            lines.append((f"{a} + {b}", total(a, b)))
        elif kind == "-":
            a, b = max(a, b), min(a, b)
            lines.append((f"{a} - {b}", difference(a, b)))
        else:
            a, b = dice.randint(2, 12), dice.randint(2, 40)
            lines.append((f"{a} * {b}", product(a, b)) if kind == "*" else (f"{a * b} / {a}", quotient(a * b, a)))
    ask = dice.ask("Compute ", "Work out ", "Calculate ", "", "What are ", "Find the values of ")
    return ask + ", ".join(sum for sum, _ in lines), "\n".join(f"{worked}." for _, worked in lines)


def plus(dice: Dice) -> Problem:
    most = dice.choice((99, 99, 400))
    a, b = dice.between(2, most), dice.between(2, 99)
    ask = dice.ask(
        "What is {} + {}?", "Compute {} + {}.", "{} + {} = ?", "Add {} and {}.", "How much is {} plus {}?", "{} + {}",
        "what's {} + {}", "Find the sum of {} and {}.", "Calculate {} plus {}.", "Please add {} to {}.",
        "sum of {} and {}",
        "Please calculate the sum {} + {}.",
    )  # fmt: skip
    return ask.format(a, b), so(total(a, b), a + b)


def minus(dice: Dice) -> Problem:
    most = dice.choice((99, 99, 400))
    b, a = sorted((dice.between(2, 99), dice.between(2, most)))
    b = min(b, 99)
    ask = dice.ask(
        "What is {} - {}?", "Compute {} - {}.", "{} - {} = ?", "How much is {} minus {}?", "{} - {}", "what's {} - {}",
        "Find the difference {} - {}.", "Take {1} away from {0}.", "Calculate {} minus {}.", "Subtract {1} from {0}.",
        "Please work out {} minus {}.",
    )  # fmt: skip
    return ask.format(a, b), so(difference(a, b), a - b)


def times(dice: Dice) -> Problem:
    a, b = dice.between(2, 12), dice.between(2, 60)
    ask = dice.ask(
        "What is {} times {}?", "Compute {} * {}.", "{} x {} = ?", "Multiply {} by {}.", "{} * {}", "what's {} x {}",
        "Find the product of {} and {}.", "Calculate {} times {}.", "How much is {} multiplied by {}?",
        "product of {} and {}",
        "How much do you get when you multiply {} and {}?",
    )  # fmt: skip
    return ask.format(a, b), so(product(a, b), a * b)


def divide(dice: Dice) -> Problem:
    b, c = dice.between(2, 12), dice.between(2, 30)
    ask = dice.ask(
        "What is {} divided by {}?", "Compute {} / {}.", "Divide {} by {}.", "{} / {} = ?", "{} / {}",
        "How many times does {1} go into {0}?", "Calculate {} divided by {}.", "what's {} / {}",
        "Please divide {} by {}.",
        "Work out {} divided by {}, please.",
    )  # fmt: skip
    return ask.format(b * c, b), so(quotient(b * c, b), c)


def double(dice: Dice) -> Problem:
    word, factor = dice.choice((("double", 2), ("twice", 2), ("triple", 3), ("three times", 3), ("four times", 4)))
    a = dice.between(5, 80)
    ask = dice.ask(
        "What is {} {}?", "How much is {} {}?", "Calculate {} {}.", "Find {} {}.", "{} {}", "I need to know {} {}.",
        "Tell me what {} {} makes.",
    )  # fmt: skip
    return ask.format(word, a), so(product(factor, a), factor * a)


def square(dice: Dice) -> Problem:
    a = dice.between(2, 15)
    ask = dice.ask(
        "What is {}^2?", "What is {} squared?", "Compute {}^2.", "{} to the power of 2", "What is the square of {}?",
        "Calculate {} squared.", "{} squared", "Square {}.",
    )  # fmt: skip
    return ask.format(a), so(f"{a}^2 = {product(a, a)}", a * a)


def order(dice: Dice) -> Problem:
    a, b, c = dice.between(2, 60), dice.between(2, 12), dice.between(2, 12)
    ask = dice.ask(
        "What is {} + {} * {}?", "Compute {} + {} * {}.", "{} + {} x {} = ?", "{} + {} * {}", "Calculate {} + {} x {}.",
        "Work out {} + {} * {}.", "Evaluate {} + {} * {}.",
    )  # fmt: skip
    worked = f"First the product: {b} * {c} = {b * c}.\nThen {total(a, b * c)}"
    return ask.format(a, b, c), so(worked, a + b * c)


def percent(dice: Dice) -> Problem:
    p, whole = dice.choice((5, 10, 15, 20, 25, 30, 40, 50, 60, 75)), dice.between(1, 25) * 20
    ask = dice.ask(
        "What is {}% of {}?", "Find {} percent of {}.", "How much is {}% of {}?", "{}% of {}", "Calculate {}% of {}.",
        "what's {} percent of {}", "Work out {}% of {}.", "I want to know {}% of {}.",
        "I need {} percent of {}. How much is that?",
    )  # fmt: skip
    return ask.format(p, whole), so(share(p, whole), whole * p // 100)


def part(dice: Dice) -> Problem:
    word, over = dice.choice(
        (("half", 2), ("a third", 3), ("a quarter", 4), ("a fifth", 5), ("1/2", 2), ("1/4", 4), ("1/3", 3))
    )
    each = dice.between(3, 30)
    ask = dice.ask(
        "What is {} of {}?", "How much is {} of {}?", "Find {} of {}.", "{} of {}", "Calculate {} of {}.",
        "Work out {} of {}.", "Can you tell me {} of {}?",
    )  # fmt: skip
    return ask.format(word, each * over), so(quotient(each * over, over), each)


def equation(dice: Dice) -> Problem:
    a, x, b = dice.between(2, 12), dice.between(1, 15), dice.between(1, 30)
    letter = dice.choice("xxxxyzn")
    c = a * x + b
    ask = dice.ask(
        "Solve {1}{0} + {2} = {3}.", "Solve for {0}: {1}{0} + {2} = {3}", "If {1}{0} + {2} = {3}, what is {0}?",
        "{1}{0} + {2} = {3}. Find {0}.", "solve the equation {1}{0} + {2} = {3}", "Find {0} if {1}{0} + {2} = {3}.",
        "What is the value of {0} in {1}{0} + {2} = {3}?", "What is {0} when {1}{0} + {2} = {3}?",
    )  # fmt: skip
    worked = f"Subtract {b}: {difference(c, b)}.\n{a}{letter} = {c - b}, so {letter} = {quotient(c - b, a)}"
    return ask.format(letter, a, b, c), so(worked, x)


def equation_minus(dice: Dice) -> Problem:
    a, x = dice.between(2, 12), dice.between(3, 15)
    b = dice.between(1, min(30, a * x - 1))
    letter = dice.choice("xxxxyzn")
    c = a * x - b
    ask = dice.ask(
        "Solve {1}{0} - {2} = {3}.", "Solve for {0}: {1}{0} - {2} = {3}", "If {1}{0} - {2} = {3}, what is {0}?",
        "{1}{0} - {2} = {3}. Find {0}.", "solve the equation {1}{0} - {2} = {3}", "Find {0} if {1}{0} - {2} = {3}.",
        "What is the value of {0} in {1}{0} - {2} = {3}?", "What is {0} when {1}{0} - {2} = {3}?",
    )  # fmt: skip
    worked = f"Add {b}: {total(c, b)}.\n{a}{letter} = {c + b}, so {letter} = {quotient(c + b, a)}"
    return ask.format(letter, a, b, c), so(worked, x)


def equation_short(dice: Dice) -> Problem:
    x, b, letter = dice.between(1, 60), dice.between(1, 60), dice.choice("xxxyab")
    ask = dice.ask(
        "Solve {0} + {1} = {2}.", "Solve for {0}: {0} + {1} = {2}", "If {0} + {1} = {2}, what is {0}?",
        "Find {0} in {0} + {1} = {2}.", "What is {0} if {0} + {1} = {2}?", "{0} + {1} = {2}. What is {0}?",
        "{0} + {1} = {2}, what does {0} equal?",
    )  # fmt: skip
    return ask.format(letter, b, x + b), so(f"Subtract {b}: {letter} = {difference(x + b, b)}", x)


def average(dice: Dice) -> Problem:
    mean, d = dice.between(8, 30), dice.between(1, 7)
    numbers = dice.choice(((mean - d, mean, mean + d), (mean + d, mean - d, mean), (mean - d, mean - d, mean + 2 * d)))
    a, b, c = numbers
    ask = dice.ask(
        "What is the average of {}, {} and {}?", "Find the mean of {}, {} and {}.", "average of {}, {}, {}",
        "Calculate the average of the numbers {}, {} and {}.", "What is the mean of {}, {} and {}?",
        "{}, {} and {}: what is their average?", "The numbers are {}, {} and {}. What is the average?",
        "Three tests gave {}, {} and {} points. What is the mean?",
    )  # fmt: skip
    worked = f"{total(a, b)}.\n{total(a + b, c)}.\nThe average is {quotient(3 * mean, 3)}"
    return ask.format(a, b, c), so(worked, mean)


def units(dice: Dice) -> Problem:
    count, (big, small, factor) = dice.between(2, 12), dice.choice(UNITS)
    ask = dice.ask(
        f"How many {small} are there in {count} {big}?", f"Convert {count} {big} to {small}.",
        f"{count} {big} is how many {small}?", f"{count} {big} in {small}", f"How many {small} are {count} {big}?",
        f"Change {count} {big} into {small}.", f"Turn {count} {big} into {small}.",
    )  # fmt: skip
    return ask, so(f"One has {factor} {small}: {product(count, factor)}", count * factor)


def sequence(dice: Dice) -> Problem:
    start, step = dice.between(1, 30), dice.between(2, 12)
    numbers = [start + step * turn for turn in range(5)]
    shown = ", ".join(map(str, numbers[:4]))
    ask = dice.ask(
        f"What is the next number in {shown}?", f"Which number comes next: {shown}, ...?",
        f"Continue the sequence {shown}.", f"{shown}, what is next?", f"What comes after {shown}?",
        f"{shown}: which number is next?", f"{shown}: what follows?",
    )  # fmt: skip
    worked = f"The step is {difference(numbers[1], start)}.\n{total(numbers[3], step)}"
    return ask, so(worked, numbers[4])
