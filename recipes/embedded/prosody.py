"""The form of the writer's verse: syllables of its haiku, rhymes of its limericks and poems, for held-back requests.

    python -m recipes.embedded.prosody --dictionary cmudict.dict [--fleet DIR]

The dictionary is the CMU Pronouncing Dictionary as one text file. Requests have phrasings and subjects that no turn of
training used; answers are greedy, with the fleet's settings.
"""

from __future__ import annotations

import argparse
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from recipes.embedded import data
from recipes.embedded.form import words_of
from recipes.embedded.generate import Family
from recipes.embedded.writing import forms, pieces
from zooter_core.base.records import Message
from zooter_core.config.fleet import load_fleet
from zooter_core.fleet.ensemble import Ensemble

SEED = 3
COUNT = 20  # requests of each form
Sounds = Mapping[str, Sequence[tuple[str, ...]]]  # word -> its pronunciations in phones; vowels end with their stress


def sounds_of(lines: Iterable[str]) -> Sounds:
    """The dictionary's lines, such as "read R EH1 D" and "read(2) R IY1 D"."""
    sounds: dict[str, list[tuple[str, ...]]] = {}
    for line in lines:
        word, *phones = line.partition("#")[0].split()
        sounds.setdefault(re.sub(r"\(\d\)$", "", word), []).append(tuple(phones))
    return sounds


def syllables(line: str, sounds: Sounds) -> set[int]:
    """How many syllables a line may have: words have several pronunciations. Others count groups of vowels."""
    totals = {0}
    for word in words_of(line):
        counts = {sum(phone[-1].isdigit() for phone in phones) for phones in sounds.get(word, ())}
        totals = {a + b for a in totals for b in counts or {len(re.findall(r"[aeiouy]+", word))}}
    return totals


def rhymes(one: str, other: str, sounds: Sounds) -> bool:
    """Whether the last words of two lines differ and sound alike from their last stressed vowel on."""
    words = [line[-1] for text in (one, other) if (line := words_of(text))]
    if len(words) < 2 or words[0] == words[1]:
        return False
    return bool(_ends(words[0], sounds) & _ends(words[1], sounds))


def _ends(word: str, sounds: Sounds) -> set[tuple[str, ...]]:
    ends = set()
    for phones in sounds.get(word, ()):
        stressed = [n for n, phone in enumerate(phones) if phone[-1] in "12"] or [0]
        ends.add(tuple(phone.rstrip("012") for phone in phones[stressed[-1] :]))
    return ends


def lines_of(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


def is_haiku(text: str, sounds: Sounds) -> bool:
    lines = lines_of(text)
    return len(lines) == 3 and all(n in syllables(line, sounds) for n, line in zip((5, 7, 5), lines, strict=True))


def is_limerick(text: str, sounds: Sounds) -> bool:
    lines = lines_of(text)
    return len(lines) == 5 and all(rhymes(lines[a], lines[b], sounds) for a, b in ((0, 1), (1, 4), (2, 3)))


def is_rhymed(text: str, sounds: Sounds) -> bool:
    """Whether at least three lines in four rhyme with one of the two before or after them."""
    lines = lines_of(text)
    near = [lines[max(0, n - 2) : n] + lines[n + 1 : n + 3] for n in range(len(lines))]
    return len(lines) > 1 and sum(
        any(rhymes(line, other, sounds) for other in others) for line, others in zip(lines, near, strict=True)
    ) >= 0.75 * len(lines)


FORMS: dict[str, tuple[tuple[Family, ...], Callable[[str, Sounds], bool]]] = {
    "haiku of 5, 7 and 5 syllables": (forms("counted_haiku"), is_haiku),
    "limericks that rhyme": (forms("limerick"), is_limerick),
    "other verse that rhymes": (forms("verse occasion"), is_rhymed),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dictionary", type=Path, required=True, help="cmudict.dict")
    parser.add_argument("--fleet", type=Path, default=data.FLEET)
    call = parser.parse_args()
    sounds = sounds_of(call.dictionary.read_text(encoding="utf-8").splitlines())
    ensemble = Ensemble(load_fleet(call.fleet))
    greedy = replace(ensemble.fleet.generation, temperature=0.0)
    for name, (families, right) in FORMS.items():
        passed = 0
        for query, _ in pieces(COUNT, SEED, True, families):
            answers = ensemble.run_candidates(["writer"], [Message("user", query)], threading.Event(), greedy, ())
            passed += right("".join(piece.text for piece in answers), sounds)
        print(f"{name}: {passed} of {COUNT}")


if __name__ == "__main__":
    main()
