"""Birthday and wedding toasts, and the openings of speeches."""

from __future__ import annotations

import random

from recipes.embedded.writing.parts import MEN, NAMES, WOMEN, Piece, load, pick

SPEECHES = load("speeches")


def birthday(dice: random.Random, held_back: bool) -> Piece:
    table = SPEECHES["birthday"]
    topic, habit, wish = pick(dice, table["topics"], held_back)
    name, age = dice.choice(NAMES), dice.choice(table["ages"])
    first = dice.choice(table["first"]).format(name=name, age=age)
    middle = dice.choice(table["middle"]).format(name=name, topic=topic, habit=habit)
    last = dice.choice(table["last"]).format(name=name)
    body = f"{first}\n\n{middle} {last}\n\nSo raise your glasses. {name}, may {wish}. Happy birthday!"
    return pick(dice, table["asks"], held_back).format(name=name, age=age, topic=topic), body


def wedding(dice: random.Random, held_back: bool) -> Piece:
    table = SPEECHES["wedding"]
    topic, detail = pick(dice, table["topics"], held_back)
    a, b = dice.choice(WOMEN), dice.choice(MEN)
    first = dice.choice(table["first"]).format(a=a, b=b, topic=topic)
    middle = dice.choice(table["middle"]).format(a=a, b=b)
    last = dice.choice(table["last"])
    body = f"{first} {detail}\n\n{middle} {last}\n\nPlease stand and raise your glasses: to {a} and {b}!"
    return pick(dice, table["asks"], held_back).format(a=a, b=b, topic=topic), body


def speech(dice: random.Random, held_back: bool) -> Piece:
    table = SPEECHES["speech"]
    topic, story, point = pick(dice, table["topics"], held_back)
    hello, turn = dice.choice(table["hello"]), dice.choice(table["turn"]).format(topic=topic)
    last = dice.choice(table["last"])
    return pick(dice, table["asks"], held_back).format(topic), f"{hello}\n\n{story} {turn}\n\n{point} {last}"
