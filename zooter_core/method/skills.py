"""The sixteen skills that a query may ask for, and the coarse groups that they form."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from zooter_core.method.metrics import Array

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


def group_probabilities(probabilities: Array) -> Array:
    """The probability of each group, shape (n, groups) in the order of GROUPS, from those of skills, (n, skills)."""
    columns = [[SKILLS.index(skill) for skill in skills] for skills in GROUPS.values()]
    return np.stack([probabilities[:, numbers].sum(axis=1) for numbers in columns], axis=1)
