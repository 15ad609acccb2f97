"""The simplest word problems of groups: one product or quotient, or two small sums; phrasings in groups.toml.

Many come in pairs that tell the same story and ask for the first or for the second result.
"""

from __future__ import annotations

from recipes.embedded.problems.dice import NAMES, Dice, Problem, Template
from recipes.embedded.problems.parts import FOLK, part_left, part_of, slices_eaten, slices_left
from recipes.embedded.problems.steps import so, step

NOTES = (10, 20, 50, 100, 200)
PACKED = ("eggs", "candies", "cookies", "pencils", "marbles", "nuts", "apples", "buttons", "stickers", "cards", "beads")
BOXES = (
    ("box", "boxes"), ("bag", "bags"), ("basket", "baskets"), ("jar", "jars"), ("packet", "packets"),
    ("bowl", "bowls"), ("case", "cases"),
)  # fmt: skip
PARTED = (
    ("wheels", "truck", "trucks"), ("petals", "flower", "flowers"), ("windows", "house", "houses"),
    ("leaves", "branch", "branches"), ("legs", "robot", "robots"), ("buttons", "coat", "coats"),
    ("stars", "flag", "flags"), ("spots", "ladybird", "ladybirds"), ("points", "star", "stars"),
    ("stripes", "shirt", "shirts"),
)  # fmt: skip
PART_COUNTS = (
    ("wheels", "A car", "cars", 4), ("wheels", "A bicycle", "bicycles", 2), ("wheels", "A tricycle", "tricycles", 3),
    ("legs", "A spider", "spiders", 8), ("legs", "A dog", "dogs", 4), ("legs", "A cat", "cats", 4),
    ("legs", "A cow", "cows", 4), ("legs", "A horse", "horses", 4), ("legs", "An ant", "ants", 6),
    ("legs", "A bee", "bees", 6), ("legs", "A duck", "ducks", 2), ("legs", "A chicken", "chickens", 2),
    ("wings", "A bird", "birds", 2), ("sides", "A triangle", "triangles", 3), ("corners", "A square", "squares", 4),
    ("sides", "A hexagon", "hexagons", 6), ("sides", "A pentagon", "pentagons", 5),
    ("arms", "An octopus", "octopuses", 8), ("faces", "A cube", "cubes", 6),
)  # fmt: skip
SPANS = (("day", "days", "a day"), ("week", "weeks", "a week"), ("hour", "hours", "an hour"))
DOINGS = (
    ("reads", "read", "pages"), ("bakes", "bake", "cakes"), ("writes", "write", "letters"), ("makes", "make", "toys"),
    ("swims", "swim", "laps"), ("paints", "paint", "pictures"), ("learns", "learn", "words"),
    ("does", "do", "push-ups"), ("solves", "solve", "puzzles"), ("runs", "run", "rounds"),
)  # fmt: skip
GOODS = (
    ("pen", "pens"), ("book", "books"), ("ticket", "tickets"), ("ball", "balls"), ("cup", "cups"), ("toy", "toys"),
    ("sandwich", "sandwiches"), ("notebook", "notebooks"), ("card", "cards"), ("cap", "caps"), ("mug", "mugs"),
    ("plant", "plants"), ("muffin", "muffins"), ("brush", "brushes"), ("comic", "comics"), ("melon", "melons"),
)  # fmt: skip
FOOD = ("cookies", "candies", "muffins", "eggs", "rolls", "nuts", "plums", "pears")
TIMES = (
    ("hours", "an hour", "minutes", 60), ("minutes", "a minute", "seconds", 60), ("days", "a day", "hours", 24),
    ("weeks", "a week", "days", 7),
)  # fmt: skip
UNITS = (
    *TIMES, ("years", "a year", "months", 12), ("dollars", "a dollar", "cents", 100), ("feet", "a foot", "inches", 12),
    ("metres", "a metre", "centimetres", 100), ("kilometres", "a kilometre", "metres", 1000),
    ("kilograms", "a kilogram", "grams", 1000), ("litres", "a litre", "millilitres", 1000),
    ("yards", "a yard", "feet", 3), ("decades", "a decade", "years", 10), ("euros", "a euro", "cents", 100),
)  # fmt: skip
ROWS = (
    ("chairs", "hall"), ("seats", "cinema"), ("desks", "classroom"), ("benches", "park"), ("plants", "garden"),
    ("trees", "park"), ("tents", "camp"), ("tables", "dining room"), ("pots", "greenhouse"),
)  # fmt: skip
KINDS = (
    ("adult ticket", "child ticket"), ("pen", "ruler"), ("burger", "salad"), ("shirt", "cap"), ("rose", "tulip"),
    ("coffee", "muffin"), ("bus ticket", "train ticket"), ("front seat", "back seat"), ("bowl", "plate"),
)  # fmt: skip


def boxed(dice: Dice, template: str, **more: int) -> tuple[str, str, int, int]:
    """What is asked, the plural of the container, how many of them and how much in each."""
    (name, other), thing, (box, boxes) = dice.people(), dice.choice(PACKED), dice.choice(BOXES)
    n, k = dice.between(2, 12), dice.between(2, 20)
    words = {"name": name, "other": other, "thing": thing, "box": box, "boxes": boxes}
    return dice.ask(template, n=n, k=k, **words, **more), boxes, n, k


def boxes_full(dice: Dice) -> Problem:
    ask, boxes, n, k = boxed(dice, "boxes_full")
    return ask, so(f"In {n} {boxes}: {step(f'{n} * {k}')}", n * k)


def boxes_single(dice: Dice) -> Problem:
    c = dice.between(2, 12)
    ask, boxes, n, k = boxed(dice, "boxes_single", c=c)
    return ask, so(f"In {n} {boxes}: {step(f'{n} * {k}')}.\nIn all: {step(f'{n * k} + {c}')}", n * k + c)


def has(dice: Dice) -> Problem:
    (thing, one, ones), n, k = dice.choice(PARTED), dice.between(2, 20), dice.between(2, 12)
    ask = dice.ask("has", name=dice.choice(NAMES), thing=thing, one=one, ones=ones, n=n, k=k)
    return ask, so(f"On {n} {ones}: {step(f'{n} * {k}')}", n * k)


def known(dice: Dice) -> Problem:
    (thing, one, ones, k), n = dice.choice(PART_COUNTS), dice.between(2, 20)
    ask = dice.ask("known", name=dice.choice(NAMES), thing=thing, ones=ones, n=n)
    return ask, so(f"{one} has {k} {thing}.\n{n} {ones}: {step(f'{n} * {k}')}", n * k)


def earns(dice: Dice) -> Problem:
    unit, units, a_unit = dice.choice((*SPANS, ("month", "months", "a month")))
    n, k = dice.between(2, 12), dice.between(2, 25)
    ask = dice.ask("earns", name=dice.choice(NAMES), unit=unit, units=units, a_unit=a_unit, n=n, k=k)
    return ask, so(f"In {n} {units}: {step(f'{n} * {k}')}", n * k)


def rate(dice: Dice) -> Problem:
    (unit, units, a_unit), (does, do, thing) = dice.choice(SPANS), dice.choice(DOINGS)
    n, k = dice.between(2, 12), dice.between(2, 20)
    words = {"unit": unit, "units": units, "a_unit": a_unit, "does": does, "do": do, "thing": thing}
    ask = dice.ask("rate", name=dice.choice(NAMES), n=n, k=k, **words)
    return ask, so(f"In {n} {units}: {step(f'{n} * {k}')}", n * k)


def pages_read(dice: Dice) -> Problem:
    n, k = dice.between(2, 10), dice.between(2, 20)
    ask = dice.ask("pages_read", name=dice.choice(NAMES), n=n, k=k, m=n * k + dice.between(2, 60))
    return ask, so(f"Read: {step(f'{n} * {k}')}", n * k)


def pages_left(dice: Dice) -> Problem:
    n, k = dice.between(2, 10), dice.between(2, 20)
    m = n * k + dice.between(2, 60)
    ask = dice.ask("pages_left", name=dice.choice(NAMES), n=n, k=k, m=m)
    return ask, so(f"Read: {step(f'{n} * {k}')}.\nLeft: {step(f'{m} - {n * k}')}", m - n * k)


def cost(dice: Dice) -> Problem:
    (one, ones), n, p = dice.choice(GOODS), dice.between(2, 15), dice.between(2, 20)
    ask = dice.ask("cost", name=dice.choice(NAMES), one=one, ones=ones, Ones=ones.capitalize(), n=n, p=p)
    return ask, so(f"{n} {ones} cost {step(f'{n} * {p}')}", n * p)


def noted(dice: Dice, template: str) -> tuple[str, str, int, int, int]:
    """What is asked, the goods, their number, the price of one and the note."""
    (one, ones), n, p = dice.choice(GOODS), dice.between(2, 10), dice.between(2, 12)
    w = next(note for note in NOTES if note > n * p)
    ask = dice.ask(template, name=dice.choice(NAMES), one=one, ones=ones, Ones=ones.capitalize(), n=n, p=p, w=w)
    return ask, ones, n, p, w


def note_cost(dice: Dice) -> Problem:
    ask, ones, n, p, _ = noted(dice, "note_cost")
    return ask, so(f"{n} {ones} cost {step(f'{n} * {p}')}", n * p)


def note_change(dice: Dice) -> Problem:
    ask, ones, n, p, w = noted(dice, "note_change")
    return ask, so(f"{n} {ones} cost {step(f'{n} * {p}')}.\nLeft of {w}: {step(f'{w} - {n * p}')}", w - n * p)


def shared(dice: Dice) -> Problem:
    n, share, thing, people = dice.between(2, 12), dice.between(2, 15), dice.choice(PACKED), dice.choice(FOLK)
    ask = dice.ask("shared", name=dice.choice(NAMES), thing=thing, people=people, m=n * share, n=n)
    return ask, so(f"Each gets {step(f'{n * share} / {n}')}", share)


def shared_after(dice: Dice) -> Problem:
    n, share, e = dice.between(2, 10), dice.between(2, 10), dice.between(2, 12)
    gone, rest = dice.choice(("eaten", "lost", "broken", "taken away", "thrown away")), n * share
    words = {"name": dice.choice(NAMES), "thing": dice.choice(FOOD), "people": dice.choice(FOLK), "gone": gone}
    ask = dice.ask("shared_after", m=rest + e, e=e, n=n, **words)
    return ask, so(f"The rest: {step(f'{rest + e} - {e}')}.\nEach gets {step(f'{rest} / {n}')}", share)


def into(dice: Dice) -> Problem:
    (box, boxes), n, k = dice.choice(BOXES), dice.between(2, 15), dice.between(2, 12)
    words = {"name": dice.choice(NAMES), "thing": dice.choice(PACKED), "box": box, "boxes": boxes}
    ask = dice.ask("into", m=n * k, k=k, **words)
    return ask, so(f"Number of {boxes}: {step(f'{n * k} / {k}')}", n)


def multiplied(dice: Dice, template: str) -> tuple[str, int, int, str]:
    """What is asked, what the one has, what the other has, and the step to it."""
    (name, other), a = dice.people(), dice.between(2, 20)
    factor, word, dup = dice.choice((
        (0, "half", "half"), (2, "twice", "double"), (2, "twice", "twice"), (3, "three times", "triple"),
        (3, "three times", "three times"), (4, "four times", "four times"), (5, "five times", "five times"),
    ))  # fmt: skip
    a = a if factor else 2 * a
    second = factor * a if factor else a // 2
    if second == 1:
        a, second = 4, 2
    ask = dice.ask(template, name=name, other=other, thing=dice.thing(), word=word, dup=dup, a=a)
    return ask, a, second, step(f"{factor} * {a}" if factor else f"{a} / 2")


def times_other(dice: Dice) -> Problem:
    ask, _, second, worked = multiplied(dice, "times_other")
    return ask, so(f"The other: {worked}", second)


def times_together(dice: Dice) -> Problem:
    ask, a, second, worked = multiplied(dice, "times_together")
    return ask, so(f"The other: {worked}.\nTogether: {step(f'{a} + {second}')}", a + second)


def more_other(dice: Dice) -> Problem:
    (name, other), a, b = dice.people(), dice.between(2, 30), dice.between(2, 20)
    ask = dice.ask("more_other", name=name, other=other, thing=dice.thing(), a=a, b=b)
    return ask, so(f"The other: {step(f'{a} + {b}')}", a + b)


def more_together(dice: Dice) -> Problem:
    (name, other), a, b = dice.people(), dice.between(2, 30), dice.between(2, 20)
    ask = dice.ask("more_together", name=name, other=other, thing=dice.thing(), a=a, b=b)
    return ask, so(f"The other: {step(f'{a} + {b}')}.\nTogether: {step(f'{a} + {a + b}')}", 2 * a + b)


def one_price(dice: Dice) -> Problem:
    (one, ones), n, p = dice.choice(GOODS), dice.between(2, 12), dice.between(2, 20)
    ask = dice.ask("one_price", name=dice.choice(NAMES), one=one, ones=ones, n=n, m=n * p)
    return ask, so(f"One {one} costs {step(f'{n * p} / {n}')}", p)


def units_of(dice: Dice) -> Problem:
    (big, one, small, k), n = dice.choice(UNITS), dice.between(2, 20)
    ask = dice.ask("units_of", name=dice.choice(NAMES), big=big, small=small, n=n)
    return ask, so(f"There are {k} {small} in {one}.\nIn {n} {big}: {step(f'{n} * {k}')}", n * k)


def lasts(dice: Dice) -> Problem:
    (big, one, small, k), n = dice.choice(TIMES), dice.between(2, 15)
    ask = dice.ask("lasts", name=dice.choice(NAMES), big=big, small=small, n=n)
    return ask, so(f"There are {k} {small} in {one}.\nIn {n} {big}: {step(f'{n} * {k}')}", n * k)


def units_back(dice: Dice) -> Problem:
    (big, one, small, k), n = dice.choice(UNITS), dice.between(2, 20)
    m = n * k
    ask = dice.ask("units_back", name=dice.choice(NAMES), big=big, small=small, m=m)
    return ask, so(f"There are {k} {small} in {one}.\nIn {m} {small}: {step(f'{m} / {k}')}", n)


def rows_of(dice: Dice) -> Problem:
    (thing, place), n, k = dice.choice(ROWS), dice.between(2, 15), dice.between(2, 20)
    ask = dice.ask("rows_of", name=dice.choice(NAMES), thing=thing, place=place, n=n, k=k)
    return ask, so(f"In {n} rows: {step(f'{n} * {k}')}", n * k)


def gives_gets(dice: Dice) -> Problem:
    (name, other), a = dice.people(), dice.between(4, 30)
    b, c = dice.between(2, a - 1), dice.between(2, 20)
    ask = dice.ask("gives_gets", name=name, other=other, thing=dice.thing(), a=a, b=b, c=c)
    return ask, so(f"Without the {b}: {step(f'{a} - {b}')}.\nWith the {c}: {step(f'{a - b} + {c}')}", a - b + c)


def two_kinds(dice: Dice) -> Problem:
    (one, two), n, m = dice.choice(KINDS), dice.between(2, 8), dice.between(2, 8)
    p, q = dice.between(2, 15), dice.between(2, 15)
    ask = dice.ask("two_kinds", name=dice.choice(NAMES), one=one, two=two, n=n, m=m, p=p, q=q)
    worked = f"The {one}s: {step(f'{n} * {p}')}.\nThe {two}s: {step(f'{m} * {q}')}"
    return ask, so(f"{worked}.\nTogether: {step(f'{n * p} + {m * q}')}", n * p + m * q)


def hours_worked(dice: Dice) -> Problem:
    h, d, w = dice.between(2, 9), dice.between(2, 6), dice.between(5, 25)
    ask = dice.ask("hours_worked", name=dice.choice(NAMES), h=h, d=d, w=w)
    return ask, so(f"In {d} days: {step(f'{d} * {h}')}", d * h)


def pay(dice: Dice) -> Problem:
    h, d, w = dice.between(2, 9), dice.between(2, 6), dice.between(5, 25)
    ask = dice.ask("pay", name=dice.choice(NAMES), h=h, d=d, w=w)
    return ask, so(f"Hours: {step(f'{d} * {h}')}.\nPay: {step(f'{d * h} * {w}')}", d * h * w)


GROUPS: tuple[Template, ...] = (
    boxes_full, boxes_single, has, known, earns, rate, pages_read, pages_left, cost, note_cost, note_change, shared,
    shared_after, into, times_other, times_together, more_other, more_together, one_price, units_of, lasts, units_back,
    part_of, part_left, rows_of, slices_eaten, slices_left, gives_gets, two_kinds, hours_worked, pay,
)  # fmt: skip
