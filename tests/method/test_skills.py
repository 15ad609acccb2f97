from __future__ import annotations

import numpy as np
import pytest

from zooter_core.method.skills import GROUPS, SKILLS, group_probabilities


def test_every_skill_is_in_one_group():
    assert len(SKILLS) == 16
    assert sorted(skill for skills in GROUPS.values() for skill in skills) == sorted(SKILLS)


def test_a_group_has_the_sum_of_its_skills():
    probabilities = np.zeros((1, 16))
    probabilities[0, [SKILLS.index(skill) for skill in ("algebra", "arithmetic", "verse", "advice")]] = (
        0.25,
        0.5,
        0.125,
        0.125,
    )
    groups = dict(zip(GROUPS, group_probabilities(probabilities)[0], strict=True))
    assert groups["math"] == pytest.approx(0.75)
    assert (groups["writing"], groups["advice"], groups["code"]) == (0.125, 0.125, 0)
