"""Which answers are looked at, and when another router takes over."""

from __future__ import annotations

import numpy as np
import pytest

from zooter_core.learn.deciding import OWN_PAIRS, Contest, SamplingPlan, differences, draw_answers
from zooter_core.method.promotion import Gate


def test_the_served_answer_is_always_looked_at_and_a_sample_is_answered_by_all():
    served = np.array([0, 1])
    lots = np.array([[0.01, 0.9], [0.5, 0.9]])
    sample, candidates = draw_answers(served, (served,), lots, SamplingPlan(share=0.02, pairs=0.3), 3)
    assert candidates.tolist() == [[True, True, True], [False, True, False]]
    assert sample.tolist() == [True, False]


def test_a_pair_is_drawn_where_the_routers_differ():
    served = np.array([0, 0, 0])
    lots = np.array([[0.5, 0.1], [0.5, 0.1], [0.5, 0.9]])
    _, candidates = draw_answers(served, (served, np.array([0, 2, 2])), lots, SamplingPlan(share=0.1, pairs=0.3), 3)
    assert candidates[:, 2].tolist() == [False, True, False]
    _, elsewhere = draw_answers(np.array([2]), (np.array([0]), np.array([1])), lots[:1], SamplingPlan(), 3)
    assert elsewhere.tolist() == [[True, True, True]]  # where another candidate answered


def test_the_probability_of_a_pair_is_its_frequency():
    count = 20_000
    served, other = np.zeros(count, dtype=int), np.ones(count, dtype=int)
    lots = np.random.default_rng(0).random((count, 2))
    plan = SamplingPlan(0.05, 0.3)
    _, candidates = draw_answers(served, (served, other), lots, plan, 3)
    assert candidates.mean(axis=0) == pytest.approx([1, plan.either, plan.share], abs=0.01)


def test_pairs_are_where_both_rewards_are():
    rewards = np.array([[1.0, 3.0], [1.0, np.nan], [5.0, 4.0], [0.0, 9.0]])
    assert differences(rewards, np.array([0, 0, 0, 1]), np.array([1, 1, 1, 1])).tolist() == [2.0, -1.0]


def contest() -> Contest[int]:
    """Routers that always choose the candidate of their number."""
    return Contest(0, challenger=1)


def observe(contest: Contest[int], rewards) -> None:
    contest.observe(rewards, [np.full(len(rewards), router) for router in contest.rivals])


def rewards(count: int, *means: float):
    return np.random.default_rng(0).normal(size=(count, len(means))) + np.array(means)


@pytest.mark.parametrize(
    ("means", "follow", "event", "champion", "former"),
    [
        ((1.0, 0.0), False, "rollback", 0, None),
        ((0.0, 1.0), False, "", 1, None),  # a guard that has seen enough leaves
        ((0.0, 1.0), True, "", 1, 1),  # and the guard of a followed learner is renewed
    ],
)
def test_a_former_champion_guards(means, follow, event, champion, former):
    it = contest()
    it.promote(follow=follow)
    for _ in range(4):  # batches of one turn
        observe(it, rewards(100, *means))
    assert it.decide(1.0, Gate()) == event
    assert (it.champion, it.former, it.guard) == (champion, former, [])


def test_a_refit_of_a_promoted_learner_takes_over_when_it_has_earned_more_itself():
    it = contest()
    observe(it, rewards(200, 0.0, 1.0))
    assert it.decide(1.0, Gate()) == "promote"
    assert not it.enter(2)
    assert (it.champion, it.challenger, it.former) == (1, 2, 0)
    observe(it, rewards(40, 0.0, 0.0, 0.6))
    assert it.enter(3)
    assert (it.champion, it.challenger, it.former, it.pairs) == (2, 3, 0, [])


@pytest.mark.parametrize("gains", [[], [1.0] * (OWN_PAIRS - 1), [-1.0] * 40, [0.0] * 40])
def test_a_refit_that_has_not_is_replaced(gains):
    """The pairs of the challengers before it say nothing for it: it may have learned what they had not."""
    it = contest()
    it.promote(follow=True)
    it.pairs = [1.0] * 10
    it.enter(2)
    it.pairs += gains
    assert not it.enter(3)
    assert (it.champion, it.challenger) == (1, 3)


@pytest.mark.parametrize("gains", [[], [1.0] * (OWN_PAIRS - 1), [-1.0] * OWN_PAIRS])
def test_a_challenger_is_not_promoted_by_the_pairs_of_those_before_it(gains):
    it = contest()
    observe(it, rewards(200, 0.0, 1.0))
    it.enter(2)
    it.pairs += gains
    assert it.evidence(1.0, Gate()).passes
    assert it.decide(1.0, Gate()) == ""
    it.pairs += [1.0] * 2 * OWN_PAIRS
    assert it.decide(1.0, Gate()) == "promote"


def test_the_learner_is_followed_until_the_guard_wins():
    it = contest()
    it.promote(follow=True)
    it.enter(2)
    observe(it, rewards(100, 1.0, 0.0, 0.0))
    assert it.decide(1.0, Gate()) == "rollback"
    it.enter(3)
    observe(it, rewards(10, 0.0, 0.0, 0.0, 1.0))
    assert not it.enter(4)
    assert (it.champion, it.challenger, it.follows) == (0, 4, False)
