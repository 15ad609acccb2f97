from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zooter_core.data.curate import UNTAGGED, cover, sample, shares, worth


@pytest.mark.parametrize(
    ("counts", "n", "dealt"),
    [
        ([100, 2, 100], 11, [4, 2, 5]),
        ([3, 3, 3], 1, [0, 0, 1]),
        ([], 4, []),
    ],
)
def test_shares(counts, n, dealt):
    assert shares(counts, n) == dealt


@given(st.lists(st.integers(0, 50), max_size=8), st.integers(0, 200))
def test_shares_are_even_as_far_as_sources_last(counts, n):
    dealt = shares(counts, n)
    assert sum(dealt) == min(n, sum(counts))
    most = max(dealt, default=0)
    for count, share in zip(counts, dealt, strict=True):
        assert 0 <= share <= count
        assert share == count or share >= most - 1


def test_sample_takes_the_first_of_each_source():
    assert sample([0, 0, 0, 1, 0, 1], 4) == [0, 1, 3, 5]
    assert sample([0, 0, 0, 1, 0], 4) == [0, 1, 2, 3]
    assert sample([0, 1], 9) == [0, 1]
    assert sample([], 9) == []


def test_cover_by_hand():
    tags = [("a",), ("a", "b"), ("c",), ("a", "b"), ("b",)]
    sources = [0] * 5
    # Row 1 gains 2, as row 3 does, and is earlier. Then row 2 gains 1 and row 3 gains 1/2 + 1/2 = 1: row 2 is earlier.
    # Then row 3 (1) is above row 0 and 4 (1/2 each). Then a and b are there twice: rows 0 and 4 gain 1/3 each.
    assert cover(tags, sources, 5) == [1, 2, 3, 0, 4]
    assert cover(tags, sources, 2) == [1, 2]


def test_worth_by_hand():
    assert [worth(count) for count in (0, 1, 7, 8, 9, 10, 31, 32)] == [
        *(1, 1 / 2, 1 / 8, 1 / 9, 1 / 9, 1 / 11, 1 / 29, 1 / 33)
    ]


def slowly(tags, sources, n):
    """The definition: look at every query for every pick."""
    room = dict(zip(dict.fromkeys(sources), shares([sources.count(s) for s in dict.fromkeys(sources)], n), strict=True))
    tag_counts: dict[str, int] = {}
    left, picked = list(range(len(tags))), []
    while any(room[sources[place]] for place in left):
        open_ones = [place for place in left if room[sources[place]]]
        gains = {place: sum(worth(tag_counts.get(t, 0)) for t in tags[place] or UNTAGGED) for place in open_ones}
        best = max(open_ones, key=lambda place: (gains[place], -place))
        for name in tags[best] or UNTAGGED:
            tag_counts[name] = tag_counts.get(name, 0) + 1
        room[sources[best]] -= 1
        left.remove(best)
        picked.append(best)
    return picked


rows = st.tuples(st.sets(st.sampled_from("abcde"), max_size=3).map(lambda tags: tuple(sorted(tags))), st.integers(0, 2))


@given(st.lists(rows, max_size=60), st.integers(1, 60))
def test_lazy_cover_is_greedy_cover(drawn, n):
    tags, sources = [row[0] for row in drawn], [row[1] for row in drawn]
    assert cover(tags, sources, n) == slowly(tags, sources, n)
