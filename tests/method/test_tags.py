from __future__ import annotations

import numpy as np
import pytest

from zooter_core.method import tags as module
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
    assert list(index.only({"a", "c", "unknown"})) == [("a",), (), ("c",), ("a",)]
    assert list(index.only([])) == [(), (), (), ()]


@pytest.mark.parametrize("at_once", [1, 2, 1 << 18])
def test_sums_over_the_queries_of_a_tag(index, monkeypatch, at_once):
    monkeypatch.setattr(module, "AT_ONCE", at_once)
    values = np.array([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0], [8.0, 80.0]])
    assert index.sums(values).tolist() == [[9.0, 90.0], [1.0, 10.0], [4.0, 40.0]]


def test_means_over_the_tags_of_a_query(index):
    table = np.array([[2.0], [4.0], [6.0]])
    assert index.means_of(table, np.array([-1.0])).tolist() == [[3.0], [-1.0], [6.0], [2.0]]
