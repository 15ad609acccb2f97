"""Routing by the skills that a query asks for, before any training.

The router combines a query's skills with each candidate's level in these skills. This is the paper's label enhancement
(section 3.3) with beta = 0, but with other priors: in the paper, a tag's prior is the mean label of the training
queries with the tag; here it is the softmax of the candidates' levels in a skill. With P(s | q) from a classifier of
queries, a candidate's probability is

    p(i | q) = sum over s of P(s | q) softmax_i(a_i(s) / TAU)

A level a_i(s) is in [0, 1]: the owner's own number, a published figure, or a guess from size and name.
"""

from __future__ import annotations

from collections.abc import Mapping

from zooter_core.base.skills import GROUPS, SKILLS
from zooter_core.method.labels import softmax
from zooter_core.method.metrics import Array

TAU = 0.1  # ten points ahead in a skill: 2.7 times as probable


def by_skill(values: Mapping[str, float]) -> dict[str, float]:
    """Levels by skill, from a table of skills and groups of skills. A skill's own level overrides that of its group."""
    levels = {skill: value for name, value in values.items() for skill in GROUPS.get(name, ())}
    return levels | {name: value for name, value in values.items() if name in SKILLS}


def priors(levels: Array) -> Array:
    """The prior of each skill: levels of shape (candidates, skills) -> (skills, candidates); rows sum to one."""
    return softmax(levels.T, TAU)


def with_experts(probabilities: Array, members: list[int], experts: Array) -> Array:
    """Probabilities from profiles and a trained router, which splits the total of its own candidates among them.

    p'(i | q) = p(K | q) r(i | q) for i in K, the candidates of the router r, and p(i | q) for the others.

    Args:
        probabilities: by profiles, shape (n, candidates).
        members: the columns of K.
        experts: r, shape (n, len(members)).
    """
    mixed = probabilities.copy()
    mixed[:, members] = probabilities[:, members].sum(axis=1, keepdims=True) * experts
    return mixed
