"""Short pieces of writing with the requests they answer, composed from the parts in the tables beside this file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from recipes.embedded.generate import Dice, Example, Family, families
from recipes.embedded.writing import verse

FILES = ("letters", "rewording", "shops", "speeches", "stories", "verses", "rhymes")
BY_HAND = {function.__name__: function for function in (verse.verse, verse.occasion, verse.acrostic, verse.poem)}
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
VERSE = forms("verse counted_haiku verse limerick verse occasion counted_haiku verse limerick acrostic")


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
