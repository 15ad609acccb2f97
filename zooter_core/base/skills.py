"""The sixteen skills that a query may ask for, and the groups that they form."""

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
    "translation",  # from English or into it
    "story",
    "verse",
    "letters",
    "advice",
    "other-languages",  # an ordinary query in another language than English
)
GROUPS: Mapping[str, tuple[str, ...]] = {  # every skill is in one group
    "math": ("arithmetic", "word-problems", "algebra"),
    "code": ("programming", "sql-and-shell", "debugging"),
    "knowledge": ("facts", "reasoning"),
    "editing": ("summary", "rewriting"),
    "languages": ("translation", "other-languages"),
    "writing": ("story", "verse", "letters"),
    "advice": ("advice",),
}
