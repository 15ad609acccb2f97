"""School calculus: integrals, derivatives and limits of polynomials; phrasings in algebra.toml."""

from __future__ import annotations

from recipes.embedded.problems.dice import Dice, Problem
from recipes.embedded.problems.polynomials import at, poly
from recipes.embedded.problems.steps import done, step
from zooter_core.backends.local.calculator import result


def integral_power(dice: Dice) -> Problem:
    n, a, c = dice.choice((1, 1, 2, 2, 3)), dice.between(1, 12), dice.between(1, 8 if dice.random() < 0.7 else 12)
    if n == 2 and a * c % 3:
        a = 3 * dice.between(1, 5)
    anti, divides = f"{poly(a, *[0] * (n + 1))} / {n + 1}", a % (n + 1) == 0
    if divides:
        k = a // (n + 1)
        anti += f", that is {poly(k, *[0] * (n + 1))}"
        value = at(c, k, *[0] * (n + 1))
    else:
        value = f"{at(c, a, *[0] * (n + 1))} / {n + 1}"
    ask = dice.ask("integral_power", shown=poly(a, *[0] * n), c=c)
    return ask, done(f"An antiderivative is {anti}.\nFrom 0 to {c}: ", value)


def integral_linear(dice: Dice) -> Problem:
    a, b, c = dice.between(1, 12), dice.choice((-1, 1, 1)) * dice.between(1, 12), dice.between(1, 10)
    if a % 2:
        sign = "-" if b < 0 else "+"
        anti, value = f"{poly(a, 0, 0)} / 2 {sign} {poly(abs(b), 0)}", f"{at(c, a, 0, 0)} / 2 {sign} {abs(b)} * {c}"
    else:
        anti, value = poly(a // 2, b, 0), at(c, a // 2, b, 0)
    ask = dice.ask("integral_linear", shown=poly(a, b), c=c)
    return ask, done(f"An antiderivative is {anti}.\nFrom 0 to {c}: ", value)


def integral_between(dice: Dice) -> Problem:
    k, b = dice.between(1, 6), dice.choice((0, 0, dice.between(1, 9)))
    low, high = sorted(dice.sample(range(1, 11), 2))
    top, bottom = at(high, k, b, 0), at(low, k, b, 0)
    if bottom == "1":
        bottom = "1 * 1"
    worked = f"An antiderivative is {poly(k, b, 0)}.\nAt {high}: {step(top)}, at {low}: {step(bottom)}.\nSubtract: "
    ask = dice.ask("integral_between", shown=poly(2 * k, b), low=low, high=high)
    return ask, done(worked, f"{result(top)} - {result(bottom)}")


def derivative_power(dice: Dice) -> Problem:
    a, n, x = dice.between(1, 12), dice.choice((2, 2, 3, 3, 4)), dice.between(1, 10)
    worked = f"{step(f'{n} * {a}')}, so the derivative is {poly(n * a, *[0] * (n - 1))}.\nAt x = {x}: "
    ask = dice.ask("derivative_power", shown=poly(a, *[0] * n), x=x)
    return ask, done(worked, at(x, n * a, *[0] * (n - 1)))


def derivative_sum(dice: Dice) -> Problem:
    a, b, c = dice.between(1, 9), dice.choice((-1, 1, 1)) * dice.between(1, 15), dice.choice((0, dice.between(1, 20)))
    x = dice.between(1, 10)
    worked = f"{step(f'2 * {a}')}, so the derivative is {poly(2 * a, b)}.\nAt x = {x}: "
    return dice.ask("derivative_sum", shown=poly(a, b, c), x=x), done(worked, at(x, 2 * a, b))


def limit(dice: Dice) -> Problem:
    """A quotient whose top and bottom share the factor x - a."""
    a, k = dice.between(1, 15), dice.choice((1, 1, dice.between(2, 6)))
    other = a if k > 1 else dice.choice((a, dice.between(1, 15), -dice.between(1, 15)))
    if other == -a:
        other = a
    top, left = poly(k, k * (other - a), -k * a * other), f"({poly(1, other)})"
    factor, value = (f"{k}", f"({a} + {other}) * {k}") if k > 1 else ("", at(a, 1, other))
    left_over = f"{factor}{left}" if factor else left.strip("()")
    worked = f"{top} is {factor}(x - {a}){left}, so {left_over} is left.\nAt x = {a}: "
    return dice.ask("limit", shown=f"({top}) / (x - {a})", a=a), done(worked, value)
