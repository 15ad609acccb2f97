from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from zooter_core.router.kinds.cosine import best_loss, best_shares


def test_the_best_candidates_share_a_query():
    scores = np.array([[1.0, 0.0, 1.0], [2.0, 2.0, 2.0], [0.0, 3.0, 1.0]])
    assert best_shares(scores).tolist() == [[0.5, 0.0, 0.5], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]]


def test_loss_is_the_cross_entropy_with_the_best():
    """Softmax (1/4, 1/4, 1/2): half of ln 4 and half of ln 2; then ln 4. The query that all share does not count."""
    logits = torch.tensor([[1.0, 1.0, 2.0]] * 3).log()
    targets = torch.tensor([[0.5, 0.0, 0.5], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    expected = ((math.log(4) + math.log(2)) / 2 + math.log(4)) / 2
    assert best_loss(logits, targets).item() == pytest.approx(expected)


def test_without_a_best_candidate_there_is_no_loss():
    assert best_loss(torch.rand(2, 3), torch.zeros(2, 3)).item() == 0
