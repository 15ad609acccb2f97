"""The two contrastive losses, worked by hand: similarities are logarithms, so that their powers are whole numbers."""

from __future__ import annotations

import math

import pytest
import torch

from zooter_core.router.kinds.routerdc import sample_llm_loss, sample_sample_loss

LOGITS = torch.tensor([[1.0, 2.0, 5.0]]).log()


@pytest.mark.parametrize(
    ("scores", "positives", "negatives", "loss"),
    [
        ([1.0, 0.0, 0.0], 1, 2, math.log(8 / 1)),
        ([1.0, 0.0, 0.0], 3, 3, math.log(8 / 1)),  # those below the mean are no positives, those above no negatives
        ([1.0, 1.0, 0.0], 2, 2, math.log(6 / 1) + math.log(7 / 2)),
        ([1.0, 1.0, 0.0], 1, 2, math.log(6 / 1)),
        ([0.9, 0.5, 0.1], 3, 1, math.log(6 / 1)),  # 0.5 is the mean: neither
        ([50.0, 20.0, 10.0], 3, 3, math.log(8 / 1)),  # another scale: 20 is below the mean of 26.7
        ([1.0, 1.0, 1.0], 3, 3, 0.0),
        ([0.0, 0.0, 0.0], 3, 3, 0.0),
    ],
)
def test_sample_llm_loss(scores, positives, negatives, loss):
    value = sample_llm_loss(LOGITS, torch.tensor([scores]), positives, negatives)
    assert value.item() == pytest.approx(loss, abs=1e-6)


def test_sample_llm_loss_is_the_mean_over_the_batch():
    scores = torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    assert sample_llm_loss(LOGITS.repeat(2, 1), scores, 1, 2).item() == pytest.approx(math.log(8) / 2)


def test_sample_llm_loss_has_a_gradient_everywhere():
    logits = torch.zeros(2, 3, requires_grad=True)
    sample_llm_loss(logits, torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]]), 3, 3).backward()
    assert logits.grad.tolist()[0] == pytest.approx([(1 / 3 - 1) / 2, 1 / 6, 1 / 6])
    assert logits.grad.tolist()[1] == [0, 0, 0]


ALIKE = torch.tensor([[9.0, 2.0, 3.0], [2.0, 9.0, 4.0], [3.0, 4.0, 9.0]]).log()


@pytest.mark.parametrize("strangers", [1, 2, 3, 9])
def test_sample_sample_loss(strangers):
    """Queries 1 and 2 are mates, 3 is the stranger: ln((2 + 3) / 2) and ln((2 + 4) / 2). 3 has no mate."""
    value = sample_sample_loss(ALIKE, torch.tensor([0, 0, 1]), strangers)
    assert value.item() == pytest.approx((math.log(5 / 2) + math.log(6 / 2)) / 2)


def test_sample_sample_loss_draws_as_many_strangers_as_asked():
    """Both mates have the similarity ln 2 and every stranger ln 3: ln((2 + 3 n) / 2) for n strangers."""
    clusters = torch.tensor([0, 0, 1, 2, 3])
    alike = torch.full((5, 5), 3.0).log()
    alike[0, 1] = alike[1, 0] = math.log(2)
    for strangers in (1, 2, 3):
        expected = math.log((2 + 3 * strangers) / 2)
        assert sample_sample_loss(alike, clusters, strangers).item() == pytest.approx(expected)


@pytest.mark.parametrize("clusters", [[0, 0, 0], [0, 1, 2]])
def test_without_mates_or_strangers_there_is_no_loss(clusters):
    assert sample_sample_loss(ALIKE, torch.tensor(clusters), 3).item() == 0
