"""Word problems of several steps about money: earning, spending, saving, selling and paying."""

from __future__ import annotations

from recipes.embedded.problems.dice import NAMES, Dice, Problem, Template
from recipes.embedded.problems.steps import so, step


def eggs(dice: Dice) -> Problem:
    name = dice.choice(NAMES)
    n, used, price = dice.between(12, 60), dice.between(2, 9), dice.between(2, 4)
    sold = n - used
    ask = dice.ask("eggs", name=name, n=n, used=used, price=price)
    worked = (
        f"{name} sells {step(f'{n} - {used}')} eggs a day.\nOne day brings {step(f'{sold} * {price}')} dollars.\n"
        f"So {name} earns {step(f'7 * {sold * price}')} dollars a week"
    )
    return ask, so(worked, 7 * sold * price)


def half_months(dice: Dice) -> Problem:
    thing = dice.choice(("bikes", "tents", "lamps", "sofas", "kites", "radios", "guitars"))
    n, k = dice.between(8, 70) * 2, dice.between(3, 20)
    half = n // 2
    ask = dice.ask("half_months", thing=thing, n=n, k=k)
    worked = (
        f"In May the shop sold {step(f'{n} / 2')} {thing}.\nIn June it sold {step(f'{half} + {k}')}.\n"
        f"In all, the three months make {step(f'{n} + {half} + {half + k}')} {thing}"
    )
    return ask, so(worked, n + half + half + k)


def overtime(dice: Dice) -> Problem:
    name = dice.choice(NAMES)
    pay, hours, extra, more = dice.between(9, 30), dice.between(20, 40), dice.between(2, 10), dice.between(2, 10)
    ask = dice.ask("overtime", name=name, pay=pay, hours=hours, extra=extra, more=more)
    normal, late = pay * hours, (pay + more) * extra
    worked = (
        f"The normal hours pay {step(f'{hours} * {pay}')} dollars.\n"
        f"An hour of overtime pays {step(f'{pay} + {more}')} dollars.\n"
        f"The overtime pays {step(f'{extra} * {pay + more}')} dollars.\n"
        f"Altogether {name} gets {step(f'{normal} + {late}')} dollars"
    )
    return ask, so(worked, normal + late)


def goal_weeks(dice: Dice) -> Problem:
    name, thing = dice.choice(NAMES), dice.choice(("bicycle", "guitar", "camera", "tablet", "tent", "telescope"))
    spent, weeks, have = dice.between(2, 15), dice.between(3, 16), dice.between(5, 60)
    earned = spent + dice.between(5, 25)
    saved = earned - spent
    price = have + saved * weeks
    ask = dice.ask("goal_weeks", name=name, thing=thing, price=price, have=have, earned=earned, spent=spent)
    worked = (
        f"{name} still needs {step(f'{price} - {have}')} dollars.\n"
        f"Every week {name} can save {step(f'{earned} - {spent}')} dollars.\n"
        f"The number of weeks is {step(f'{price - have} / {saved}')}"
    )
    return ask, so(worked, weeks)


def stand_shares(dice: Dice) -> Problem:
    drink = dice.choice(("lemonade", "iced tea", "orange juice"))
    friends, share = dice.between(2, 6), dice.between(5, 20)
    price, cost = dice.between(2, 4), dice.between(5, 30)
    cost += -(friends * share + cost) % price
    n = (friends * share + cost) // price
    ask = dice.ask("stand_shares", drink=drink, friends=friends, n=n, price=price, cost=cost)
    worked = (
        f"They take in {step(f'{n} * {price}')} dollars.\n"
        f"Minus the costs, the profit is {step(f'{n * price} - {cost}')} dollars.\n"
        f"Split fairly, each one receives {step(f'{friends * share} / {friends}')} dollars"
    )
    return ask, so(worked, share)


def paint_cans(dice: Dice) -> Problem:
    name, size = dice.choice(NAMES), dice.choice((2, 3, 4, 5))
    rooms, litres = dice.choice([(r, e) for r in range(2, 10) for e in range(2, 10) if r * e % size == 0])
    cans, price = rooms * litres // size, dice.between(8, 35)
    ask = dice.ask("paint_cans", name=name, rooms=rooms, each=litres, size=size, price=price)
    worked = (
        f"All rooms need {step(f'{rooms} * {litres}')} litres of paint.\n"
        f"This is {step(f'{rooms * litres} / {size}')} cans.\nThe paint costs {step(f'{cans} * {price}')} dollars"
    )
    return ask, so(worked, cans * price)


def tip_bill(dice: Dice) -> Problem:
    friends, m, p = dice.between(2, 8), dice.between(1, 3), dice.choice((5, 10, 15, 20, 25))
    bill = 20 * friends * m
    tip = bill * p // 100
    ask = dice.ask("tip_bill", friends=friends, bill=bill, p=p)
    worked = (
        f"The tip is {step(f'{bill} * {p} / 100')} dollars.\nWith the tip they pay {step(f'{bill} + {tip}')} dollars.\n"
        f"Each person's part is {step(f'{bill + tip} / {friends}')} dollars"
    )
    return ask, so(worked, (bill + tip) // friends)


def sale_items(dice: Dice) -> Problem:
    name, p = dice.choice(NAMES), dice.choice((10, 20, 30, 40, 50))
    one, two = dice.sample(("shirts", "caps", "scarves", "belts", "sweaters", "skirts", "bags"), 2)
    n, a, m, b = dice.between(2, 6), dice.between(1, 4) * 10, dice.between(2, 5), dice.between(2, 7) * 10
    full = n * a + m * b
    off = full * p // 100
    ask = dice.ask("sale_items", name=name, one=one, two=two, n=n, a=a, m=m, b=b, p=p)
    worked = (
        f"Before the discount everything costs {step(f'{n} * {a} + {m} * {b}')} dollars.\n"
        f"The discount takes off {step(f'{full} * {p} / 100')} dollars.\n"
        f"The price to pay is {step(f'{full} - {off}')} dollars"
    )
    return ask, so(worked, full - off)


def shopping_list(dice: Dice) -> Problem:
    name = dice.choice(NAMES)
    one, two = dice.sample(("pens", "rulers", "folders", "brushes", "markers", "erasers", "notepads"), 2)
    n, a, m, b = dice.between(2, 6), dice.between(2, 5), dice.between(2, 6), dice.between(2, 6)
    cost = n * a + m * b
    note = 50 if cost < 50 else 100
    ask = dice.ask("shopping_list", name=name, one=one, two=two, n=n, a=a, m=m, b=b, note=note)
    worked = (
        f"The {one} cost {step(f'{n} * {a}')} dollars.\nThe {two} cost {step(f'{m} * {b}')} dollars.\n"
        f"The sum is {step(f'{n * a} + {m * b}')} dollars.\nThe change is {step(f'{note} - {cost}')} dollars"
    )
    return ask, so(worked, note - cost)


def resale(dice: Dice) -> Problem:
    name, thing = dice.choice(NAMES), dice.choice(("bikes", "chairs", "clocks", "phones", "scooters"))
    n, cost, fix, gain = dice.between(2, 12), dice.between(15, 80), dice.between(3, 20), dice.between(5, 40)
    price = cost + fix + gain
    ask = dice.ask("resale", name=name, thing=thing, n=n, cost=cost, fix=fix, price=price)
    worked = (
        f"One piece costs {step(f'{cost} + {fix}')} dollars in all.\n"
        f"The profit on one is {step(f'{price} - {cost + fix}')} dollars.\n"
        f"On all of them it is {step(f'{n} * {gain}')} dollars"
    )
    return ask, so(worked, n * gain)


def pay_gap(dice: Dice) -> Problem:
    a, b = dice.people()
    pay, hours = dice.between(14, 30), dice.between(20, 38)
    less, short = dice.between(9, pay - 2), dice.between(12, hours)
    ask = dice.ask("pay_gap", a=a, b=b, pay=pay, hours=hours, less=less, short=short)
    worked = (
        f"{a} makes {step(f'{pay} * {hours}')} dollars, and {b} makes {step(f'{less} * {short}')} dollars.\n"
        f"The difference is {step(f'{pay * hours} - {less * short}')} dollars"
    )
    return ask, so(worked, pay * hours - less * short)


def membership(dice: Dice) -> Problem:
    place = dice.choice(("gym", "swimming club", "tennis club", "judo club", "climbing hall"))
    join, fee, months, people = dice.between(10, 50), dice.between(8, 40), dice.between(3, 12), dice.between(2, 5)
    one = fee * months + join
    ask = dice.ask("membership", place=place, join=join, fee=fee, months=months, people=people)
    worked = (
        f"The monthly fees of one person come to {step(f'{months} * {fee}')} dollars.\n"
        f"Joining makes it {step(f'{fee * months} + {join}')} dollars.\n"
        f"All of them pay {step(f'{people} * {one}')} dollars"
    )
    return ask, so(worked, people * one)


def family_tickets(dice: Dice) -> Problem:
    place = dice.choice(("zoo", "water park", "cinema", "castle", "science museum"))
    adults, kids, price = dice.between(2, 9), dice.between(3, 20), dice.between(3, 15) * 2
    grown, small = adults * price, kids * price // 2
    ask = dice.ask("family_tickets", place=place, adults=adults, kids=kids, price=price)
    worked = (
        f"A child pays {step(f'{price} / 2')} dollars.\nThe children pay {step(f'{kids} * {price // 2}')} dollars.\n"
        f"The adults pay {step(f'{adults} * {price}')} dollars.\nThe group pays {step(f'{small} + {grown}')} dollars"
    )
    return ask, so(worked, small + grown)


def fence(dice: Dice) -> Problem:
    place = dice.choice(("garden", "field", "playground", "yard", "meadow"))
    width, gate, price = dice.between(5, 30), dice.between(2, 4), dice.between(3, 20)
    length = width + dice.between(2, 25)
    metres = 2 * (length + width) - gate
    ask = dice.ask("fence", place=place, length=length, width=width, gate=gate, price=price)
    worked = (
        f"Around the {place} it is {step(f'2 * ({length} + {width})')} metres.\n"
        f"Leaving out the gate, the fence is {step(f'{metres + gate} - {gate}')} metres long.\n"
        f"That costs {step(f'{metres} * {price}')} dollars"
    )
    return ask, so(worked, metres * price)


MONEY_CHAINS: tuple[Template, ...] = (
    eggs, half_months, overtime, goal_weeks, stand_shares, paint_cans, tip_bill, sale_items, shopping_list, resale,
    pay_gap, membership, family_tickets, fence,
)  # fmt: skip
