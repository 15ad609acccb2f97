"""The simplest word problems: one sum of adding or taking away; their phrasings are in sums.toml."""

from __future__ import annotations

from recipes.embedded.problems.dice import NAMES, Dice, Problem, Template
from recipes.embedded.problems.steps import so, step

WOMEN = frozenset(("Ana", "Chloe", "Emma", "Grace", "Ines", "Kira", "Mona", "Olga", "Rosa", "Tara", "Maria", "Lena"))
SCENES = (
    ("birds", "on the tree"), ("fish", "in the pond"), ("cars", "in the car park"), ("people", "on the bus"),
    ("passengers", "on the train"), ("children", "in the playground"), ("ducks", "on the lake"),
    ("guests", "in the hotel"), ("sheep", "in the field"), ("boats", "in the harbour"), ("students", "in the library"),
    ("cats", "in the yard"), ("players", "on the pitch"), ("frogs", "by the river"), ("visitors", "in the museum"),
)  # fmt: skip
GROUPS = (
    ("boys", "girls", "children", "in the class"), ("red balls", "blue balls", "balls", "in the box"),
    ("cats", "dogs", "animals", "in the shelter"), ("roses", "tulips", "flowers", "in the garden"),
    ("green pens", "black pens", "pens", "in the drawer"), ("cars", "vans", "vehicles", "in the street"),
    ("men", "women", "adults", "in the room"), ("hens", "ducks", "birds", "in the barn"),
    ("chairs", "stools", "seats", "in the hall"), ("comics", "novels", "books", "on the shelf"),
    ("cows", "horses", "animals", "on the farm"), ("big boxes", "small boxes", "boxes", "in the van"),
)  # fmt: skip
DAYS = (("Monday", "Tuesday"), ("Saturday", "Sunday"), ("Wednesday", "Thursday"), ("Thursday", "Friday"))
DEEDS = (
    ("read", "read", "pages"), ("sold", "sell", "cakes"), ("baked", "bake", "rolls"), ("ran", "run", "km"),
    ("wrote", "write", "emails"), ("washed", "wash", "cars"), ("picked", "pick", "pears"), ("drew", "draw", "pictures"),
    ("planted", "plant", "trees"), ("learned", "learn", "words"), ("fixed", "fix", "bikes"),
    ("made", "make", "cards"),
)  # fmt: skip
SIZES = (
    ("red rope", "blue rope", "metres", "longer", "long"), ("oak", "pine", "metres", "taller", "tall"),
    ("old bridge", "new bridge", "metres", "longer", "long"), ("tower", "church", "metres", "taller", "tall"),
    ("first shelf", "second shelf", "cm", "wider", "wide"), ("lake", "pool", "metres", "deeper", "deep"),
    ("white ribbon", "black ribbon", "cm", "longer", "long"), ("fence", "hedge", "feet", "longer", "long"),
    ("coast path", "forest path", "km", "longer", "long"), ("bus", "truck", "feet", "longer", "long"),
)  # fmt: skip
STRIPS = ("rope", "ribbon", "cable", "pipe", "plank", "hose", "string", "wire", "board", "chain")
SISTERS = (("sister", "she"), ("brother", "he"))


def someone(dice: Dice) -> dict[str, str]:
    """A name, with the pronouns that go with it."""
    name = dice.choice(NAMES)
    he, his, him = ("she", "her", "her") if name in WOMEN else ("he", "his", "him")
    return {"name": name, "he": he, "He": he.capitalize(), "his": his, "His": his.capitalize(), "him": him}


def small(dice: Dice, least: int = 2) -> int:
    return dice.between(least, dice.choice((12, 30, 60)))


def two(dice: Dice) -> tuple[int, int]:
    """A number and a smaller one."""
    a = small(dice, 4)
    return a, dice.between(2, a - 1)


def gets_more(dice: Dice) -> Problem:
    thing, a, b = dice.thing(), small(dice), small(dice)
    ask = dice.ask("gets_more", **someone(dice), thing=thing, a=a, b=b)
    return ask, so(f"Now there are {step(f'{a} + {b}')}", a + b)


def gives_some(dice: Dice) -> Problem:
    thing, (a, b) = dice.thing(), two(dice)
    ask = dice.ask("gives_some", **someone(dice), thing=thing, a=a, b=b)
    return ask, so(f"Left: {step(f'{a} - {b}')}", a - b)


def more_come(dice: Dice) -> Problem:
    (those, place), a, b = dice.choice(SCENES), small(dice), small(dice)
    ask = dice.ask("more_come", those=those, place=place, Place=place.capitalize(), a=a, b=b)
    return ask, so(f"With the new ones: {step(f'{a} + {b}')}", a + b)


def some_leave(dice: Dice) -> Problem:
    (those, place), (a, b) = dice.choice(SCENES), two(dice)
    ask = dice.ask("some_leave", those=those, place=place, Place=place.capitalize(), a=a, b=b)
    return ask, so(f"Still there: {step(f'{a} - {b}')}", a - b)


def two_groups(dice: Dice) -> Problem:
    (one, other, everything, place), a, b = dice.choice(GROUPS), small(dice), small(dice)
    ask = dice.ask("two_groups", one=one, other=other, all=everything, place=place, Place=place.capitalize(), a=a, b=b)
    return ask, so(f"Altogether: {step(f'{a} + {b}')}", a + b)


def two_days(dice: Dice) -> Problem:
    (did, do, those), (day, next_day), a, b = dice.choice(DEEDS), dice.choice(DAYS), small(dice), small(dice)
    ask = dice.ask("two_days", **someone(dice), did=did, do=do, those=those, day=day, next=next_day, a=a, b=b)
    return ask, so(f"Both together: {step(f'{a} + {b}')}", a + b)


def older_sister(dice: Dice) -> Problem:
    (rel, she), a, b = dice.choice(SISTERS), dice.between(3, 40), dice.between(2, 15)
    ask = dice.ask("older_sister", **someone(dice), rel=rel, she=she, a=a, b=b)
    return ask, so(f"The {rel}'s age: {step(f'{a} + {b}')}", a + b)


def younger_sister(dice: Dice) -> Problem:
    (rel, she), a = dice.choice(SISTERS), dice.between(5, 40)
    b = dice.between(2, min(a - 2, 15))
    ask = dice.ask("younger_sister", **someone(dice), rel=rel, she=she, a=a, b=b)
    return ask, so(f"The {rel}'s age: {step(f'{a} - {b}')}", a - b)


def how_many_more(dice: Dice) -> Problem:
    (name, other), thing, (a, b) = dice.people(), dice.thing(), two(dice)
    ask = dice.ask("how_many_more", name=name, other=other, thing=thing, a=a, b=b)
    return ask, so(f"The difference: {step(f'{a} - {b}')}", a - b)


def how_much_longer(dice: Dice) -> Problem:
    (one, other, unit, longer, long), (a, b) = dice.choice(SIZES), two(dice)
    ask = dice.ask("how_much_longer", one=one, other=other, unit=unit, longer=longer, long=long, a=a, b=b)
    return ask, so(f"The difference is {step(f'{a} - {b}')}", a - b)


def other_has_more(dice: Dice) -> Problem:
    (name, other), thing, a, b = dice.people(), dice.thing(), small(dice), small(dice)
    ask = dice.ask("other_has_more", name=name, other=other, thing=thing, a=a, b=b)
    return ask, so(f"{b} more than {a}: {step(f'{a} + {b}')}", a + b)


def other_has_fewer(dice: Dice) -> Problem:
    (name, other), thing, (a, b) = dice.people(), dice.thing(), two(dice)
    ask = dice.ask("other_has_fewer", name=name, other=other, thing=thing, a=a, b=b)
    return ask, so(f"{b} less than {a}: {step(f'{a} - {b}')}", a - b)


def cut_off(dice: Dice) -> Problem:
    strip, unit, (a, b) = dice.choice(STRIPS), dice.choice(("metres", "cm", "feet", "inches")), two(dice)
    ask = dice.ask("cut_off", **someone(dice), strip=strip, Strip=strip.capitalize(), unit=unit, a=a, b=b)
    return ask, so(f"The rest is {step(f'{a} - {b}')}", a - b)


def spent(dice: Dice) -> Problem:
    thing, (a, b) = dice.choice(("book", "cap", "game", "ticket", "lamp", "gift", "toy", "ball", "cake")), two(dice)
    ask = dice.ask("spent", **someone(dice), thing=thing, a=a, b=b)
    return ask, so(f"Money left: {step(f'{a} - {b}')}", a - b)


def earned(dice: Dice) -> Problem:
    giver, a, b = dice.choice(("mother", "father", "uncle", "aunt", "grandma", "grandpa")), small(dice), small(dice)
    ask = dice.ask("earned", **someone(dice), giver=giver, a=a, b=b)
    return ask, so(f"Money now: {step(f'{a} + {b}')}", a + b)


def missing(dice: Dice) -> Problem:
    thing, (a, b) = dice.thing(), two(dice)
    ask = dice.ask("missing", **someone(dice), thing=thing, a=a, b=b)
    return ask, so(f"Missing: {step(f'{a} - {b}')}", a - b)


def at_first(dice: Dice) -> Problem:
    thing, a, b = dice.thing(), small(dice), small(dice)
    ask = dice.ask("at_first", **someone(dice), thing=thing, a=a, b=b)
    return ask, so(f"At first: {step(f'{a} + {b}')}", a + b)


def before_getting(dice: Dice) -> Problem:
    thing, (a, b) = dice.thing(), two(dice)
    ask = dice.ask("before_getting", **someone(dice), thing=thing, a=a, b=b)
    return ask, so(f"Before: {step(f'{a} - {b}')}", a - b)


def put_together(dice: Dice) -> Problem:
    unit, a, b = dice.choice(("km", "miles", "minutes")), small(dice), small(dice)
    ask = dice.ask("put_together", **someone(dice), unit=unit, a=a, b=b)
    return ask, so(f"Put together: {step(f'{a} + {b}')}", a + b)


def clock_hours(dice: Dice) -> Problem:
    form, least, most = dice.choice((("{} am", 1, 11), ("{} pm", 1, 11), ("{}:00", 5, 23), ("{} o'clock", 1, 12)))
    start = dice.between(least, most - 1)
    end = dice.between(start + 1, most)
    ask = dice.ask("clock_hours", **someone(dice), start=form.format(start), end=form.format(end))
    return ask, so(f"Hours between: {step(f'{end} - {start}')}", end - start)


def extra_plus(dice: Dice) -> Problem:
    thing, a, b, c = dice.thing(), small(dice), small(dice), dice.between(5, 28)
    ask = dice.ask("extra_plus", **someone(dice), thing=thing, a=a, b=b, c=c)
    return ask, so(f"What matters: {step(f'{a} + {b}')}", a + b)


def extra_minus(dice: Dice) -> Problem:
    thing, (a, b), c = dice.thing(), two(dice), dice.between(5, 28)
    ask = dice.ask("extra_minus", **someone(dice), thing=thing, a=a, b=b, c=c)
    return ask, so(f"What matters: {step(f'{a} - {b}')}", a - b)


def in_years(dice: Dice) -> Problem:
    a, n = dice.between(3, 60), dice.between(2, 20)
    ask = dice.ask("in_years", **someone(dice), a=a, n=n)
    return ask, so(f"{n} years later: {step(f'{a} + {n}')}", a + n)


def years_ago(dice: Dice) -> Problem:
    a = dice.between(5, 60)
    n = dice.between(2, min(a - 2, 20))
    ask = dice.ask("years_ago", **someone(dice), a=a, n=n)
    return ask, so(f"{n} years ago: {step(f'{a} - {n}')}", a - n)


SUMS: tuple[Template, ...] = (
    gets_more, gives_some, more_come, some_leave, two_groups, two_days, older_sister, younger_sister, how_many_more,
    how_much_longer, other_has_more, other_has_fewer, cut_off, spent, earned, missing, at_first, before_getting,
    put_together, clock_hours, extra_plus, extra_minus, in_years, years_ago,
)  # fmt: skip
