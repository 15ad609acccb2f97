"""The forms of verse whose draws need loops or branches; their lines are in rhymes.toml and verses.toml."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from recipes.embedded.generate import Dice, Family, Words, lines, upper

FORMS = {"asks": 10, "four": 2, "two": 3, "sonnet": 1, "song": 3, "rap": 2}  # of a verse, and how often


def verse(dice: Dice, family: Family) -> Words:
    """Two lines to fourteen about a subject."""
    kind, topic, pronoun = dice.pick(family.table["topics"])
    form = dice.choices(list(FORMS), list(FORMS.values()))[0]
    request = dice.pick(family.table[form]).format(topic=topic)
    opening = _end(dice, family, "OPENINGS", "rap" if form == "rap" else kind, topic)
    closing = _end(dice, family, "CLOSINGS", "rap" if form == "rap" else kind, topic)
    couplets = _couplets(dice, family, kind, pronoun, 5)
    first, second = couplets[:2]
    if form == "two":
        text = _stanzas(dice.choice((opening, first)))
    elif form == "four":
        text = _stanzas(opening + dice.choice((closing, first, second)))
    elif form == "sonnet":
        text = _stanzas([*opening, *itertools.chain.from_iterable(couplets), *closing])
    elif form == "song":
        refrain = f"Oh, {topic}, oh, {topic}"
        text = "\n".join(["Verse", *opening, *first, "", "Chorus", refrain + ",", *second, refrain + "."])
    else:
        text = _stanzas(opening + first + dice.choice(([], second)) + closing)
    return {"request": request, "text": text}


def occasion(dice: Dice, family: Family) -> Words:
    """A love poem, a birthday verse or a lullaby."""
    form, kind = dice.choice((("love", "you"), ("birthday", "party"), ("lullaby", "sleepy")))
    table = family.table[form]
    name = dice.pick(table["names"])
    first, second = _couplets(dice, family, kind, "it", 2)
    opening = _end(dice, family, "OPENINGS", kind, name)
    middle = first + dice.choice(([], second))
    request = dice.pick(table["asks"]).format(name=name)
    return {"request": request, "text": _stanzas(opening + middle + _end(dice, family, "CLOSINGS", kind, name))}


def acrostic(dice: Dice, family: Family) -> Words:
    word = dice.pick(family.table["words"])
    chosen: dict[str, None] = {}  # without one twice
    for letter in word:
        chosen.setdefault(dice.choice([line for line in family.table["lines"][letter] if line not in chosen]))
    return {
        "request": dice.pick(family.table["asks"]).format(topic=dice.choice((word, word.lower()))),
        "text": "\n".join(chosen),
    }


def poem(dice: Dice, family: Family) -> Words:
    """Couplets of a subject, all four or two."""
    topic, *couplets = dice.pick(family.table["topics"])
    ask, count = dice.pick(family.table["asks"])
    if count == 4:
        couplets = [couplets[0], dice.choice(couplets[1:])]
    elif dice.random() < 0.5:
        couplets = [couplets[0], couplets[2], couplets[1], couplets[3]]
    halves = [upper(half.strip()) for couplet in couplets for half in couplet.split("/")]
    ends = [half if half[-1] in ",:" else half + "." * (spot % 2) for spot, half in enumerate(halves)]
    return {"request": ask.format(topic=topic), "text": _stanzas(ends)}


def _couplets(dice: Dice, family: Family, kind: str, pronoun: str, count: int) -> list[list[str]]:
    """Pairs of lines that rhyme."""
    them, their = family.lists["PRONOUNS"][pronoun]
    texts = dice.sample(family.lists["COUPLETS"][kind], count)
    return [lines(text.format(they=pronoun, them=them, their=their)).split("\n") for text in texts]


def _end(dice: Dice, family: Family, name: str, kind: str, topic: str) -> list[str]:
    """The opening or closing couplet."""
    couplets = family.lists[name]
    return lines(dice.choice(couplets.get(kind, couplets["any"])).format(t=topic)).split("\n")


def _stanzas(lines: Sequence[str]) -> str:
    return "\n\n".join("\n".join(lines[at : at + 4]) for at in range(0, len(lines), 4))
