from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from zooter_core.base.errors import ZooterError
from zooter_core.method import labels
from zooter_core.method.labels import (
    LabelConfig,
    complete,
    enhance,
    held_back,
    label,
    normalise,
    softmax,
    tag_priors,
)

TAUS = st.floats(0.05, 20)
BETAS = st.floats(0, 1)
NUMBERS = st.floats(-50, 50, width=32)
NAN = np.nan


@st.composite
def rewards(draw):
    shape = draw(st.integers(1, 8)), draw(st.integers(1, 5))
    return draw(arrays(np.float64, shape, elements=NUMBERS))


@st.composite
def tagged(draw):
    """Rewards and the tags of each query."""
    table = draw(rewards())
    names = st.lists(st.sampled_from(["math", "code", "chat"]), max_size=4)
    return table, draw(st.lists(names, min_size=len(table), max_size=len(table)))


def enhanced_labels(table, tags, beta, tau=1.0):
    labels = softmax(table, tau)
    return enhance(labels, tags, tag_priors(labels, tags), beta)


@given(tagged(), BETAS, TAUS, st.data())
def test_labels_are_distributions_also_where_rewards_are_missing(case, beta, tau, data):
    table, tags = case
    gaps = data.draw(arrays(np.bool_, table.shape))
    gaps[:, :2] = False  # two scores a query
    labelled = label(np.where(gaps, NAN, table), ["x"] * len(table), tags, LabelConfig(beta, tau))
    for part in (labelled.plain, labelled.prior, labelled.enhanced):
        assert part.sum(axis=1) == pytest.approx(np.ones(len(table)))
        assert (part >= 0).all()


@given(tagged(), BETAS, TAUS, st.randoms())
def test_permuting_the_pool_permutes_the_labels(case, beta, tau, random):
    table, tags = case
    order = list(range(table.shape[1]))
    random.shuffle(order)
    assert enhanced_labels(table[:, order], tags, beta, tau) == pytest.approx(
        enhanced_labels(table, tags, beta, tau)[:, order]
    )


def test_large_rewards_do_not_overflow():
    assert softmax(np.array([1e5, 0.0])).tolist() == [1.0, 0.0]


def test_a_tag_without_prior_is_ignored():
    labels = np.array([[0.9, 0.1]])
    assert enhance(labels, [["new", "carried"]], np.array([[0.5, 0.5], [NAN, NAN]]), 0.0)[0].tolist() == [0.5, 0.5]
    assert enhance(labels, [["new"]], np.full((1, 2), NAN), 0.0)[0].tolist() == [0.9, 0.1]


@pytest.mark.parametrize(
    ("reward", "tau", "beta", "message"),
    [
        (np.inf, 1.0, 0.3, "finite rewards"), (1.0, 0.0, 0.3, "tau > 0"), (1.0, NAN, 0.3, "tau > 0"),
        (1.0, 1.0, -0.01, "beta between 0 and 1"), (1.0, 1.0, 1.01, "beta between"), (1.0, 1.0, NAN, "beta between"),
    ],
)  # fmt: skip
def test_what_gives_no_label_is_refused(reward, tau, beta, message):
    with pytest.raises(ZooterError, match=message):
        enhance(softmax(np.array([[0.0, reward]]), tau), [[]], np.zeros((0, 2)), beta)


REWARDS = np.array([[1.0, 3.0], [5.0, 7.0], [100.0, 300.0]])
GROUPS = ["small", "small", "large"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("none", REWARDS),
        ("zscore", (REWARDS - REWARDS.mean()) / REWARDS.std()),
        # small: mean 4, variance (9 + 1 + 1 + 9) / 4 = 5; large: mean 200, spread 100
        ("zscore-dataset", [[-3 / 5**0.5, -1 / 5**0.5], [1 / 5**0.5, 3 / 5**0.5], [-1, 1]]),
        # From the mean of its query each reward is 1, 1 or 100 away: the root mean square of these.
        ("spread", np.array([[-1, 1], [-1, 1], [-100, 100]]) / np.sqrt((1 + 1 + 100**2) / 3)),
    ],
)
def test_normalisations_by_hand(name, expected):
    assert normalise(REWARDS, name, GROUPS) == pytest.approx(np.array(expected))


@pytest.mark.parametrize("name", ["zscore", "zscore-dataset", "spread"])
def test_normalise_rewards_that_are_equal_also_but_for_rounding(name):
    assert normalise(np.full((2, 2), 3.0), name, ["a", "b"]).tolist() == [[0.0, 0.0], [0.0, 0.0]]
    rewards = np.array([[0.7, 0.7, 0.1 * 7]])
    assert rewards.max() > rewards.min()
    assert np.abs(normalise(rewards, name, ["x"])).max() < 1


def test_unknown_normalisation_names_the_nearest():
    with pytest.raises(ZooterError, match=r'"z-score".*Did you mean "zscore"'):
        normalise(REWARDS, "z-score", GROUPS)


def test_the_label_settings_reach_their_steps():
    """spread: centred rewards (-1, 1) and (-3, 3), root mean square sqrt(5); tau = 1 / sqrt(5) takes it out again.

    So s = softmax of (-1, 1) and (-3, 3), whose logits differ by 2 and 6. With beta = 0 both have their mean.
    """
    rewards = np.array([[1.0, 3.0], [0.0, 6.0]])
    steps = labels.label(rewards, ["x", "y"], [("a",), ("a",)], LabelConfig(0.0, 5**-0.5, "spread"))
    assert steps.rewards * 5**0.5 == pytest.approx(np.array([[-1, 1], [-3, 3]]))
    assert np.log(steps.plain[:, 1] / steps.plain[:, 0]) == pytest.approx([2, 6])
    assert steps.enhanced == pytest.approx(np.tile(steps.plain.mean(axis=0), (2, 1)))


def test_the_rows_where_the_tags_change_the_winner():
    rewards = np.array([[3.0, 0.0], [0.0, 1.0], [3.0, 0.0]])
    assert labels.label(rewards, ["x"] * 3, [("a",)] * 3, LabelConfig(beta=0.1)).changed.tolist() == [1]
    assert labels.label(rewards, ["x"] * 3, [("a",)] * 3, LabelConfig(beta=1.0)).changed.tolist() == []


def test_the_lot_of_a_query_stays():
    """The first 12 hex digits of sha256("0|q4") and sha256("1|q4")."""
    assert (labels.lot("q4", 0), labels.lot("q4", 1)) == (0x2927087DA2E, 0xDDB92546481A)


def test_the_share_is_held_back_within_each_data_set():
    """By the lot alone, a data set of five may have none held back, or three."""
    sizes = {"large": 1000, "small": 5, "smaller": 4, "smallest": 1}
    datasets = [name for name, size in sizes.items() for _ in range(size)]
    lots = [labels.lot(str(n), 0) for n in range(len(datasets))]
    drawn = held_back(lots, datasets, 0.2)
    counts = {name: sum(drawn[n] for n, other in enumerate(datasets) if other == name) for name in sizes}
    assert all(abs(counts[name] - 0.2 * size) < 1 for name, size in sizes.items())
    assert counts["large"] == 200
    assert sum(counts.values()) == 202
    mixed = np.random.default_rng(0).permutation(len(datasets))  # the order of the file does not matter
    again = held_back([lots[n] for n in mixed], [datasets[n] for n in mixed], 0.2)
    assert (again == drawn[mixed]).all()
    assert not held_back(lots, datasets, 0.0).any()
    assert held_back(lots, datasets, 1.0).all()
    others = held_back([labels.lot(str(n), 1) for n in range(len(datasets))], datasets, 0.2)
    assert (others != drawn).any()
    counts = [held_back(range(n), ["x"] * n, 0.2).sum() for n in range(1, 9)]
    assert counts == [0, 0, 1, 1, 1, 1, 1, 2]  # to the nearest query: a run of another version finds its own again


def test_a_missing_candidate_gets_its_share_and_the_rest_is_scaled_to_what_remains():
    """0.4 goes to the second; the others share the 0.6 that remain as 1 to 3."""
    completed = complete(np.array([[0.25, NAN, 0.75], [0.5, 0.3, 0.2]]), np.array([0.2, 0.4, 0.4]))
    assert completed == pytest.approx(np.array([[0.15, 0.4, 0.45], [0.5, 0.3, 0.2]]))


def test_priors_and_labels_with_a_missing_reward_by_hand():
    """Softmax: (1/2, 1/4, 1/4), and (4/5, 1/5) of the two that have a reward. For the third candidate

    s_3 = (1/4 + s_3) / 2 = 1/4, so that 3/4 remain: s_1 = (1/2 + 3/4 4/5) / 2 = 0.55, s_2 = (1/4 + 3/4 1/5) / 2 = 0.2.
    """
    rewards = np.array([[np.log(2), 0, 0], [np.log(4), 0, NAN]])
    table = label(rewards, ["x", "x"], [("t",), ("t",)], LabelConfig(beta=0.3))
    assert tag_priors(softmax(rewards), [("t",), ("t",)])[0] == pytest.approx([0.55, 0.2, 0.25], abs=1e-5)
    assert table.plain[1] == pytest.approx([0.6, 0.15, 0.25], abs=1e-5)
    assert table.enhanced[1] == pytest.approx([0.565, 0.185, 0.25], abs=1e-5)  # 0.3 s + 0.7 prior
    assert np.isnan(table.rewards[1, 2])


def test_a_tag_that_lacks_a_candidate_takes_its_share_of_all_queries():
    """The overall mean is (.55, .2, .25) as above; tag u has one query, without the third candidate."""
    rewards = np.array([[np.log(2), 0, 0], [np.log(4), 0, NAN]])
    of_t, of_u = tag_priors(softmax(rewards), [("t",), ("u",)])
    assert of_t == pytest.approx([0.5, 0.25, 0.25])
    assert of_u == pytest.approx([0.6, 0.15, 0.25], abs=1e-5)


def test_a_held_back_query_and_one_without_tags_are_completed_too():
    rewards = np.array([[np.log(2), 0, 0], [np.log(4), 0, NAN], [0, 0, NAN], [NAN, 0, 0]])
    tags = [("t",), ("t",), ("unknown",), ()]
    table = label(rewards, ["x"] * 4, tags, LabelConfig(beta=0.0), train=np.array([0, 1]))
    assert table.plain[2] == pytest.approx([0.375, 0.375, 0.25], abs=1e-5)
    assert table.plain[3] == pytest.approx([0.55, 0.225, 0.225], abs=1e-5)
    assert np.isfinite(table.enhanced).all()


@pytest.mark.parametrize("name", ["zscore", "spread"])
def test_gaps_do_not_count_in_a_normalisation(name):
    """As if each row had its scored columns alone: the same differences on the same scale."""
    gaps = np.array([[1.0, 3.0, NAN], [NAN, 2.0, 6.0]])
    scaled = normalise(gaps, name, ["x", "x"])
    dense = normalise(np.array([[1.0, 3.0], [2.0, 6.0]]), name, ["x", "x"])
    assert scaled[0, :2] == pytest.approx(dense[0])
    assert scaled[1, 1:] == pytest.approx(dense[1])
    assert np.isnan(scaled).tolist() == np.isnan(gaps).tolist()
