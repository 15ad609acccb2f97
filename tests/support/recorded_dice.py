"""Dice of the recipe's problems that tell what was drawn."""

from __future__ import annotations

from typing import Any

from recipes.embedded.problems import Dice


class Noted(Dice):
    """Dice that note what a template fills its phrasings with."""

    words: dict[str, Any]

    def ask(self, template: str, **words: str | int) -> str:
        self.words = words
        return super().ask(template, **words)
