from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from zooter_core.router.distill import fit_head
from zooter_core.router.kinds import settings_of
from zooter_core.router.kinds.mf import wins_loss


@pytest.mark.parametrize(
    ("logits", "scores", "loss"),
    [
        ([[math.log(3), 0.0]], [[1.0, 0.0]], math.log(4 / 3)),  # the winner's chance is 3/4
        ([[math.log(3), 0.0]], [[0.0, 0.2]], math.log(4)),
        ([[7.0, 0.0]], [[1.0, 1.0]], 0.0),  # a tie is no win
        ([[0.0, 0.0, 0.0]], [[2.0, 1.0, 0.0]], math.log(2)),
        ([[math.log(3), 0.0], [0.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]], (math.log(4 / 3) + math.log(2)) / 2),
    ],
)
def test_loss_of_the_pairs_won(logits, scores, loss):
    assert wins_loss(torch.tensor(logits), torch.tensor(scores)).item() == pytest.approx(loss, abs=1e-6)


def test_it_learns_how_often_a_candidate_wins():
    """The same query three times won by `a`, once by `b`: the chance that a beats b is 3/4."""
    scores = np.array([[1.0, 0.0]] * 3 + [[0.0, 1.0]])
    config = settings_of("mf", {"epochs": 300, "rate": 1e-2, "decay": 0, "dropout": 0})
    head = fit_head(np.ones((4, 3), dtype=np.float32), scores, ["a", "b"], "none", config, scores=scores)
    assert head.probabilities(np.ones((1, 3), dtype=np.float32))[0, 0] == pytest.approx(0.75, abs=0.01)
