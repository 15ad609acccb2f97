"""Symbolic and higher school maths with one number as the answer: roots, integrals, derivatives, powers, figures."""

from __future__ import annotations

import math

from recipes.embedded.problems.calculus import (
    derivative_power,
    derivative_sum,
    integral_between,
    integral_linear,
    integral_power,
    limit,
)
from recipes.embedded.problems.dice import Dice, Problem, Template
from recipes.embedded.problems.polynomials import at, poly, times
from recipes.embedded.problems.steps import done, so, step
from zooter_core.backends.local.calculator import result

TRIPLES = ((3, 4, 5), (5, 12, 13), (8, 15, 17), (7, 24, 25), (20, 21, 29), (9, 40, 41), (12, 35, 37))


def quadratic(dice: Dice) -> Problem:
    a, b = dice.sample(range(1, 16), 2)
    which = dice.choice(("larger", "larger", "smaller"))
    if dice.random() < 0.5:
        a, b = sorted((a, b))
        roots, shown = (a, b), poly(1, -a - b, a * b)
        worked = f"{step(f'{a} * {b}')} and {step(f'{a} + {b}')}, so (x - {a})(x - {b}) = 0"
    else:
        roots, shown = (-b, a), poly(1, b - a, -a * b)
        worked = f"{step(f'{a} * {b}')} and {step(f'{b} - {a}')}, so (x - {a})(x + {b}) = 0"
    root = max(roots) if which == "larger" else min(roots)
    worked += f".\nThe roots are {roots[0]} and {roots[1]}, and the {which} one is {root}"
    return dice.ask("quadratic", shown=f"{shown} = 0", which=which), so(worked, root)


def square_equation(dice: Dice) -> Problem:
    root, b = dice.between(2, 25), dice.between(2, 60)
    square, form = root * root, dice.choice("=*+-")
    if form == "*":
        k = dice.between(2, 9)
        shown, first = f"{k}x^2 = {k * square}", f"Divide by {k}: {step(f'{k * square} / {k}')}.\n"
    elif form == "+":
        shown, first = f"x^2 + {b} = {square + b}", f"Subtract {b}: {step(f'{square + b} - {b}')}.\n"
    elif form == "-":
        b = min(b, square)
        shown, first = f"x^2 - {b} = {square - b}", f"Add {b}: {step(f'{square - b} + {b}')}.\n"
    else:
        shown, first = f"x^2 = {square}", ""
    worked = f"{first}{step(f'{root} * {root}')}, so the positive x is {root}"
    return dice.ask("square_equation", shown=shown), so(worked, root)


def root(dice: Dice) -> Problem:
    name, power, most, signs = dice.choice((("square", 2, 60, ("sqrt", "√")), ("cube", 3, 20, ("cbrt", "∛"))))
    x = dice.between(2, most)
    n, sign = x**power, dice.choice(signs)
    shown = f"{sign}({n})" if sign.isascii() else f"{sign}{n}"
    worked = f"{step(times(*[x] * power))}, so the {name} root of {n} is {x}"
    return dice.ask("root", name=name, n=n, shown=shown), so(worked, x)


def slope(dice: Dice) -> Problem:
    x, across, y = dice.between(0, 9), dice.between(1, 8), dice.between(0, 20)
    up = across * dice.choice((-1, 1, 1, 1)) * dice.between(1, 6)
    y = max(y, -up)
    (x1, y1), (x2, y2) = dice.sample(((x, y), (x + across, y + up)), 2)
    high, wide = f"{y2} - {y1}", f"{x2} - {x1}"
    worked = f"y changes by {step(high)} and x by {step(wide)}.\nThe slope is "
    ask = dice.ask("slope", x1=x1, y1=y1, x2=x2, y2=y2)
    return ask, done(worked, f"{result(high)} / {result(wide)}")


def function_value(dice: Dice) -> Problem:
    a, b, c = dice.between(1, 6), dice.between(-9, 9), dice.between(-20, 20)
    letter, x = dice.choice("fffghp"), dice.between(1, 10)
    ask = dice.ask("function_value", letter=letter, shown=poly(a, b, c), x=x)
    return ask, done(f"Put {x} in for x: ", at(x, a, b, c))


def gcd(dice: Dice) -> Problem:
    """Euclid's way, in at most three steps."""
    lines: list[str] = []
    while not 1 < len(lines) < 4:
        share, b, a = dice.between(2, 20), *sorted(dice.sample(range(1, 12), 2))
        a, b, lines = a * share, b * share, []
        big, small = a, b
        while small:
            lines.append(step(f"{big} - {big // small} * {small}"))
            big, small = small, big % small
    worked = ".\n".join(lines) + f", so the greatest common divisor is {big}"
    a, b = dice.sample((a, b), 2)
    return dice.ask("gcd", a=a, b=b), so(worked, big)


def lcm(dice: Dice) -> Problem:
    a, b, multiple = 1, 1, 1
    while not 2 <= multiple // max(a, b) <= 7:
        a, b = dice.sample(range(3, 31), 2)
        multiple = math.lcm(a, b)
    small, large = sorted((a, b))
    listed = ", ".join(str(value) for value in range(large, multiple + 1, large))
    worked = f"Multiples of {large}: {listed}.\nThe first that {small} divides: "
    return dice.ask("lcm", a=a, b=b), done(worked, f"{small} * {multiple // small}")


def two_equations(dice: Dice) -> Problem:
    y, more, letter = dice.between(1, 60), dice.between(1, 40), dice.choice("xy")
    x, total = y + more, 2 * y + more
    worked = f"Add both: 2x = {step(f'{total} + {more}')}.\nx = {step(f'{2 * x} / 2')}"
    if letter == "y":
        worked += f".\ny = {step(f'{total} - {x}')}"
    ask = dice.ask("two_equations", one=f"x + y = {total}", two=f"x - y = {more}", letter=letter)
    return ask, so(worked, x if letter == "x" else y)


def log(dice: Dice) -> Problem:
    base = dice.choice((2, 2, 2, 3, 3, 4, 5, 6, 7, 8, 9, 10, 10, dice.between(11, 25)))
    n = dice.between(2, {2: 10, 3: 7, 4: 5, 5: 5, 10: 6}.get(base, 4 if base < 10 else 3))
    worked = f"{step(times(*[base] * n))}, so the exponent is {n}"
    return dice.ask("log", base=base, n=base**n), so(worked, n)


def powers(dice: Dice) -> Problem:
    """One power, or the sum or difference of two."""
    (a, m), (b, n) = sorted((_power(dice), _power(dice)), key=lambda power: -(power[0] ** power[1]))
    first = f"{a}^{m} is {step(times(*[a] * m))}"
    if dice.random() < 0.4 or (a, m) == (b, n):
        return dice.ask("powers", shown=f"{a}^{m}", words=f"{a} to the power of {m}"), so(first, a**m)
    sign, word = dice.choice((("+", "plus"), ("-", "minus")))
    ask = dice.ask(
        "powers", shown=f"{a}^{m} {sign} {b}^{n}", words=f"{a} to the power of {m} {word} {b} to the power of {n}"
    )
    worked = f"{first}.\n{b}^{n} is {step(times(*[b] * n))}.\n"
    return ask, done(worked, f"{a**m} {sign} {b**n}")


def _power(dice: Dice) -> tuple[int, int]:
    base = dice.choice((2, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12))
    return base, dice.between(2, {2: 9, 3: 6, 4: 5, 5: 5, 10: 5}.get(base, 4 if base < 10 else 3))


def choose(dice: Dice) -> Problem:
    k = dice.choice((2, 2, 3, 3, 4))
    n = dice.between(k + 2, {2: 40, 3: 20, 4: 14}[k])
    orders = f"{k} things have {step(times(*range(k, 0, -1)))} orders.\n"
    return dice.ask("choose", n=n, k=k), done(orders, f"{times(*range(n, n - k, -1))} / {math.factorial(k)}")


def factorials(dice: Dice) -> Problem:
    """A factorial alone, with a number added, taken away or as a factor, or a quotient of two."""
    form, n, b = dice.choice("!!+-*//"), dice.between(3, 7), dice.between(2, 60)
    if form == "/":
        n = dice.between(5, 16)
        m = n - dice.choice((2, 2, 3))
        ask = dice.ask("factorials", shown=f"{n}! / {m}!", words=f"{n} factorial divided by {m} factorial")
        return ask, done(f"{m}! cancels, which leaves ", times(*range(n, m, -1)))
    if form == "!":
        n = dice.between(3, 9)
        ask = dice.ask("factorials", shown=f"{n}!", words=f"{n} factorial")
        return ask, done(f"{n}! is ", times(*range(n, 0, -1)))
    product = math.factorial(n)
    b = min(b, product) if form != "*" else dice.between(2, 9)
    word = {"+": "plus", "-": "minus", "*": "times"}[form]
    ask = dice.ask("factorials", shown=f"{n}! {form} {b}", words=f"{n} factorial {word} {b}")
    return ask, done(f"{n}! is {step(times(*range(n, 0, -1)))}.\n", f"{product} {form} {b}")


def sum_first(dice: Dice) -> Problem:
    n = dice.between(6, dice.choice((40, 100, 300)))
    return dice.ask("sum_first", n=n), done(f"Use n * (n + 1) / 2 with {n}: ", f"{n} * {n + 1} / 2")


def nth_term(dice: Dice) -> Problem:
    start, by = dice.between(1, 60), dice.choice((-1, 1, 1, 1)) * dice.between(2, 15)
    n = dice.choice((*range(6, 21), 30, 40, 50, 100) if by > 0 else range(6, 13))
    terms = [start + turn * by + max(0, -3 * by) for turn in range(4)]
    worked = f"Each term changes by {step(f'{terms[1]} - {terms[0]}')}.\nTerm number {n}: "
    ask = dice.ask("nth_term", shown=", ".join(map(str, terms)), n=n)
    return ask, done(worked, f"{terms[0]} + ({n} - 1) * {by}")


def polygon(dice: Dice) -> Problem:
    n = dice.between(3, dice.choice((12, 30, 70)))
    worked = f"It splits into {step(f'{n} - 2')} triangles of 180 degrees.\n"
    return dice.ask("polygon", n=n), done(worked, f"{n - 2} * 180")


def third_angle(dice: Dice) -> Problem:
    a, b = dice.between(10, 100), dice.between(10, 75)
    return dice.ask("third_angle", a=a, b=b), done("The three angles make 180 degrees.\n", f"180 - {a} - {b}")


def hypotenuse(dice: Dice) -> Problem:
    a, b, c = dice.choice((*TRIPLES, *TRIPLES[:3], TRIPLES[0]))
    k = dice.between(1, max(2, 150 // c))
    (a, b), c = dice.sample((k * a, k * b), 2), k * c
    worked = f"{step(f'{a} * {a} + {b} * {b}')}.\n{step(f'{c} * {c}')}, so the hypotenuse is {c}"
    return dice.ask("hypotenuse", a=a, b=b), so(worked, c)


def simplified(dice: Dice) -> Problem:
    c, more = dice.between(2, 8), dice.between(2, 7)
    a, b, x = c + more, dice.choice((-1, 1, 1)) * dice.between(1, 12), dice.between(1, 12)
    shown = f"{a}({poly(1, b)}) - {c}x"
    worked = f"{step(f'{a} * {b}')} and {step(f'{a} - {c}')}, so it is {poly(more, a * b)}.\nAt x = {x}: "
    return dice.ask("simplified", shown=shown, x=x), done(worked, at(x, more, a * b))


def primes(dice: Dice) -> Problem:
    """The primes below a number, counted ten by ten."""
    n = dice.between(12, dice.choice((40, 75)))
    below = [value for value in range(2, n) if all(value % d for d in range(2, value))]
    tens = [[value for value in below if value // 10 == ten] for ten in range(n // 10 + 1)]
    filled = [ten for ten in tens if ten]
    counted = "; ".join(f"{', '.join(map(str, ten))} ({len(ten)})" for ten in filled)
    return dice.ask("primes", n=n), done(f"{counted}.\nCount them: ", " + ".join(str(len(ten)) for ten in filled))


def determinant(dice: Dice) -> Problem:
    a, b, c, d = (dice.between(1, 12) for _ in range(4))
    return dice.ask("determinant", a=a, b=b, c=c, d=d), done("Take ad - bc: ", f"{a} * {d} - {b} * {c}")


def both_sides(dice: Dice) -> Problem:
    c, more, x, b = dice.between(2, 9), dice.between(2, 9), dice.between(1, 20), dice.between(1, 40)
    a, d = c + more, more * x + b
    worked = f"Subtract {c}x: {step(f'{a} - {c}')}.\nSubtract {b}: {step(f'{d} - {b}')}.\n{more}x = {d - b}, so x = "
    return dice.ask("both_sides", left=f"{a}x + {b}", right=f"{c}x + {d}"), done(worked, f"{d - b} / {more}")


ALGEBRA: tuple[Template, ...] = (
    quadratic, square_equation, root, integral_power, integral_linear, integral_between, derivative_power,
    derivative_sum, slope, function_value, gcd, lcm, two_equations, log, powers, choose, factorials, sum_first,
    nth_term, polygon, third_angle, hypotenuse, simplified, primes, limit, determinant, both_sides,
)  # fmt: skip
