"""The simplest word problems of two changes: three numbers, all needed, and two sums; phrasings in changes.toml."""

from __future__ import annotations

from recipes.embedded.problems.dice import NAMES, Dice, Problem, Template
from recipes.embedded.problems.steps import so, step
from recipes.embedded.problems.sums import small, someone, two

KINDS = (
    ("apples", "pears", "plums", "pieces of fruit", "in the bowl"),
    ("cats", "dogs", "rabbits", "animals", "in the shelter"),
    ("red balls", "blue balls", "green balls", "balls", "in the box"),
    ("hens", "ducks", "geese", "birds", "in the yard"),
    ("roses", "tulips", "daisies", "flowers", "in the vase"), ("cars", "vans", "buses", "vehicles", "in the street"),
    ("cows", "pigs", "goats", "animals", "on the farm"), ("men", "women", "children", "people", "in the hall"),
    ("black pens", "blue pens", "red pens", "pens", "in the drawer"),
    ("comics", "novels", "cookbooks", "books", "on the shelf"),
    ("chairs", "stools", "armchairs", "seats", "in the waiting room"),
    ("plates", "bowls", "cups", "dishes", "on the table"),
    ("oak trees", "pine trees", "birch trees", "trees", "in the park"),
    ("violins", "flutes", "drums", "instruments", "in the music room"),
    ("lemon sweets", "mint sweets", "cherry sweets", "sweets", "in the jar"),
    ("gold coins", "silver coins", "copper coins", "coins", "in the chest"),
)  # fmt: skip
MOVES = (
    ("passengers", "on the bus", "get off", "got off", "get on", "got on"),
    ("people", "on the tram", "get off", "got off", "get on", "got on"),
    ("passengers", "on the train", "get off", "got off", "get on", "got on"),
    ("passengers", "on the ferry", "get off", "got off", "get on", "got on"),
    ("people", "in the lift", "step out", "stepped out", "step in", "stepped in"),
    ("people", "in the room", "go out", "went out", "come in", "came in"),
    ("children", "in the classroom", "go out", "went out", "come in", "came in"),
    ("ducks", "on the pond", "fly away", "flew away", "fly in", "flew in"),
    ("birds", "in the tree", "fly away", "flew away", "fly in", "flew in"),
    ("frogs", "on the log", "hop off", "hopped off", "hop on", "hopped on"),
    ("cars", "in the car park", "drive out", "drove out", "drive in", "drove in"),
    ("boats", "in the harbour", "sail out", "sailed out", "sail in", "sailed in"),
    ("swimmers", "in the pool", "climb out", "climbed out", "jump in", "jumped in"),
    ("customers", "in the shop", "walk out", "walked out", "walk in", "walked in"),
    ("sheep", "in the pen", "run out", "ran out", "run in", "ran in"),
    ("guests", "in the garden", "leave", "left", "arrive", "arrived"),
    ("visitors", "in the museum", "leave", "left", "arrive", "arrived"),
)  # fmt: skip
BOUGHT = (
    "book", "cap", "game", "ticket", "lamp", "toy", "ball", "cake", "scarf", "mug", "plant", "pen", "kite", "puzzle",
    "sandwich", "comic", "drink", "poster", "bag", "brush",
)  # fmt: skip
JOBS = (
    "washing cars", "mowing lawns", "walking dogs", "selling lemonade", "feeding cats", "raking leaves", "babysitting",
    "cleaning windows", "picking berries", "carrying boxes", "watering plants",
)  # fmt: skip
BAKED = ("cookies", "muffins", "rolls", "buns", "cupcakes", "scones", "tarts", "biscuits", "pies", "brownies")
EATERS = ("friends", "children", "cousins", "pupils", "neighbours", "guests")


def among(dice: Dice) -> dict[str, str]:
    """Someone, with the pronouns, and two others."""
    words = someone(dice)
    other, friend = dice.sample([name for name in NAMES if name != words["name"]], 2)
    return {**words, "other": other, "friend": friend}


def less_twice(dice: Dice) -> tuple[int, int, int]:
    """A number and two others that leave something of it."""
    a = small(dice, 6)
    b = dice.between(2, a - 3)
    return a, b, dice.between(2, a - b - 1)


def gets_gives(dice: Dice) -> Problem:
    a, b = small(dice), small(dice)
    c = dice.between(2, a + b - 1)
    ask = dice.ask("gets_gives", **among(dice), thing=dice.thing(), a=a, b=b, c=c)
    return ask, so(f"With the {b} new: {step(f'{a} + {b}')}.\nWithout the {c}: {step(f'{a + b} - {c}')}", a + b - c)


def gives_twice(dice: Dice) -> Problem:
    a, b, c = less_twice(dice)
    ask = dice.ask("gives_twice", **among(dice), thing=dice.thing(), a=a, b=b, c=c)
    worked = f"Without the {b}: {step(f'{a} - {b}')}.\nThen without the {c}: {step(f'{a - b} - {c}')}"
    return ask, so(worked, a - b - c)


def gets_twice(dice: Dice) -> Problem:
    a, b, c = small(dice), small(dice), small(dice)
    ask = dice.ask("gets_twice", **among(dice), thing=dice.thing(), a=a, b=b, c=c)
    worked = f"With the {b}: {step(f'{a} + {b}')}.\nThen with the {c}: {step(f'{a + b} + {c}')}"
    return ask, so(worked, a + b + c)


def gives_buys(dice: Dice) -> Problem:
    (a, b), c = two(dice), small(dice)
    ask = dice.ask("gives_buys", **among(dice), thing=dice.thing(), a=a, b=b, c=c)
    return ask, so(f"Without the {b}: {step(f'{a} - {b}')}.\nWith the {c} new: {step(f'{a - b} + {c}')}", a - b + c)


def three_groups(dice: Dice) -> Problem:
    (one, other, third, everything, place), a, b, c = dice.choice(KINDS), small(dice), small(dice), small(dice)
    words = {"one": one, "two": other, "three": third, "all": everything, "place": place, "Place": place.capitalize()}
    ask = dice.ask("three_groups", name=dice.choice(NAMES), **words, a=a, b=b, c=c)
    return ask, so(f"The first two: {step(f'{a} + {b}')}.\nAll three: {step(f'{a + b} + {c}')}", a + b + c)


def spends_twice(dice: Dice) -> Problem:
    (one, other), (a, b, c) = dice.sample(BOUGHT, 2), less_twice(dice)
    ask = dice.ask("spends_twice", **someone(dice), one=one, two=other, a=a, b=b, c=c)
    worked = f"After paying {b}: {step(f'{a} - {b}')}.\nThen after paying {c}: {step(f'{a - b} - {c}')}"
    return ask, so(worked, a - b - c)


def earns_spends(dice: Dice) -> Problem:
    job, thing, a, b = dice.choice(JOBS), dice.choice(BOUGHT), small(dice), small(dice)
    c = dice.between(2, a + b - 1)
    ask = dice.ask("earns_spends", **someone(dice), job=job, Job=job.capitalize(), thing=thing, a=a, b=b, c=c)
    return ask, so(f"With the {b} earned: {step(f'{a} + {b}')}.\nAfter paying {c}: {step(f'{a + b} - {c}')}", a + b - c)


def bus_changes(dice: Dice) -> Problem:
    (those, place, leave, left, come, arrived), (a, b), c = dice.choice(MOVES), two(dice), small(dice)
    words = {"those": those, "place": place, "Place": place.capitalize()}
    moves = {"leave": leave, "left": left, "come": come, "came": arrived}
    ask = dice.ask("bus_changes", name=dice.choice(NAMES), **words, **moves, a=a, b=b, c=c)
    return ask, so(f"Without the {b}: {step(f'{a} - {b}')}.\nWith the {c} new: {step(f'{a - b} + {c}')}", a - b + c)


def eats_shares(dice: Dice) -> Problem:
    c, share, b = dice.between(2, 9), dice.between(2, 8), dice.between(2, 12)
    a = c * share + b
    ask = dice.ask("eats_shares", **someone(dice), thing=dice.choice(BAKED), people=dice.choice(EATERS), a=a, b=b, c=c)
    return ask, so(f"Not eaten: {step(f'{a} - {b}')}.\nEach gets {step(f'{c * share} / {c}')}", share)


CHANGES: tuple[Template, ...] = (
    gets_gives, gives_twice, gets_twice, gives_buys, three_groups, spends_twice, earns_spends, bus_changes,
    eats_shares,
)  # fmt: skip
