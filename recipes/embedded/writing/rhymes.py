"""Verse in strict form: rhyming couplets, haiku of counted syllables, limericks, acrostics."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

from recipes.embedded.writing.parts import Piece, load, pick, upper

RHYMES = load("rhymes")
PRONOUNS = {"it": ("it", "its"), "he": ("him", "his"), "she": ("her", "her"), "they": ("them", "their")}
FORMS = {"asks": 10, "four": 2, "two": 3, "sonnet": 1, "song": 3, "rap": 2}  # of a verse, and how often


def verse(dice: random.Random, held_back: bool) -> Piece:
    """Two lines to fourteen about a subject."""
    table = RHYMES["poem"]
    kind, topic, pronoun = pick(dice, table["topics"], held_back)
    form = dice.choices(list(FORMS), list(FORMS.values()))[0]
    ask = pick(dice, table[form], held_back).format(topic)
    opening = _couplet(dice, "openings", "rap" if form == "rap" else kind, topic)
    closing = _couplet(dice, "closings", "rap" if form == "rap" else kind, topic)
    couplets = _couplets(dice, kind, pronoun, 5)
    first, second = couplets[:2]
    if form == "two":
        return ask, _stanzas(dice.choice((opening, first)))
    if form == "four":
        return ask, _stanzas(opening + dice.choice((closing, first, second)))
    if form == "sonnet":
        return ask, _stanzas([*opening, *itertools.chain.from_iterable(couplets), *closing])
    if form == "song":
        refrain = f"Oh, {topic}, oh, {topic}"
        return ask, "\n".join(["Verse", *opening, *first, "", "Chorus", refrain + ",", *second, refrain + "."])
    return ask, _stanzas(opening + first + dice.choice(([], second)) + closing)


def occasion(dice: random.Random, held_back: bool) -> Piece:
    """A love poem, a birthday verse or a lullaby."""
    form, kind = dice.choice((("love", "you"), ("birthday", "party"), ("lullaby", "sleepy")))
    table = RHYMES[form]
    name = pick(dice, table["names"], held_back)
    first, second = _couplets(dice, kind, "it", 2)
    lines = _couplet(dice, "openings", kind, name) + first + dice.choice(([], second))
    return pick(dice, table["asks"], held_back).format(name), _stanzas(lines + _couplet(dice, "closings", kind, name))


def limerick(dice: random.Random, held_back: bool) -> Piece:
    table, fond = RHYMES["limerick"], dice.choice(("", "", "_fond"))
    subject, pronoun = pick(dice, table["subjects"], held_back)
    thing = pick(dice, table["things"], held_back)
    text = _filled(dice.choice(table[f"texts{fond}"]), pronoun, t=subject, x=thing)
    return pick(dice, table[f"asks{fond}"], held_back).format(subject, thing), "\n".join(_lines(text))


def counted_haiku(dice: random.Random, held_back: bool) -> Piece:
    table, lines = RHYMES["haiku"], RHYMES["syllables"]
    kind, topic, syllables = pick(dice, table["topics"], held_back)
    first = dice.choice(lines[syllables]).format(t=topic)
    second = dice.choice(lines[dice.choice((kind, kind, kind, "any"))])
    text = f"{first} / {second} / {dice.choice(lines['last'])}"
    return pick(dice, table["asks"], held_back).format(topic), "\n".join(_lines(text))


def acrostic(dice: random.Random, held_back: bool) -> Piece:
    table = RHYMES["acrostic"]
    word = pick(dice, table["words"], held_back)
    lines: dict[str, None] = {}  # without one twice
    for letter in word:
        lines.setdefault(dice.choice([line for line in table["lines"][letter] if line not in lines]))
    return pick(dice, table["asks"], held_back).format(dice.choice((word, word.lower()))), "\n".join(lines)


def _couplets(dice: random.Random, kind: str, pronoun: str, count: int) -> list[list[str]]:
    """Pairs of lines that rhyme."""
    return [_lines(_filled(text, pronoun)) for text in dice.sample(RHYMES["couplets"][kind], count)]


def _couplet(dice: random.Random, table: str, kind: str, topic: str) -> list[str]:
    return _lines(dice.choice(RHYMES[table].get(kind, RHYMES[table]["any"])).format(t=topic))


def _filled(text: str, pronoun: str, **words: str) -> str:
    them, their = PRONOUNS[pronoun]
    return text.format(they=pronoun, them=them, their=their, **words)


def _lines(text: str) -> list[str]:
    return [upper(line) for line in text.split(" / ")]


def _stanzas(lines: Sequence[str]) -> str:
    return "\n\n".join("\n".join(lines[at : at + 4]) for at in range(0, len(lines), 4))
