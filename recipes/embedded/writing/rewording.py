"""Summaries of short texts, and sentences rewritten in another tone."""

from __future__ import annotations

import random

from recipes.embedded.writing.parts import NAMES, TOWNS, Piece, load, pick

REWORDING = load("rewording")


def summary(dice: random.Random, held_back: bool) -> Piece:
    table = REWORDING["summary"]
    first, second, short = pick(dice, table["topics"], held_back)
    words = {"name": dice.choice(NAMES), "town": dice.choice(TOWNS), "n": dice.choice(table["numbers"])}
    ask = pick(dice, table["asks"], held_back)
    return ask.format(f"{first} {second}".format(**words)), short.format(**words)


def rewrite(dice: random.Random, held_back: bool) -> Piece:
    table = REWORDING["rewrite"]
    blunt, *others = pick(dice, table["topics"], held_back)
    thing, at = dice.choice(table["held_back_objects" if held_back else "objects"]), dice.randrange(3)
    ask = pick(dice, table["asks"], held_back)
    return ask.format(tone=table["tones"][at], text=blunt.format(thing=thing)), others[at].format(thing=thing)
