"""The sixteen skills that a query may require, and the groups that they form."""

from __future__ import annotations

from collections.abc import Mapping

SKILLS = (
    "arithmetic",
    "word-problems",
    "algebra",
    "programming",
    "sql-and-shell",
    "debugging",
    "facts",
    "reasoning",
    "summary",
    "rewriting",
    "translation",  # from or into English
    "story",
    "verse",
    "letters",
    "advice",
    "other-languages",  # a query in a language other than English, except for translations
)
GROUPS: Mapping[str, tuple[str, ...]] = {  # every skill is in exactly one group
    "math": ("arithmetic", "word-problems", "algebra"),
    "code": ("programming", "sql-and-shell", "debugging"),
    "knowledge": ("facts", "reasoning"),
    "editing": ("summary", "rewriting"),
    "languages": ("translation", "other-languages"),
    "writing": ("story", "verse", "letters"),
    "advice": ("advice",),
}
