"""Short stories, openings of bedtime stories, diary entries and dialogues."""

from __future__ import annotations

import random

from recipes.embedded.writing.parts import DAYS, NAMES, TOWNS, WOMEN, Piece, load, pick, upper

STORIES = load("stories")


def story(dice: random.Random, held_back: bool) -> Piece:
    table = STORIES["story"]
    topic, opening, turn, *ends = pick(dice, table["topics"], held_back)
    name, town = dice.choice(NAMES), dice.choice(TOWNS)
    he, his, him = ("she", "her", "her") if name in WOMEN else ("he", "his", "him")
    words = {"name": name, "town": town, "he": he, "He": upper(he), "his": his, "him": him}
    body = f"{opening}\n\n{turn}\n\n{dice.choice(ends)}".format(**words)
    return pick(dice, table["asks"], held_back).format(topic=topic, name=name, town=town), body


def bedtime(dice: random.Random, held_back: bool) -> Piece:
    table = STORIES["bedtime"]
    topic, quirk, place, event = pick(dice, table["topics"], held_back)
    name, first = dice.choice(table["names"]), dice.choice(table["first"])
    start = f"{first} {place}" if first.endswith(".") else f"{first} {place[0].lower() + place[1:]}"
    last = dice.choice(table["last"])
    call = f"This is the story of {name}, {topic} {quirk}."
    ask = pick(dice, table["asks"], held_back).format(topic=topic, quirk=quirk, name=name)
    return ask, f"{start}. {call}\n\n{event.format(name=name)}.\n\n{last}"


def diary(dice: random.Random, held_back: bool) -> Piece:
    table = STORIES["diary"]
    topic, first, second = pick(dice, table["topics"], held_back)
    day = "Sunday" if "Sunday" in topic else dice.choice((*DAYS, "Saturday"))
    hello, last = dice.choice(table["hello"]).format(topic=topic), dice.choice(table["last"])
    body = f"{day} evening\n\nDear diary,\n\n{hello} {first}\n\n{second} {last}"
    return pick(dice, table["asks"], held_back).format(topic=topic, day=day), body


def dialogue(dice: random.Random, held_back: bool) -> Piece:
    table = STORIES["dialogue"]
    topic, *lines = pick(dice, table["topics"], held_back)
    speakers = dice.sample(NAMES, 2)
    text = "\n".join(f"{speakers[at % 2]}: {line}" for at, line in enumerate(lines))
    return pick(dice, table["asks"], held_back).format(a=speakers[0], b=speakers[1], topic=topic), text
