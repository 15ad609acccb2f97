"""Letters: emails, thank-you notes, apologies, invitations and cover letters."""

from __future__ import annotations

import random

from recipes.embedded.writing.parts import DAYS, NAMES, TIMES, Piece, load, pick

LETTERS = load("letters")


def email(dice: random.Random, held_back: bool) -> Piece:
    table = LETTERS["email"]
    who, topic, subject, first, second, last = pick(dice, table["topics"], held_back)
    name, me = dice.sample(NAMES, 2)
    day = dice.choice(DAYS)
    hello, bye = dice.choice(table["hello"]), dice.choice(table["bye"])
    body = f"Subject: {subject}\n\n{hello} {name},\n\n{first}\n\n{second} {last}\n\n{bye},\n{me}".format(day=day)
    ask = pick(dice, table["asks"], held_back)
    return ask.format(who=who, name=name, me=me, topic=topic.format(day=day)), body


def thanks(dice: random.Random, held_back: bool) -> Piece:
    table = LETTERS["thanks"]
    topic, detail = pick(dice, table["topics"], held_back)
    name, me = dice.sample(NAMES, 2)
    first, last, bye = dice.choice(table["first"]), dice.choice(table["last"]), dice.choice(table["bye"])
    body = f"Dear {name},\n\n{first.format(topic)} {detail}\n\n{last}\n\n{bye},\n{me}"
    return pick(dice, table["asks"], held_back).format(name=name, me=me, topic=topic), body


def sorry(dice: random.Random, held_back: bool) -> Piece:
    table = LETTERS["sorry"]
    what, request, detail, amends = pick(dice, table["topics"], held_back)
    name, me = dice.sample(NAMES, 2)
    first, middle, last = dice.choice(table["first"]), dice.choice(table["middle"]), dice.choice(table["last"])
    if "neighbour" in request:
        last = "Thank you for being such a patient neighbour."
    body = f"Dear {name},\n\n{first.format(what)} {detail} {middle}\n\n{amends} {last}\n\nYours,\n{me}"
    return pick(dice, table["asks"], held_back).format(request.format(name)), body


def invitation(dice: random.Random, held_back: bool) -> Piece:
    table = LETTERS["invitation"]
    topic, why, plan, bring = pick(dice, table["topics"], held_back)
    day, time, me = dice.choice((*DAYS, "Saturday", "Sunday")), dice.choice(TIMES), dice.choice(NAMES)
    if "breakfast" in topic:
        time = dice.choice(table["breakfast_times"])
    street, first, last = dice.choice(table["streets"]), dice.choice(table["first"]), dice.choice(table["last"])
    body = f"Dear friends,\n\n{first} {topic} on {day} at {time}, at {street}. {why}\n\n"
    body += f"{plan}. All you need to bring is {bring}. {last}\n\nYours,\n{me}"
    return pick(dice, table["asks"], held_back).format(topic=topic, day=day, time=time, me=me), body


def cover(dice: random.Random, held_back: bool) -> Piece:
    table = LETTERS["cover"]
    job, firm, past, skill = pick(dice, table["topics"], held_back)
    me = f"{dice.choice(NAMES)} {dice.choice(table['surnames'])}"
    first, last = dice.choice(table["first"]).format(job=job, firm=firm), dice.choice(table["last"])
    body = f"Dear hiring team,\n\n{first} {past}\n\n{skill} {last}\n\nYours sincerely,\n{me}"
    return pick(dice, table["asks"], held_back).format(job=job, firm=firm, me=me), body
