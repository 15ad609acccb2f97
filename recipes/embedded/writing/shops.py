"""Product descriptions, advertisements, reviews, slogans and headlines."""

from __future__ import annotations

import random

from recipes.embedded.writing.parts import DAYS, NAMES, Piece, load, pick, upper

SHOPS = load("shops")


def product(dice: random.Random, held_back: bool) -> Piece:
    table = SHOPS["product"]
    topic, name, craft, use = pick(dice, table["topics"], held_back)
    more = name.endswith("slippers")
    is_, it, its = ("are", "them", "they") if more else ("is", "it", "it")
    first = dice.choice(table["first"]).format(Name=upper(name), name=name, is_=is_, made=craft)
    middle = dice.choice(table["middle"]).format(it=it)
    if more:
        middle = "We wore them at home for a whole year, and we would not want to give them back."
    last = dice.choice(table["last"]).format(topic=topic, its=its, it=it, noun=topic.removeprefix("a "))
    return pick(dice, table["asks"], held_back).format(topic), f"{first} {use}.\n\n{middle} {last}"


def post(dice: random.Random, held_back: bool) -> Piece:
    table = SHOPS["post"]
    topic, name, hook, offer, tag = pick(dice, table["topics"], held_back)
    day = dice.choice((*DAYS, "Saturday"))
    street = dice.choice(table["streets"])
    first = dice.choice(table["first"]).format(name=name)
    middle = dice.choice(table["middle"]).format(topic=topic, street=street)
    last = dice.choice(table["last"])
    body = f"{first} {hook}\n\n{middle} This {day}, {offer}. {last}\n\n{tag}"
    return pick(dice, table["asks"], held_back).format(topic=topic, name=name, day=day), body


def review(dice: random.Random, held_back: bool) -> Piece:
    table = SHOPS["review"]
    topic, praise, but, plus = pick(dice, table["topics"], held_back)
    stars, name = dice.choice((4, 5)), dice.choice(NAMES)
    place = any(word in topic for word in ("restaurant", "bar", "hotel", "cafe", "place"))
    plural = topic.startswith("a pair of")
    noun = topic.removeprefix("a ").removeprefix("pair of ").removesuffix(" by the harbour")
    kind = table["place" if place else "thing"]
    first = dice.choice(kind["first"]).format(this=f"{'these' if plural else 'this'} {noun}")
    last, small = dice.choice(kind["last"]), dice.choice(table["small"])
    if stars == 4:
        small = "That costs one star."
    body = f"{stars} out of 5 stars\n\n{first} {praise}\n\n{but}. {small} On the other hand, {plus}. {last}\n\n{name}"
    return pick(dice, table["asks"], held_back).format(topic=topic, stars=stars, name=name), body


def slogans(dice: random.Random, held_back: bool) -> Piece:
    table = SHOPS["slogans"]
    topic, *lines = pick(dice, table["topics"], held_back)
    n = dice.randint(3, 5)
    text = "\n".join(f"{at}. {line}" for at, line in enumerate(dice.sample(lines, n), 1))
    return pick(dice, table["asks"], held_back).format(topic=topic, n=("three", "four", "five")[n - 3]), text


def headlines(dice: random.Random, held_back: bool) -> Piece:
    table = SHOPS["headlines"]
    topic, *lines = pick(dice, table["topics"], held_back)
    n = dice.randint(3, 5)
    text = "\n".join(f"- {line}" for line in dice.sample(lines, n))
    return pick(dice, table["asks"], held_back).format(topic=topic, n=("three", "four", "five")[n - 3]), text
