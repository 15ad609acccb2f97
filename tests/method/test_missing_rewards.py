"""Labels of queries that lack the reward of some candidate, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from support.reward_tables import tagged
from zooter_core.method.labels import LabelConfig, complete, label, softmax, tag_priors
from zooter_core.method.scales import normalise

NAN = np.nan


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
    assert tag_priors(softmax(rewards), [("t",), ("t",)])["t"] == pytest.approx([0.55, 0.2, 0.25], abs=1e-5)
    assert table.plain[1] == pytest.approx([0.6, 0.15, 0.25], abs=1e-5)
    assert table.enhanced[1] == pytest.approx([0.565, 0.185, 0.25], abs=1e-5)  # 0.3 s + 0.7 prior
    assert np.isnan(table.rewards[1, 2])


def test_a_tag_that_lacks_a_candidate_takes_its_share_of_all_queries():
    """The overall mean is (.55, .2, .25) as above; tag u has one query, without the third candidate."""
    rewards = np.array([[np.log(2), 0, 0], [np.log(4), 0, NAN]])
    priors = tag_priors(softmax(rewards), [("t",), ("u",)])
    assert priors["t"] == pytest.approx([0.5, 0.25, 0.25])
    assert priors["u"] == pytest.approx([0.6, 0.15, 0.25], abs=1e-5)


def test_a_held_back_query_and_one_without_tags_are_completed_too():
    rewards = np.array([[np.log(2), 0, 0], [np.log(4), 0, NAN], [0, 0, NAN], [NAN, 0, 0]])
    tags = [("t",), ("t",), ("unknown",), ()]
    table = label(rewards, ["x"] * 4, tags, LabelConfig(beta=0.0), train=np.array([0, 1]))
    assert table.plain[2] == pytest.approx([0.375, 0.375, 0.25], abs=1e-5)
    assert table.plain[3] == pytest.approx([0.55, 0.225, 0.225], abs=1e-5)
    assert np.isfinite(table.enhanced).all()


@given(tagged(), st.data())
def test_labels_with_gaps_are_distributions(case, data):
    table, tags = case
    if table.shape[1] < 3:
        return
    gaps = data.draw(arrays(np.bool_, table.shape))
    gaps[:, :2] = False  # two scores a query
    labelled = label(np.where(gaps, NAN, table), ["x"] * len(table), tags, LabelConfig(beta=0.3))
    for part in (labelled.plain, labelled.prior, labelled.enhanced):
        assert part.sum(axis=1) == pytest.approx(np.ones(len(table)))
        assert (part >= 0).all()


@pytest.mark.parametrize("name", ["zscore", "spread"])
def test_gaps_do_not_count_in_a_normalisation(name):
    """As if each row had its scored columns alone: the same differences on the same scale."""
    gaps = np.array([[1.0, 3.0, NAN], [NAN, 2.0, 6.0]])
    scaled = normalise(gaps, name, ["x", "x"])
    dense = normalise(np.array([[1.0, 3.0], [2.0, 6.0]]), name, ["x", "x"])
    assert scaled[0, :2] == pytest.approx(dense[0])
    assert scaled[1, 1:] == pytest.approx(dense[1])
    assert np.isnan(scaled).tolist() == np.isnan(gaps).tolist()
