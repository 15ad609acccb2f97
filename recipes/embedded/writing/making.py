"""Generators of pieces of all forms, and of verse alone, for one side of the split."""

from __future__ import annotations

import random
from collections.abc import Sequence

from recipes.embedded.writing.letters import cover, email, invitation, sorry, thanks
from recipes.embedded.writing.parts import Form, Piece
from recipes.embedded.writing.rewording import rewrite, summary
from recipes.embedded.writing.rhymes import acrostic, counted_haiku, limerick, occasion, verse
from recipes.embedded.writing.shops import headlines, post, product, review, slogans
from recipes.embedded.writing.speeches import birthday, speech, wedding
from recipes.embedded.writing.stories import bedtime, dialogue, diary, story
from recipes.embedded.writing.verses import haiku, poem

FORMS: tuple[Form, ...] = (
    email, poem, thanks, story, sorry, haiku, invitation, product, birthday, summary, cover, slogans, post, wedding,
    rewrite, review, diary, bedtime, speech, dialogue, headlines,
)  # fmt: skip

VERSE: tuple[Form, ...] = (
    verse, counted_haiku, verse, limerick, verse, occasion, counted_haiku, verse, limerick, acrostic,
)  # fmt: skip


def pieces(count: int, seed: int, held_back: bool, forms: Sequence[Form] = FORMS) -> list[Piece]:
    """`count` different requests with their pieces from the forms in turn; held-back parts never occur in training."""
    dice = random.Random(seed)
    drawn: dict[str, str] = {}
    for turn in range(100 * count + 1000):
        if len(drawn) == count:
            return list(drawn.items())
        request, piece = forms[turn % len(forms)](dice, held_back)
        drawn.setdefault(request, piece)
    raise ValueError(f"the forms do not give {count} different requests")
