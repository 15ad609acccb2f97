from __future__ import annotations

import pytest

from zooter_core.base.records import Query
from zooter_core.data import curate
from zooter_core.data.curate.reading import Line


def test_one_id_in_thousands_of_lines_takes_linear_time():
    """Each line is looked up a few times at most: a set that counts the look-ups, in place of a clock."""
    n = 3000
    queries = [Line(row, "", "x", True, Query("a", "")) for row in range(n)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(curate, "set", CountingSet, raising=False)
        CountingSet.lookups = 0
        ids = [record["id"] for record in curate.records(curate.Picked(queries, [()] * n, [], []))]
    assert ids == ["a", "x/a", *(f"x/a/{number}" for number in range(2, n))]
    assert CountingSet.lookups <= 3 * n


class CountingSet(set):
    lookups = 0

    def __contains__(self, item):
        CountingSet.lookups += 1
        return super().__contains__(item)
