"""Rhyming poems and haiku."""

from __future__ import annotations

import random

from recipes.embedded.writing.parts import Piece, load, pick, upper

VERSES = load("verses")


def poem(dice: random.Random, held_back: bool) -> Piece:
    table = VERSES["poem"]
    topic, *couplets = pick(dice, table["topics"], held_back)
    ask, lines = pick(dice, table["asks"], held_back)
    if lines == 4:
        couplets = [couplets[0], dice.choice(couplets[1:])]
    elif dice.random() < 0.5:
        couplets = [couplets[0], couplets[2], couplets[1], couplets[3]]
    text = [half for couplet in couplets for half in (upper(line.strip()) for line in couplet.split("/"))]
    ends = [line if line[-1] in ",:" else line + ("." if spot % 2 else "") for spot, line in enumerate(text)]
    verses = ["\n".join(ends[at : at + 4]) for at in range(0, len(ends), 4)]
    return ask.format(topic), "\n\n".join(verses)


def haiku(dice: random.Random, held_back: bool) -> Piece:
    table = VERSES["haiku"]
    topic, lines = pick(dice, table["topics"], held_back)
    return pick(dice, table["asks"], held_back).format(topic), "\n".join(upper(line) for line in lines.split(" / "))
