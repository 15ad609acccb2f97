from __future__ import annotations

import numpy as np
import pytest

from zooter_core.method import tags as module
from zooter_core.method.tag_table import TIE, entropy_counts, tag_table, winners
from zooter_core.method.tags import TagIndex

TAGS = [("b", "a", "b"), (), ("c",), ("a",)]


@pytest.fixture
def index() -> TagIndex:
    return TagIndex.of(TAGS)


def test_it_reads_as_the_different_tags_of_each_query(index):
    assert index.names == ("a", "b", "c")
    assert list(index) == [("b", "a"), (), ("c",), ("a",)]
    assert (index[-1], len(index), list(index[1:3])) == (("a",), 4, [(), ("c",)])
    assert index.counts.tolist() == [2, 1, 1]
    assert TagIndex.of(index) is index
    with pytest.raises(IndexError):
        index[4]


def test_some_rows_keep_the_numbers_of_the_tags(index):
    subset = index.rows(np.array([3, 0]))
    assert list(subset) == [("a",), ("b", "a")]
    assert subset.names == index.names


def test_some_tags_alone(index):
    assert list(index.only(np.array([True, False, True]))) == [("a",), (), ("c",), ("a",)]
    assert list(index.only(np.zeros(3, bool))) == [(), (), (), ()]


@pytest.mark.parametrize("at_once", [1, 2, 1 << 18])
def test_sums_over_the_queries_of_a_tag(index, monkeypatch, at_once):
    monkeypatch.setattr(module, "AT_ONCE", at_once)
    values = np.array([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0], [8.0, 80.0]])
    assert index.sums(values).tolist() == [[9.0, 90.0], [1.0, 10.0], [4.0, 40.0]]


def test_means_over_the_tags_of_a_query(index):
    table = np.array([[2.0], [4.0], [6.0]])
    assert index.average_over_tags(table, np.array([-1.0])).tolist() == [[3.0], [-1.0], [6.0], [2.0]]


# Four queries, two candidates: a wins the first and the third, b the second; the fourth is a tie.
REWARDS = np.array([[3.0, 1.0], [0.0, 2.0], [5.0, 4.0], [1.0, 1.0]])
PROBABILITIES = np.array([[0.8, 0.2], [0.4, 0.6], [0.9, 0.1], [0.5, 0.5]])
QUERY_TAGS = (("sum",), ("sum", "text"), ("sum", "sum"), ("text",))


def test_the_winner_has_the_highest_reward_alone():
    assert winners(REWARDS).tolist() == [0, 1, 0, TIE]


def test_a_tag_has_the_means_of_its_queries():
    """sum: queries 1 to 3, the tag named twice counting once; text: queries 2 and 4, whose tie is shared."""
    table = tag_table(QUERY_TAGS, REWARDS, PROBABILITIES)
    assert table.names == ("sum", "text")
    assert table.counts.tolist() == [3, 2]
    np.testing.assert_allclose(table.won, [[2 / 3, 1 / 3], [0.25, 0.75]])
    np.testing.assert_allclose(table.probabilities, [[0.7, 0.3], [0.45, 0.55]])
    np.testing.assert_allclose(table.rewards, [[8 / 3, 7 / 3], [0.5, 1.5]])
    np.testing.assert_allclose(table.difference, [[0.7 - 2 / 3, 0.3 - 1 / 3], [0.2, -0.2]])


def test_queries_without_tags_make_an_empty_table():
    table = tag_table([()] * 4, REWARDS, PROBABILITIES)
    assert (table.names, table.counts.tolist(), table.won.shape) == ((), [], (0, 2))
    assert table.most(5).grouped().names == ()


def test_tags_are_ordered_by_queries_or_by_who_leads_them():
    """Counts: x 2, y 1, z 1. Leaders: x a by .7, y b by .9, z a by .9."""
    tags = (("x",), ("x", "y"), ("z",))
    probabilities = np.array([[0.9, 0.1], [0.1, 0.9], [0.9, 0.1]]) + np.array([[0, 0], [0.4, -0.4], [0, 0]])
    table = tag_table(tags, REWARDS[:3], probabilities)
    assert table.most(3).names == ("x", "y", "z")
    assert table.most(2).names == ("x", "y")
    np.testing.assert_allclose(table.probabilities, [[0.7, 0.3], [0.5, 0.5], [0.9, 0.1]])
    grouped = table.grouped()
    assert grouped.names == ("z", "x", "y")  # all led by a (y by a tie), the surest first
    assert grouped.counts.tolist() == [1, 2, 1]
    np.testing.assert_allclose(grouped.rewards[1], table.rewards[0])


def test_entropies_are_counted_in_bins():
    """Entropy over log 2 is 0 for a sure label, 1 for an even one and .811 for one of 3 to 1."""
    plain = np.array([[1.0, 0.0], [0.5, 0.5], [0.75, 0.25], [0.25, 0.75]])
    counts = entropy_counts(plain)
    assert {place: counts[place] for place in np.flatnonzero(counts)} == {0: 1, 16: 2, 19: 1}
    assert len(counts) == 20
