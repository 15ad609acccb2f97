"""Random choices for the problems, on one side of the split."""

from __future__ import annotations

import random
from collections.abc import Callable

Problem = tuple[str, str]  # (query, worked answer)
Template = Callable[["Dice"], Problem]
NAMES = (
    "Ana", "Ben", "Chloe", "David", "Emma", "Farid", "Grace", "Hugo", "Ines", "Jonas", "Kira", "Liam", "Mona", "Noah",
    "Olga", "Peter", "Rosa", "Sam", "Tara", "Victor", "Maria", "Tom", "Lena", "Omar",
)  # fmt: skip
THINGS = (
    "apples", "books", "stickers", "marbles", "pencils", "cookies", "stamps", "shells", "cards", "balloons", "eggs",
    "tickets", "flowers", "candies", "oranges", "toys", "notebooks", "muffins", "coins", "beads",
)  # fmt: skip


class Dice(random.Random):
    """Random choices, on one side of the split."""

    def __init__(self, seed: int, held_back: bool) -> None:
        super().__init__(seed)
        self.held_back = held_back

    def between(self, least: int, most: int) -> int:
        return self.randint(least, most)

    def ask(self, *phrasings: str) -> str:
        """One of the phrasings; the last is for held-back problems alone."""
        return phrasings[-1] if self.held_back else self.choice(phrasings[:-1])

    def people(self) -> list[str]:
        return self.sample(NAMES, 2)

    def thing(self) -> str:
        return self.choice(THINGS)
