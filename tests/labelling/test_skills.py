"""The skill classifier: its equation by hand, its file, and how often it is right on queries that it has not seen."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from recipes.starter.skills import group_probabilities
from zooter_core.base.skills import GROUPS, SKILLS
from zooter_core.config.labelling import ENCODER
from zooter_core.labelling.skills import WEIGHTS, SkillHead
from zooter_core.router.encoder import Encoder

HELD_BACK = Path(__file__).parents[1] / "data" / "skill_queries.jsonl"


def small_head(temperature: float = 1.0) -> SkillHead:
    """Vectors of two numbers; all skills but the first two have the bias 0, and these have ln 2 or ln 5 for [1, 0]."""
    weights = np.zeros((2, 16))
    weights[0, :2] = np.log(2), np.log(5)
    return SkillHead(weights, np.zeros(16), temperature)


def test_the_softmax_and_its_temperature_by_hand():
    """exp of the logits: 2, 5 and fourteen times 1. With temperature 0.5 they double: 4, 25 and 1, in all 43."""
    (row,) = small_head(0.5).probabilities(np.array([[1.0, 0.0]]))
    assert row == pytest.approx([4 / 43, 25 / 43, *[1 / 43] * 14])
    (row,) = small_head().probabilities(np.array([[5000.0, 0.0]]))
    assert row == pytest.approx([0, 1, *[0] * 14])


def test_saved_and_loaded_it_is_the_same(tmp_path):
    head = SkillHead.load()
    head.save(tmp_path / "skills.safetensors")
    assert (tmp_path / "skills.safetensors").read_bytes() == WEIGHTS.read_bytes()


@pytest.mark.slow
def test_it_recognises_skills_and_groups_of_queries_that_it_has_not_seen():
    lines = [json.loads(line) for line in HELD_BACK.read_text(encoding="utf-8").splitlines()]
    assert len({line["query"] for line in lines}) == 160
    wanted = np.array([SKILLS.index(line["skill"]) for line in lines])
    assert (np.bincount(wanted) == 10).all()
    encoder = Encoder(ENCODER)
    probabilities = SkillHead.load().probabilities(encoder.sentence(encoder.embed([line["query"] for line in lines])))
    assert (probabilities.argmax(axis=1) == wanted).mean() > 0.78
    group_of = np.array([next(n for n, of in enumerate(GROUPS.values()) if line["skill"] in of) for line in lines])
    assert (group_probabilities(probabilities).argmax(axis=1) == group_of).mean() > 0.85
