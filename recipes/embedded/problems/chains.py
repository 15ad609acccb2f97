"""Word problems of several steps: days, groups, farms, journeys, ages, rates and comparisons."""

from __future__ import annotations

from recipes.embedded.problems.dice import NAMES, Dice, Problem, Template
from recipes.embedded.problems.money_chains import MONEY_CHAINS
from recipes.embedded.problems.steps import so, step


def week_pages(dice: Dice) -> Problem:
    name = dice.choice(NAMES)
    p, w = dice.between(6, 40), dice.between(10, 80)
    ask = dice.ask("week_pages", name=name, p=p, w=w)
    worked = (
        f"On school days {name} reads {step(f'5 * {p}')} pages.\nAt the weekend it is {step(f'2 * {w}')} pages.\n"
        f"In the whole week that makes {step(f'{5 * p} + {2 * w}')} pages"
    )
    return ask, so(worked, 5 * p + 2 * w)


def book_days(dice: Dice) -> Problem:
    name = dice.choice(NAMES)
    d, k, r, more = dice.between(8, 30), dice.between(3, 9), dice.between(10, 40), dice.between(3, 12)
    n = d * k + r * more
    ask = dice.ask("book_days", name=name, n=n, d=d, k=k, r=r)
    worked = (
        f"{name} has read {step(f'{d} * {k}')} pages so far.\nThere are {step(f'{n} - {d * k}')} pages left to read.\n"
        f"The number of days still needed is {step(f'{r * more} / {r}')}"
    )
    return ask, so(worked, more)


def trio(dice: Dice) -> Problem:
    (a, b, c), thing = dice.sample(NAMES, 3), dice.thing()
    n, k = dice.between(8, 60), dice.between(2, 15)
    ask = dice.ask("trio", a=a, b=b, c=c, thing=thing, n=n, k=k)
    worked = (
        f"{b} has {step(f'2 * {n}')} {thing}.\n{c} has {step(f'{2 * n} - {k}')} {thing}.\n"
        f"Together they have {step(f'{n} + {2 * n} + {2 * n - k}')} {thing}"
    )
    return ask, so(worked, 5 * n - k)


def class_trip(dice: Dice) -> Problem:
    word, k = dice.choice((("half", 2), ("a third", 3), ("a quarter", 4), ("a fifth", 5)))
    n, walk = k * dice.between(24 // k, 60 // k), dice.between(3, 9)
    rest = n - n // k - walk
    ask = dice.ask("class_trip", n=n, word=word, walk=walk)
    worked = (
        f"The bus takes {step(f'{n} / {k}')} pupils.\nSo {step(f'{n} - {n // k}')} pupils do not take the bus.\n"
        f"Without the walkers, {step(f'{n - n // k} - {walk}')} pupils are left, and they cycle"
    )
    return ask, so(worked, rest)


def bus_stops(dice: Dice) -> Problem:
    n, a, b = dice.between(20, 50), dice.between(3, 12), dice.between(2, 14)
    c, d = dice.between(3, 8), dice.between(2, 12)
    first = n - a + b
    ask = dice.ask("bus_stops", n=n, a=a, b=b, c=c, d=d)
    worked = (
        f"After the first stop there are {step(f'{n} - {a} + {b}')} people.\n"
        f"After the second stop there are {step(f'{first} - {c} + {d}')} people"
    )
    return ask, so(worked, first - c + d)


def commute(dice: Dice) -> Problem:
    name, place = dice.choice(NAMES), dice.choice(("school", "work", "the pool", "the library", "the gym"))
    km, days, weeks = dice.between(2, 25), dice.between(2, 5), dice.between(2, 10)
    ask = dice.ask("commute", name=name, place=place, km=km, days=days, weeks=weeks)
    worked = (
        f"There and back is {step(f'2 * {km}')} km.\nEvery week this adds up to {step(f'{2 * km} * {days}')} km.\n"
        f"Over all the weeks the distance is {step(f'{2 * km * days} * {weeks}')} km"
    )
    return ask, so(worked, 2 * km * days * weeks)


def leaky_tank(dice: Dice) -> Problem:
    leak, minutes, start = dice.between(2, 8), dice.between(5, 30), dice.between(2, 15) * 10
    flow = leak + dice.between(4, 20)
    gain = flow - leak
    size = start + gain * minutes
    ask = dice.ask("leaky_tank", size=size, start=start, flow=flow, leak=leak)
    worked = (
        f"The tank still needs {step(f'{size} - {start}')} litres.\n"
        f"Each minute it gains {step(f'{flow} - {leak}')} litres.\n"
        f"It is full after {step(f'{size - start} / {gain}')} minutes"
    )
    return ask, so(worked, minutes)


def three_ages(dice: Dice) -> Problem:
    a, b, c = dice.sample(NAMES, 3)
    n, k, years = dice.between(4, 20), dice.between(2, 9), dice.between(2, 12)
    old = 2 * (n + k)
    ask = dice.ask("three_ages", a=a, b=b, c=c, n=n, k=k, years=years)
    worked = (
        f"{b} is {step(f'{n} + {k}')} years old.\n{c} is twice as old, which is {step(f'2 * {n + k}')} years.\n"
        f"Later {c} will be {step(f'{old} + {years}')}"
    )
    return ask, so(worked, old + years)


def cartons(dice: Dice) -> Problem:
    name, size = dice.choice(NAMES), dice.choice((6, 10, 12))
    cakes, eggs, buy = dice.between(6, 20), dice.between(3, 6), dice.between(1, 6)
    buy = min(buy, (cakes * eggs - 2) // size)
    have = cakes * eggs - buy * size
    ask = dice.ask("cartons", name=name, cakes=cakes, each=eggs, have=have, size=size)
    worked = (
        f"The cakes need {step(f'{cakes} * {eggs}')} eggs.\nMissing are {step(f'{cakes * eggs} - {have}')} eggs.\n"
        f"The cartons to buy are {step(f'{buy * size} / {size}')}"
    )
    return ask, so(worked, buy)


def candy_bags(dice: Dice) -> Problem:
    name, thing = dice.choice(NAMES), dice.choice(("candies", "cherries", "nuts", "grapes", "cookies", "crackers"))
    bags, friends, share, eaten = dice.between(2, 9), dice.between(2, 8), dice.between(8, 20), dice.between(2, 12)
    eaten += -(friends * share + eaten) % bags
    total = friends * share + eaten
    ask = dice.ask("candy_bags", name=name, thing=thing, bags=bags, n=total // bags, eaten=eaten, friends=friends)
    worked = (
        f"First there are {step(f'{bags} * {total // bags}')} {thing}.\n"
        f"{name} eats {eaten}, so {step(f'{total} - {eaten}')} are left.\n"
        f"The share of each is {step(f'{total - eaten} / {friends}')} {thing}"
    )
    return ask, so(worked, share)


def crowd(dice: Dice) -> Problem:
    place = dice.choice(("a concert", "a fair", "a football match", "a museum", "a circus show"))
    n, p, q = dice.between(1, 9) * 100, dice.choice((20, 40, 60, 80)), dice.choice((10, 25, 40, 50, 75))
    adults = n * p // 100
    kids = n - adults
    boys = kids * q // 100
    ask = dice.ask("crowd", place=place, n=n, p=p, q=q)
    worked = (
        f"Adults: {step(f'{n} * {p} / 100')}.\nChildren: {step(f'{n} - {adults}')}.\n"
        f"Boys: {step(f'{kids} * {q} / 100')}.\nGirls: {step(f'{kids} - {boys}')}"
    )
    return ask, so(worked, kids - boys)


def plants(dice: Dice) -> Problem:
    name, fruit = dice.choice(NAMES), dice.choice(("tomatoes", "peppers", "pumpkins", "cucumbers", "melons"))
    rows, per_row, dead, crop = dice.between(4, 12), dice.between(5, 15), dice.between(2, 15), dice.between(3, 12)
    ask = dice.ask("plants", name=name, fruit=fruit, rows=rows, each=per_row, dead=dead, crop=crop)
    alive = rows * per_row - dead
    worked = (
        f"The number of plants is {step(f'{rows} * {per_row}')}.\n"
        f"Of these, {step(f'{rows * per_row} - {dead}')} plants survive.\n"
        f"They bear {step(f'{alive} * {crop}')} {fruit}"
    )
    return ask, so(worked, alive * crop)


def factory(dice: Dice) -> Problem:
    thing = dice.choice(("lamps", "toys", "clocks", "chairs", "bottles", "radios"))
    rate, hours, days, bad = dice.between(6, 40), dice.between(4, 10), dice.between(2, 6), dice.between(5, 40)
    total = rate * hours * days
    ask = dice.ask("factory", thing=thing, rate=rate, hours=hours, days=days, bad=bad)
    worked = (
        f"A day gives {step(f'{rate} * {hours}')} {thing}.\n"
        f"All days together give {step(f'{rate * hours} * {days}')}.\n"
        f"Taking away the faulty ones leaves {step(f'{total} - {bad}')} good {thing}"
    )
    return ask, so(worked, total - bad)


def two_legs(dice: Dice) -> Problem:
    name = dice.choice(NAMES)
    h, v, g, w = dice.between(2, 4), dice.between(8, 12) * 5, dice.between(2, 5), dice.between(13, 22) * 5
    left = dice.between(15, 180)
    n = h * v + g * w + left
    ask = dice.ask("two_legs", name=name, n=n, h=h, v=v, g=g, w=w)
    worked = (
        f"The first part is {step(f'{h} * {v}')} km long.\nThe second part is {step(f'{g} * {w}')} km long.\n"
        f"Covered so far: {step(f'{h * v} + {g * w}')} km.\nStill to go: {step(f'{n} - {n - left}')} km"
    )
    return ask, so(worked, left)


def collection(dice: Dice) -> Problem:
    (a, b), thing = dice.people(), dice.choice(("stickers", "marbles", "stamps", "cards", "beads", "toy cars"))
    n, k, packs, per_pack = dice.between(25, 90), dice.between(5, 20), dice.between(2, 8), dice.between(4, 15)
    ask = dice.ask("collection", a=a, b=b, thing=thing, n=n, k=k, packs=packs, each=per_pack)
    worked = (
        f"Giving some to {b} leaves {a} with {step(f'{n} - {k}')} {thing}.\n"
        f"The new packs hold {step(f'{packs} * {per_pack}')} {thing}.\n"
        f"In the end {a} owns {step(f'{n - k} + {packs * per_pack}')} {thing}"
    )
    return ask, so(worked, n - k + packs * per_pack)


def homework(dice: Dice) -> Problem:
    name, hours = dice.choice(NAMES), dice.between(2, 4)
    n, t, r = dice.between(4, 12), dice.between(3, 6), dice.between(10, 40)
    ask = dice.ask("homework", name=name, hours=hours, n=n, t=t, r=r)
    used = n * t + r
    worked = (
        f"The whole time is {step(f'{hours} * 60')} minutes.\n"
        f"Doing them one by one takes {step(f'{n} * {t}')} minutes.\n"
        f"All the work takes {step(f'{n * t} + {r}')} minutes.\n"
        f"The free time is {step(f'{hours * 60} - {used}')} minutes"
    )
    return ask, so(worked, hours * 60 - used)


def score_needed(dice: Dice) -> Problem:
    name, mean = dice.choice(NAMES), dice.between(65, 88)
    a, b, c = (mean + dice.between(-4, 6) for _ in range(3))
    need = 4 * mean - a - b - c
    ask = dice.ask("score_needed", name=name, mean=mean, a=a, b=b, c=c)
    worked = (
        f"Four results with this average need {step(f'4 * {mean}')} points.\n"
        f"The first three bring {step(f'{a} + {b} + {c}')} points.\n"
        f"The last one must bring {step(f'{4 * mean} - {a + b + c}')} points"
    )
    return ask, so(worked, need)


def running_week(dice: Dice) -> Problem:
    name = dice.choice(NAMES)
    times, word = dice.choice(((2, "twice"), (3, "three times")))
    n, k = dice.between(3, 12), dice.between(2, 5)
    tuesday = times * n
    ask = dice.ask("running_week", name=name, n=n, word=word, k=k)
    worked = (
        f"Tuesday: {step(f'{times} * {n}')} km.\nWednesday: {step(f'{tuesday} - {k}')} km.\n"
        f"Adding the three days gives {step(f'{n} + {tuesday} + {tuesday - k}')} km"
    )
    return ask, so(worked, n + 2 * tuesday - k)


def painters(dice: Dice) -> Problem:
    job = dice.choice(("paint a school", "build a wall", "repair a road", "pick all the grapes", "lay the tiles"))
    team, days, extra = dice.choice(
        [(t, d, e) for t in range(3, 13) for d in range(4, 25) for e in range(2, t + 1) if t * d % (t + e) == 0]
    )
    ask = dice.ask("painters", job=job, team=team, days=days, extra=extra)
    worked = (
        f"The job is {step(f'{team} * {days}')} days of work for one person.\n"
        f"The bigger team has {step(f'{team} + {extra}')} people.\n"
        f"They need {step(f'{team * days} / {team + extra}')} days"
    )
    return ask, so(worked, team * days // (team + extra))


def pet_food(dice: Dice) -> Problem:
    animal, other = dice.choice((("dogs", "cats"), ("rabbits", "hamsters"), ("geese", "ducks"), ("hens", "chicks")))
    n, m, b, days = dice.between(2, 9), dice.between(2, 9), dice.between(1, 3), dice.between(4, 20)
    a = b + dice.between(1, 4)
    day = n * a + m * b
    ask = dice.ask("pet_food", animal=animal, other=other, n=n, m=m, a=a, b=b, food=day * days)
    worked = (
        f"The {animal} eat {step(f'{n} * {a}')} cups a day and the {other} eat {step(f'{m} * {b}')} cups.\n"
        f"Together this is {step(f'{n * a} + {m * b}')} cups a day.\n"
        f"The food lasts {step(f'{day * days} / {day}')} days"
    )
    return ask, so(worked, days)


CHAINS: tuple[Template, ...] = (
    week_pages, book_days, trio, class_trip, bus_stops, commute, leaky_tank, three_ages, cartons, candy_bags, crowd,
    plants, factory, two_legs, collection, homework, score_needed, running_week, painters, pet_food, *MONEY_CHAINS,
)  # fmt: skip
