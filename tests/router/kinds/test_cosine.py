from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from zooter_core.router.kinds.cosine import CosineHead, best_loss, best_shares


def test_logits_are_scaled_cosines():
    """(3, 4) has cosines 0.6 and 0.8 with the axes, whatever the lengths; times 10."""
    head = CosineHead(2, 2, hidden=2, dropout=0.0)
    head.state = {"project.weight": np.eye(2), "project.bias": np.zeros(2), "log_scale": np.array(math.log(10))}
    head.state["candidates"] = np.array([[2.0, 0.0], [0.0, 5.0]])
    assert head.logits(np.array([[3.0, 4.0]])).tolist()[0] == pytest.approx([6.0, 8.0])


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
