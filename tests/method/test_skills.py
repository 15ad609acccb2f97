"""Skills, their groups, and routing by them, against numbers worked by hand."""

from __future__ import annotations

import math

import numpy as np

from zooter_core.base.skills import GROUPS, SKILLS
from zooter_core.method.skills import by_skill, priors, with_experts


def test_every_skill_is_in_one_group():
    assert len(SKILLS) == 16
    assert sorted(skill for skills in GROUPS.values() for skill in skills) == sorted(SKILLS)


def test_priors_are_a_softmax_of_levels():
    levels = np.array([[0.8, 0.5], [0.7, 0.5]])  # two candidates, two skills
    e = math.e
    np.testing.assert_allclose(priors(levels), [[e / (e + 1), 1 / (e + 1)], [0.5, 0.5]])


def test_a_trained_router_decides_among_those_that_it_knows():
    probabilities = np.array([[0.2, 0.5, 0.3]])
    mixed = with_experts(probabilities, [2, 0], np.array([[0.9, 0.1]]))
    np.testing.assert_allclose(mixed, [[0.05, 0.5, 0.45]])
    np.testing.assert_allclose(probabilities, [[0.2, 0.5, 0.3]])


def test_a_skills_own_number_goes_before_its_groups():
    assert by_skill({"math": 0.8, "algebra": 0.3}) == {"arithmetic": 0.8, "word-problems": 0.8, "algebra": 0.3}
