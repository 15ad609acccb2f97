"""The learner on streams whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from zooter_core.learn.learner import Learner, choose
from zooter_core.method.partial_rewards import capped


def stream(count: int, width: int = 16, candidates: int = 3, seed: int = 0):
    """Vectors, and rewards that are a linear function of them with noise."""
    rng = np.random.default_rng(seed)
    x, weight = rng.normal(size=(count, width)), np.random.default_rng(9).normal(size=(width, candidates))
    return x, x @ weight + rng.normal(size=(count, candidates))


def right(learner: Learner, x, rewards) -> float:
    """The share of queries whose best candidate is chosen."""
    return float((choose(learner.router(), x) == rewards.argmax(axis=1)).mean())


def weights(learner: Learner):
    """How many queries each candidate was learned from, the faded ones counted less."""
    sums = {one.half_life: one for one in learner.sums}
    return np.array([sums[half].weights[column] for column, (half, _) in enumerate(learner.chosen)])


def test_single_rewards_teach_it():
    x, rewards = stream(3000)
    learner = Learner(x[:20], rewards[:20])
    before = right(learner, x[2000:], rewards[2000:])
    partial = np.full((1980, 3), np.nan)
    rows = np.arange(1980)
    served = np.random.default_rng(2).integers(3, size=1980)
    partial[rows, served] = rewards[20 + rows, served]
    learner.observe(x[20:2000], partial)
    assert right(learner, x[2000:], rewards[2000:]) > before + 0.1


def test_what_changed_is_forgotten_and_the_others_are_not():
    x, rewards = stream(4000)
    rewards[2000:, 0] -= 10.0  # candidate 0 got worse
    learner = Learner(x[:100], rewards[:100])
    learner.observe(x[100:2000], rewards[100:2000])
    assert min(half_life for half_life, _ in learner.chosen) >= 1000  # nothing changed so far
    before = weights(learner)
    learner.observe(x[2000:3000], rewards[2000:3000])
    assert learner.chosen[0][0] <= 500
    assert min(half_life for half_life, _ in learner.chosen[1:]) >= 1000
    assert (weights(learner)[1:] > 0.6 * before[1:]).all()
    assert (choose(learner.router(), x[3000:]) == 0).mean() < 0.02


def test_a_candidate_that_breaks_is_left_within_a_chunk_however_much_was_known_of_it():
    x, rewards = stream(6000)
    rewards[:, 0] += 1.0
    rewards[5500:, 0] = -10.0  # candidate 0 broke
    served = np.random.default_rng(1).integers(3, size=6000)
    partial = np.where((np.arange(3) == served[:, None]) | (np.arange(6000) % 20 == 0)[:, None], rewards, np.nan)
    learner = Learner(x[:5000], rewards[:5000])
    learner.observe(x[5000:5500], partial[5000:5500])
    before = weights(learner)
    assert (choose(learner.router(), x) == 0).mean() > 0.3
    learner.observe(x[5500:5600], partial[5500:5600])
    assert (choose(learner.router(), x) == 0).mean() < 0.1
    assert (weights(learner)[1:] > 0.8 * before[1:]).all()


def test_a_candidate_that_was_always_worse_in_traffic_than_in_training_has_not_fallen():
    x, rewards = stream(1600)
    rewards[:1000, 0] += 2.0  # its training answers were longer, say
    served = np.random.default_rng(1).integers(3, size=1600)
    partial = np.where((np.arange(3) == served[:, None]) | (np.arange(1600) % 10 == 0)[:, None], rewards, np.nan)
    learner = Learner(x[:1000], rewards[:1000])
    learner.observe(x[1000:], partial[1000:])
    assert weights(learner)[0] > 400


def test_one_query_that_is_hard_for_all_is_no_shift():
    x, rewards = stream(201)
    rewards[200] -= 20
    learner = Learner(x[:100], rewards[:100])
    learner.observe(x[100:], rewards[100:])
    assert learner.shift == 0.0


@pytest.mark.parametrize("drift", [20.0, -20.0])
def test_what_all_rewards_have_in_common_from_some_moment_on_is_not_learned(drift):
    """Served rewards and a sample: what serves most since would look better, or worse, than the others."""
    x, rewards = stream(4000)
    rewards[2060:] += drift  # another version of the reward model, within a chunk
    rng = np.random.default_rng(1)
    served = np.where(np.arange(4000) < 2000, rng.integers(3, size=4000), 0)
    partial = np.where((np.arange(3) == served[:, None]) | (rng.random((4000, 1)) < 0.1), rewards, np.nan)
    learner = Learner(x[:100], rewards[:100])
    learner.observe(x[100:2000], partial[100:2000])
    before = right(learner, x, rewards)
    for first in range(2000, 2400, 100):
        learner.observe(x[first : first + 100], partial[first : first + 100])
        assert right(learner, x, rewards) > before - 0.02
    assert learner.shift == pytest.approx(drift, abs=1)


def heeded(learner: Learner, x, judged, feedback, owners) -> Learner:
    """The learner after queries whose rewards are judged, and what people said of them."""
    learner.observe(x, judged)
    learner.heed(x, np.where(np.isnan(feedback), judged, feedback), judged, owners)
    return learner


@pytest.mark.parametrize("gap", [0, 1000])  # queries without any reward before the feedback
def test_the_feedback_of_one_owner_has_a_tenth_of_a_candidates_weight_at_most(gap):
    x, rewards = stream(1000 + gap + 300)
    judged, feedback = np.full((2, *rewards.shape), np.nan)
    judged[:1000:10] = rewards[:1000:10]
    feedback[-300:, 0] = 50.0
    owners = [None] * (1000 + gap) + ["mallory"] * 300
    before = Learner(x[:50], rewards[:50])
    before.observe(x, judged)
    learner = heeded(Learner(x[:50], rewards[:50]), x, judged, feedback, owners)
    for sums, without in zip(learner.sums, before.sums, strict=True):
        most = 0.1 * (sums.weights[0] + 1) * 1.001  # the prior of a regression weighs 1
        assert 0 < sums.weights[0] - without.weights[0] <= most
        assert abs(sums.products[0, 0] - without.products[0, 0]) <= 50 * most
        assert np.array_equal(sums.weights[1:], without.weights[1:])


def test_feedback_in_place_of_a_reward_adds_no_weight():
    x, rewards = stream(200)
    feedback = np.full(rewards.shape, np.nan)
    feedback[:2, 1] = 5.0
    owners = ["ann"] * 200
    learner = heeded(Learner(x[:50], rewards[:50]), x, rewards, feedback, owners)
    corrected = np.where(np.isnan(feedback), rewards, feedback)  # two of two hundred count in full
    plain = Learner(x[:50], rewards[:50])
    plain.observe(x, corrected)
    assert weights(learner) == pytest.approx(weights(plain))
    assert learner.sums[0].products == pytest.approx(plain.sums[0].products)


def test_thumbs_say_of_no_candidate_that_it_fell_and_what_was_said_before_it_fell_is_forgotten():
    x, rewards = stream(700)
    rewards[500:, 0] -= 20.0
    feedback = np.full(rewards.shape, np.nan)
    feedback[:400, 0], feedback[400:, 1] = 30.0, -30.0
    learner = heeded(Learner(x[:100], rewards[:100]), x, rewards, feedback, ["ann"] * 700)
    judged = Learner(x[:100], rewards[:100])
    judged.observe(x, rewards)
    assert weights(learner) == pytest.approx(weights(judged))
    assert learner.sums[0].products[0] == pytest.approx(judged.sums[0].products[0])
    assert learner.sums[0].products[1, 0] < judged.sums[0].products[1, 0]


@pytest.mark.parametrize(("owners", "factors"), [([0] * 8, 0.5), ([0] * 4 + [1] * 4, 1.0), ([0, 1] * 4, 1.0)])
def test_owners_of_opinions_are_capped_each(owners, factors):
    """The rest weighs 12 and the opinions 1 each: a quarter of 12 + 8 f is 8 f for f = .5, and 4 is below 5."""
    ones = np.ones((1, 8))
    assert capped(ones, ones, np.array([12.0]), np.array(owners), 0.25) == pytest.approx(np.full(8, factors), abs=1e-5)


def test_the_order_of_arrival_in_chunks_changes_nothing():
    x, rewards = stream(600)
    one, other = (Learner(x[:100], rewards[:100]) for _ in range(2))
    one.observe(x[100:], rewards[100:])
    for first in range(100, 600, 100):
        other.observe(x[first : first + 100], rewards[first : first + 100])
    assert one.router().weight.tobytes() == other.router().weight.tobytes()
    assert one.queries == 500


def test_a_newcomer_catches_up_on_stored_queries():
    x, rewards = stream(2000)
    rewards[:, 2] += 3.0
    before = rewards.copy()
    before[:, 2] = np.nan
    learner = Learner(x[:500], before[:500])
    learner.observe(x[500:1000], before[500:1000])
    burst = np.full((200, 3), np.nan)
    burst[:, 2] = rewards[800:1000, 2]
    learner.catch_up(x[800:1000], burst)
    assert weights(learner)[2] == pytest.approx(200)
    assert right(learner, x[1000:], rewards[1000:]) > 0.8


def test_queries_without_any_reward_pass_by_and_who_is_not_available_is_not_chosen():
    x, rewards = stream(300)
    rewards[:, 1] += 50
    learner = Learner(x[:100], rewards[:100])
    learner.observe(x[100:], np.full((200, 3), np.nan))
    assert learner.queries == 200
    assert set(choose(learner.router(), x)) == {1}
    assert 1 not in choose(learner.router(), x, [True, False, True])
