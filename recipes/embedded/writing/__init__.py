"""Short pieces of writing and of talk with their requests, composed from the parts in the tables beside this file."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

from recipes.embedded.generate import Dice, Example, Family, Words, families, lines, upper

VERSES = {"asks": 10, "four": 2, "two": 3, "sonnet": 1, "song": 3, "rap": 2}  # form of a verse -> relative frequency


def verse(dice: Dice, family: Family) -> Words:
    """A verse of two to fourteen lines about a subject."""
    kind, topic, pronoun = dice.pick(family.table["topics"])
    form = dice.choices(list(VERSES), list(VERSES.values()))[0]
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
    """Two or four couplets about a subject."""
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


def _stanzas(rows: Sequence[str]) -> str:
    return "\n\n".join("\n".join(rows[at : at + 4]) for at in range(0, len(rows), 4))


FILES = ("letters", "rewording", "shops", "speeches", "stories", "verses", "rhymes", "talk", "firsts")
# The forms of verse whose draws need loops or branches; their lines are in rhymes.toml and verses.toml.
BY_HAND = {function.__name__: function for function in (verse, occasion, acrostic, poem)}
FAMILIES = {
    name: family
    for file in FILES
    for name, family in families(Path(__file__).with_name(f"{file}.toml"), BY_HAND).items()
}


def forms(names: str) -> tuple[Family, ...]:
    return tuple(FAMILIES[name] for name in names.split())


FORMS = forms(
    "email poem thanks story sorry haiku invitation product birthday summary cover slogans post wedding"
    " rewrite review diary bedtime speech dialogue headlines"
)
FIRST_LETTERS = forms("absence gratitude farewell grievance card application news answer event tale")
VERSE = forms("verse counted_haiku verse limerick verse occasion counted_haiku verse limerick acrostic")

# Kinds of first queries, and their relative frequencies. They include questions that the model cannot answer.
TALK = {
    "self": 8, "not_another": 4, "makers": 4, "skills": 4, "zooter": 2, "small_talk": 14, "languages": 4, "emoji": 5,
    "fun": 6, "common_phrases": 14, "beyond_phrases": 7, "foreign": 5, "known": 22, "unknown_winner": 4,
    "unknown_person": 4, "unknown_work": 4, "unknown_number": 5, "unknown_now": 3, "logic": 5,
    "grammar": 4, "ideas": 10, "suggest": 10, "spelling": 8,
}  # fmt: skip
# Questions that a small model cannot answer and, with translations, tasks that it cannot do.
UNKNOWN = "unknown_winner unknown_person unknown_work unknown_number unknown_now"
BEYOND = f"{UNKNOWN} beyond_phrases"

READING = "reading reading reminder"


def talk(count: int, seed: int, held_back: bool, names: str = " ".join(TALK)) -> list[Example]:
    """Requests of these families with their answers; a short request such as "ping" occurs more than once."""
    dice = Dice(seed, held_back)
    chosen = names.split()
    return [FAMILIES[name].example(dice) for name in dice.choices(chosen, [TALK[name] for name in chosen], k=count)]


def reading(count: int, seed: int, held_back: bool) -> list[Example]:
    """Small files and texts with questions that they answer."""
    dice, chosen = Dice(seed, held_back), forms(READING)
    return [dice.choice(chosen).example(dice) for _ in range(count)]


def pieces(count: int, seed: int, held_back: bool, forms: Sequence[Family] = FORMS) -> list[Example]:
    """`count` different requests with their pieces from the forms in turn; held-back parts never occur in training."""
    dice = Dice(seed, held_back)
    drawn: dict[str, str] = {}
    for turn in range(100 * count + 1000):
        if len(drawn) == count:
            return list(drawn.items())
        request, piece = forms[turn % len(forms)].example(dice)
        drawn.setdefault(request, piece)
    raise ValueError(f"the forms do not give {count} different requests")
