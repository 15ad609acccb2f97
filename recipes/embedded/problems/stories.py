"""Word problems of one to three steps; their phrasings are in stories.toml."""

from __future__ import annotations

from recipes.embedded.problems.dice import NAMES, Dice, Problem, Template
from recipes.embedded.problems.steps import so, step

NOTES = (20, 50, 100, 200, 500, 1000)


def discount(dice: Dice) -> Problem:
    p, price = dice.choice((5, 10, 15, 20, 25, 30, 40, 50, 60, 75)), dice.between(1, 30) * 20
    thing = dice.choice(("coat", "bike", "lamp", "phone", "chair", "jacket", "watch", "table"))
    ask = dice.ask("discount", thing=thing, price=price, p=p)
    off = price * p // 100
    worked = f"{p}% of {price} is {step(f'{price} * {p} / 100')}.\nThe new price is {step(f'{price} - {off}')}"
    return ask, so(worked, price - off)


def buying(dice: Dice) -> Problem:
    name, thing = dice.choice(NAMES), dice.thing()
    n, price = dice.between(2, 40), dice.between(2, 60)
    ask = dice.ask("buying", name=name, n=n, price=price, thing=thing, Thing=thing.capitalize())
    return ask, so(f"The total is {step(f'{n} * {price}')}", n * price)


def change(dice: Dice) -> Problem:
    name, thing = dice.choice(NAMES), dice.thing()
    n, price = dice.between(2, 15), dice.between(2, 40)
    cost = n * price
    note = next(note for note in NOTES if note > cost)
    ask = dice.ask("change", name=name, n=n, price=price, note=note, thing=thing, Thing=thing.capitalize())
    return ask, so(f"The cost is {step(f'{n} * {price}')}.\nThe change is {step(f'{note} - {cost}')}", note - cost)


def giving(dice: Dice) -> Problem:
    (name, other), thing = dice.people(), dice.thing()
    a = dice.between(15, 400)
    b, c = dice.between(2, a - 2), dice.between(2, 200)
    ask = dice.ask("giving", name=name, other=other, thing=thing, a=a, b=b, c=c)
    return ask, so(f"After giving: {step(f'{a} - {b}')}.\nAfter getting: {step(f'{a - b} + {c}')}", a - b + c)


def left(dice: Dice) -> Problem:
    (name, other), thing = dice.people(), dice.thing()
    a = dice.between(40, 400)
    b, c = dice.between(2, a // 2), dice.between(2, a // 2 - 1)
    ask = dice.ask("left", name=name, other=other, thing=thing, a=a, b=b, c=c)
    return ask, so(f"Without the first part: {step(f'{a} - {b}')}.\nLeft: {step(f'{a - b} - {c}')}", a - b - c)


def sharing(dice: Dice) -> Problem:
    name, thing = dice.choice(NAMES), dice.thing()
    friends, share = dice.between(2, 24), dice.between(2, 40)
    total = friends * share
    ask = dice.ask("sharing", name=name, thing=thing, whole=total, friends=friends)
    return ask, so(f"In equal parts: {step(f'{total} / {friends}')}", share)


def travel(dice: Dice) -> Problem:
    speed, hours = dice.between(12, 130), dice.between(2, 14)
    ask = dice.ask("travel", name=dice.choice(NAMES), speed=speed, hours=hours)
    return ask, so(f"Distance is speed times time: {step(f'{speed} * {hours}')}", speed * hours)


def time_taken(dice: Dice) -> Problem:
    speed, hours = dice.between(12, 130), dice.between(2, 14)
    far = speed * hours
    ask = dice.ask("time_taken", name=dice.choice(NAMES), far=far, speed=speed)
    return ask, so(f"Time is distance divided by speed: {step(f'{far} / {speed}')}", hours)


def area(dice: Dice) -> Problem:
    a = dice.between(2, 40)
    b = a + dice.between(1, 40)
    shape = dice.choice(("rectangle", "rectangular garden", "room", "field", "rectangular pool"))
    ask = dice.ask("area", shape=shape, a=a, b=b)
    return ask, so(f"Area is length times width: {step(f'{b} * {a}')}", a * b)


def perimeter(dice: Dice) -> Problem:
    b = dice.between(2, 60)
    a = b + dice.between(1, 60)
    shape = dice.choice(("rectangle", "rectangular garden", "room", "field", "yard"))
    ask = dice.ask("perimeter", name=dice.choice(NAMES), shape=shape, a=a, b=b)
    worked = f"The two sides are {step(f'{a} + {b}')}.\nThe perimeter is {step(f'2 * {a + b}')}"
    return ask, so(worked, 2 * (a + b))


def saving(dice: Dice) -> Problem:
    name, weekly, weeks = dice.choice(NAMES), dice.between(3, 60), dice.between(3, 30)
    total = weekly * weeks
    spent = dice.between(2, total - 1)
    ask = dice.ask("saving", name=name, each=weekly, weeks=weeks, spent=spent)
    return ask, so(f"All: {step(f'{weeks} * {weekly}')}.\nLeft: {step(f'{total} - {spent}')}", total - spent)


def wages(dice: Dice) -> Problem:
    name, rate, hours, days = dice.choice(NAMES), dice.between(5, 40), dice.between(2, 9), dice.between(2, 7)
    total_hours = hours * days
    ask = dice.ask("wages", name=name, rate=rate, hours=hours, days=days)
    return ask, so(f"Hours: {step(f'{days} * {hours}')}.\nPay: {step(f'{total_hours} * {rate}')}", total_hours * rate)


def more(dice: Dice) -> Problem:
    (name, other), thing = dice.people(), dice.thing()
    a, b = dice.between(5, 200), dice.between(2, 150)
    ask = dice.ask("more", name=name, other=other, thing=thing, a=a, b=b)
    return ask, so(f"The other: {step(f'{a} + {b}')}.\nTogether: {step(f'{a} + {a + b}')}", 2 * a + b)


def twice(dice: Dice) -> Problem:
    (name, other), thing, a = dice.people(), dice.thing(), dice.between(3, 150)
    word, factor = dice.choice((("twice", 2), ("three times", 3), ("four times", 4), ("five times", 5)))
    second = a * factor
    ask = dice.ask("twice", name=name, other=other, thing=thing, word=word, Word=word.capitalize(), a=a)
    return ask, so(f"The other: {step(f'{factor} * {a}')}.\nTogether: {step(f'{a} + {second}')}", a + second)


def rows(dice: Dice) -> Problem:
    r, per_row, extra = dice.between(3, 25), dice.between(4, 30), dice.between(2, 60)
    thing = dice.choice(("chairs", "trees", "desks", "seats", "plants", "cars"))
    total = r * per_row
    ask = dice.ask("rows", r=r, each=per_row, extra=extra, thing=thing)
    return ask, so(f"In groups: {step(f'{r} * {per_row}')}.\nIn all: {step(f'{total} + {extra}')}", total + extra)


def reading(dice: Dice) -> Problem:
    name, daily, days = dice.choice(NAMES), dice.between(5, 60), dice.between(3, 20)
    done = daily * days
    pages = done + dice.between(5, 150)
    ask = dice.ask("reading", name=name, each=daily, days=days, pages=pages)
    return ask, so(f"Done: {step(f'{days} * {daily}')}.\nLeft: {step(f'{pages} - {done}')}", pages - done)


def ages(dice: Dice) -> Problem:
    (name, other), a, b, years = dice.people(), dice.between(4, 50), dice.between(2, 30), dice.between(2, 25)
    ask = dice.ask("ages", name=name, other=other, a=a, b=b, years=years)
    return ask, so(f"Age now: {step(f'{a} + {b}')}.\nIn {years} years: {step(f'{a + b} + {years}')}", a + b + years)


def halves(dice: Dice) -> Problem:
    (name, other), thing = dice.people(), dice.thing()
    part, factor = dice.choice((("half", 2), ("a third", 3), ("a quarter", 4), ("a fifth", 5)))
    gone = dice.between(3, 90)
    total = factor * gone
    ask = dice.ask("halves", name=name, other=other, thing=thing, part=part, Part=part.capitalize(), whole=total)
    worked = f"{part.capitalize()} of {total} is {step(f'{total} / {factor}')}.\nLeft: {step(f'{total} - {gone}')}"
    return ask, so(worked, total - gone)


def tickets(dice: Dice) -> Problem:
    one, two = dice.choice((
        ("adult tickets", "child tickets"), ("pens", "rulers"), ("sandwiches", "juices"), ("shirts", "caps"),
        ("roses", "tulips"), ("burgers", "salads"),
    ))  # fmt: skip
    n, m, price, cost = dice.between(2, 20), dice.between(2, 20), dice.between(2, 40), dice.between(2, 40)
    ask = dice.ask("tickets", name=dice.choice(NAMES), n=n, one=one, price=price, m=m, two=two, cost=cost)
    first, second = n * price, m * cost
    worked = (
        f"The {one}: {step(f'{n} * {price}')}.\nThe {two}: {step(f'{m} * {cost}')}.\n"
        f"In total: {step(f'{first} + {second}')}"
    )
    return ask, so(worked, first + second)


def packs(dice: Dice) -> Problem:
    per_pack, count = dice.between(2, 40), dice.between(2, 40)
    n, thing = per_pack * count, dice.thing()
    ask = dice.ask("packs", name=dice.choice(NAMES), n=n, each=per_pack, thing=thing, Thing=thing.capitalize())
    return ask, so(f"All divided by what one holds: {step(f'{n} / {per_pack}')}", count)


def score(dice: Dice) -> Problem:
    a, b, c = dice.between(5, 99), dice.between(5, 99), dice.between(5, 99)
    ask = dice.ask("score", name=dice.choice(NAMES), a=a, b=b, c=c)
    return ask, so(f"All three together: {step(f'{a} + {b} + {c}')}", a + b + c)


def fuel(dice: Dice) -> Problem:
    litres, hundreds = dice.between(3, 30), dice.between(2, 25)
    far = 100 * hundreds
    ask = dice.ask("fuel", name=dice.choice(NAMES), litres=litres, far=far)
    worked = f"Hundreds of km: {step(f'{far} / 100')}.\nIn all: {step(f'{hundreds} * {litres}')}"
    return ask, so(worked, hundreds * litres)


def recipe(dice: Dice) -> Problem:
    few, times, grams = dice.between(2, 8), dice.between(2, 9), dice.between(5, 80) * 5
    many = few * times
    food = dice.choice(("flour", "rice", "sugar", "pasta", "butter", "cheese", "beans", "potatoes"))
    ask = dice.ask("recipe", name=dice.choice(NAMES), few=few, many=many, grams=grams, food=food)
    return ask, so(f"How many times: {step(f'{many} / {few}')}.\nNeeded: {step(f'{times} * {grams}')}", times * grams)


def per_day(dice: Dice) -> Problem:
    n, weeks = dice.between(2, 60), dice.between(2, 20)
    days = 7 * weeks
    ask = dice.ask("per_day", name=dice.choice(NAMES), n=n, weeks=weeks)
    return ask, so(f"Days: {step(f'7 * {weeks}')}.\nIn total: {step(f'{days} * {n}')}", days * n)


def older(dice: Dice) -> Problem:
    (name, other), a = dice.people(), dice.between(6, 80)
    b = dice.between(2, a - 2)
    ask = dice.ask("older", name=name, other=other, a=a, b=b)
    return ask, so(f"The other: {step(f'{a} - {b}')}.\nTogether: {step(f'{a} + {a - b}')}", 2 * a - b)


def speed(dice: Dice) -> Problem:
    pace, hours = dice.between(12, 130), dice.between(2, 14)
    far = pace * hours
    ask = dice.ask("speed", name=dice.choice(NAMES), far=far, hours=hours)
    return ask, so(f"In one hour: {step(f'{far} / {hours}')}", pace)


def seating(dice: Dice) -> Problem:
    n, per_row = dice.between(3, 30), dice.between(3, 16)
    total = n * per_row
    taken = dice.between(2, total - 2)
    ask = dice.ask("seating", n=n, each=per_row, taken=taken)
    return ask, so(f"Places: {step(f'{n} * {per_row}')}.\nFree: {step(f'{total} - {taken}')}", total - taken)


def typing(dice: Dice) -> Problem:
    words, minutes = dice.between(15, 99), dice.between(2, 60)
    ask = dice.ask("typing", name=dice.choice(NAMES), words=words, minutes=minutes)
    return ask, so(f"In all: {step(f'{minutes} * {words}')}", words * minutes)


def marked_up(dice: Dice) -> Problem:
    a, n, thing = dice.between(2, 60), dice.between(2, 60), dice.thing()
    b = a + dice.between(2, 40)
    ask = dice.ask("marked_up", name=dice.choice(NAMES), a=a, b=b, n=n, thing=thing, Thing=thing.capitalize())
    return ask, so(f"Profit on one: {step(f'{b} - {a}')}.\nProfit on all: {step(f'{n} * {b - a}')}", n * (b - a))


STORIES: tuple[Template, ...] = (
    discount, buying, change, giving, left, sharing, travel, time_taken, area, perimeter, saving, wages, more, twice,
    rows, reading, ages, halves, tickets, packs, score, fuel, recipe, per_day, older, speed, seating, typing, marked_up,
)  # fmt: skip
