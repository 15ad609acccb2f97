"""The equations of ZOOTER (arXiv 2311.08692) against numbers worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from zooter_core.base.records import Decision
from zooter_core.method.labels import LabelConfig, enhance, entropy, kl, label, softmax, tag_priors
from zooter_core.method.metrics import mean_task_rank, uplift
from zooter_core.method.verified import verified_rewards
from zooter_core.router.distill import learn
from zooter_core.router.kinds import DistillConfig

LABELS = np.array([[0.8, 0.2], [0.4, 0.6], [0.2, 0.8], [0.9, 0.1]])
TAGS = [["math"], ["math", "code"], ["code", "code"], []]


def test_label_is_the_softmax_of_the_rewards_by_tau():
    """r = (0, ln 4, ln 9), tau = 1: exp(r) = (1, 4, 9), sum 14. tau = 2, by which r is divided before: exp(r / 2) =
    (1, 2, 3), sum 6. tau = 1/2: exp(2 r) = (1, 16, 81), sum 98."""
    rewards = np.array([0.0, math.log(4), math.log(9)])
    assert softmax(rewards) == pytest.approx([1 / 14, 4 / 14, 9 / 14])
    assert softmax(rewards, tau=2) == pytest.approx([1 / 6, 2 / 6, 3 / 6])
    assert softmax(rewards, tau=0.5) == pytest.approx([1 / 98, 16 / 98, 81 / 98])


def test_tag_prior_is_the_mean_label_of_the_queries_with_the_tag():
    """s_math = ((0.8, 0.2) + (0.4, 0.6)) / 2 = (0.6, 0.4): the second query counts for both of its tags.

    s_code = ((0.4, 0.6) + (0.2, 0.8)) / 2 = (0.3, 0.7): the third query names `code` twice and counts once
    (counted twice it would be (0.8 / 3, 2.2 / 3)). The query without tags counts nowhere.
    """
    code, math_ = tag_priors(LABELS, TAGS)
    assert math_ == pytest.approx([0.6, 0.4])
    assert code == pytest.approx([0.3, 0.7])


@pytest.mark.parametrize(
    ("beta", "expected"),
    [
        (0.0, [[0.6, 0.4], [0.45, 0.55], [0.3, 0.7]]),
        (0.3, [[0.66, 0.34], [0.435, 0.565], [0.27, 0.73]]),
        (1.0, LABELS[:3]),
    ],
)
def test_enhancement_mixes_label_and_mean_prior(beta, expected):
    """Query 1 has s_math; query 2 the mean of s_math and s_code, ((0.6, 0.4) + (0.3, 0.7)) / 2 = (0.45, 0.55);
    query 3, which names `code` twice, s_code.

    beta = 0.3: 0.3 (0.8, 0.2) + 0.7 (0.6, 0.4) = (0.24 + 0.42, 0.06 + 0.28) = (0.66, 0.34);
    0.3 (0.4, 0.6) + 0.7 (0.45, 0.55) = (0.12 + 0.315, 0.18 + 0.385) = (0.435, 0.565);
    0.3 (0.2, 0.8) + 0.7 (0.3, 0.7) = (0.06 + 0.21, 0.24 + 0.49) = (0.27, 0.73).
    beta = 0 is the prior, beta = 1 the plain label.
    """
    enhanced = enhance(LABELS, TAGS, tag_priors(LABELS, TAGS), beta)
    assert enhanced[:3] == pytest.approx(np.array(expected))


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
def test_query_without_tags_keeps_its_label(beta):
    enhanced = enhance(LABELS, TAGS, tag_priors(LABELS, TAGS), beta)
    assert enhanced[3].tolist() == LABELS[3].tolist()


def test_enhancement_mixes_distributions_and_not_rewards():
    """Rewards (0, ln 9) and (0, -ln 9) of two queries with the tag t: labels (0.1, 0.9) and (0.9, 0.1).

    s_t = (0.5, 0.5). beta = 0.5, first query: ((0.1, 0.9) + (0.5, 0.5)) / 2 = (0.3, 0.7).
    Mixed before the softmax, the reward would be (0, ln 9 / 2) and the label (1, 3) / 4 = (0.25, 0.75).
    """
    labels = softmax(np.array([[0.0, math.log(9)], [0.0, -math.log(9)]]))
    enhanced = enhance(labels, [["t"], ["t"]], tag_priors(labels, [["t"], ["t"]]), 0.5)
    assert enhanced[0] == pytest.approx([0.3, 0.7])


def test_label_takes_all_steps_in_order():
    """Rewards (0, ln 3), (ln 3, 0), (0, 0), tags t, t and none: s = (1/4, 3/4), (3/4, 1/4), (1/2, 1/2).

    s_t = (1/2, 1/2). beta = 1/2: s* = (3/8, 5/8), (5/8, 3/8), and the query without tags keeps (1/2, 1/2).
    With the first query alone for training, s_t is its label: it stays, and so do the held-back ones.
    """
    rewards = np.array([[0.0, math.log(3)], [math.log(3), 0.0], [0.0, 0.0]])
    plain = [[0.25, 0.75], [0.75, 0.25], [0.5, 0.5]]
    tags, config = [("t",), ("t",), ()], LabelConfig(beta=0.5)
    steps = label(rewards, ["x"] * 3, tags, config)
    assert steps.rewards.tolist() == rewards.tolist()
    assert steps.plain == pytest.approx(np.array(plain))
    assert steps.prior == pytest.approx(np.array([[0.5, 0.5]] * 3))
    assert steps.enhanced == pytest.approx(np.array([[0.375, 0.625], [0.625, 0.375], [0.5, 0.5]]))
    held_back = label(rewards, ["x"] * 3, tags, config, train=np.array([0]))
    assert held_back.enhanced == pytest.approx(np.array(plain))


def test_kl_from_router_to_label():
    """KL((1/2, 1/2) || (1/4, 3/4)) = 1/2 ln 2 + 1/2 ln (2/3) = 1/2 ln (4/3) = 0.14384.

    The other way round it is 1/4 ln (1/2) + 3/4 ln (3/2) = 0.13081: the order counts.
    """
    label, router = np.array([0.5, 0.5]), np.array([0.25, 0.75])
    assert kl(label, router) == pytest.approx(0.5 * math.log(4 / 3))
    assert kl(router, label) == pytest.approx(0.25 * math.log(0.5) + 0.75 * math.log(1.5))
    assert kl(label, label) == 0


def test_kl_counts_nothing_where_the_label_is_zero():
    """KL((0, 1) || (1/4, 3/4)) = 0 + ln (4/3); where the router gives none to what the label wants, it is infinite."""
    assert kl(np.array([0.0, 1.0]), np.array([0.25, 0.75])) == pytest.approx(math.log(4 / 3))
    assert kl(np.array([0.5, 0.5]), np.array([0.0, 1.0])) == math.inf


@pytest.fixture
def lesson():
    """Four queries in one batch, so that an epoch is one step of the optimiser."""
    vectors = np.eye(4, dtype=np.float32)

    def train(epochs):
        losses = []
        config = DistillConfig(epochs=epochs, batch=4, dropout=0.0, hidden=8, extra={"members": 1})
        head = learn(vectors, LABELS, ["a", "b"], "none", config, lambda epoch, loss: losses.append(loss))
        return kl(LABELS, head.probabilities(vectors)).mean(), losses

    return train


def test_distillation_goes_down_to_the_labels(lesson):
    """From the KL of an untrained router, 0.213 nats, every step leads down; six hundred steps end at the labels."""
    after, losses = lesson(epochs=600)
    assert losses[0] == pytest.approx(0.213, abs=0.001)
    assert (np.diff(losses) < 0).all()
    assert after < 0.001


def test_distillation_loss_is_the_mean_kl_from_router_to_label(lesson):
    """The loss of the second epoch is the KL of the router that one epoch made."""
    after_one, _ = lesson(epochs=1)
    _, losses = lesson(epochs=2)
    assert losses[1] == pytest.approx(after_one, rel=1e-5)


@pytest.mark.parametrize(
    ("label", "expected"),
    [([0.25] * 4, 1.0), ([0, 1, 0, 0], 0.0), ([0.5, 0.25, 0.125, 0.125], 0.875), ([1.0], 0.0)],
)
def test_reward_entropy(label, expected):
    """Uniform 1, one-hot 0. (1/2, 1/4, 1/8, 1/8) has 1/2 + 2/4 + 3/8 + 3/8 = 1.75 bits of log2 4 = 2: 0.875."""
    assert entropy(np.array(label)) == pytest.approx(expected)


MEANS = {"a": [0.9, 0.2, 0.5], "b": [0.9, 0.7, 0.5], "c": [0.1, 0.7, 0.5]}


def test_mean_task_rank_shares_the_ranks_of_ties():
    """Subset 1: a and b share ranks 1 and 2, c is 3. Subset 2: b and c share 1 and 2, a is 3. Subset 3: all share 2.

    a = (1.5 + 3 + 2) / 3, b = (1.5 + 1.5 + 2) / 3, c = (3 + 1.5 + 2) / 3.
    """
    assert mean_task_rank(MEANS) == pytest.approx({"a": 6.5 / 3, "b": 5 / 3, "c": 6.5 / 3})


def test_uplift_counts_a_tie_for_the_first_place_for_each():
    """a is first in subsets 1 and 3, b in all, c in 2 and 3."""
    assert uplift(MEANS) == pytest.approx({"a": 2 / 3, "b": 1.0, "c": 2 / 3})


@pytest.mark.parametrize(
    ("probabilities", "candidate", "margin"),
    [
        ({"a": 0.2, "b": 0.5, "c": 0.3}, "b", 0.2),  # 0.5 is the highest, the next is 0.3
        ({"a": 0.2, "c": 0.4, "b": 0.4}, "c", 0.0),  # a tie goes to the earlier candidate
        ({"b": 0.4, "c": 0.4, "a": 0.2}, "b", 0.0),
        ({"a": 1.0}, "a", 1.0),
    ],
)
def test_decision_is_the_argmax_with_its_margin(probabilities, candidate, margin):
    decision = Decision.of("q", probabilities)
    assert (decision.candidate, decision.margin) == (candidate, pytest.approx(margin))


def test_a_verified_outcome_lies_one_standard_deviation_from_the_mean():
    """Beyond the paper. Rewards 0 and 4, twice: m = 2 and s = 2. Of the first query the first response is right.

    R = 2 + 2 (1 + .5 tanh(-1)) and 2 + 2 (-1 + .5 tanh(1)), with tanh(1) = .7615942. The second query stays.
    """
    rewards, outcomes = np.array([[0.0, 4.0], [0.0, 4.0]]), np.array([[1.0, 0.0], [np.nan, np.nan]])
    assert verified_rewards(rewards, outcomes) == pytest.approx(np.array([[3.2384058, 0.7615942], [0.0, 4.0]]))
