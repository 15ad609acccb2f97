"""Random choices for the problems, on one side of the split."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Callable
from pathlib import Path

Problem = tuple[str, str]  # (query, worked answer)
Template = Callable[["Dice"], Problem]
PHRASINGS: dict[str, dict[str, list[str]]] = {
    name: table
    for path in sorted(Path(__file__).parent.glob("*.toml"))
    for name, table in tomllib.loads(path.read_text(encoding="utf-8")).items()
}
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

    def ask(self, template: str, **words: str | int) -> str:
        """One of a template's phrasings from this side of the split, with the words filled in."""
        return self.choice(PHRASINGS[template]["held_back" if self.held_back else "train"]).format(**words)

    def people(self) -> list[str]:
        return self.sample(NAMES, 2)

    def thing(self) -> str:
        return self.choice(THINGS)
