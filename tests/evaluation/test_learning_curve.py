from __future__ import annotations

import pytest
from three_groups import GIVEN, old

from zooter_core.errors import ZooterError
from zooter_core.evaluation.learning_curve import SEEDS, growth, sizes_of


def test_sizes_leave_a_fifth_to_judge_by():
    assert sizes_of(300) == (50, 200)
    assert sizes_of(50) == ()
    assert sizes_of(300, (240, 20)) == (240, 20)


@pytest.mark.parametrize("size", [19, 241, 0])
def test_a_size_that_does_not_fit(size):
    with pytest.raises(ZooterError, match=f"numbers from 20 to 240.*but found {size}"):
        sizes_of(300, (50, size))


def test_growth_where_the_new_candidate_is_best_on_a_third():
    told = []
    found = growth(old(), GIVEN, (24, 48), progress=lambda *step: told.append(step))
    assert (found["judged"], found["learned"], found["seeds"]) == (12, 48, SEEDS)
    assert told[-1] == ("curve", SEEDS, SEEDS)
    assert [row["n"] for row in found["rows"]] == [24, 48]
    for row in found["rows"]:
        assert found["old"] < row["extended"] <= found["oracle"]
        assert 0 < row["extended_minus_old"][0] <= row["extended"] - found["old"] <= row["extended_minus_old"][1]
        assert 0.1 < row["chosen"] < 0.6
        assert row["scratch"] <= found["oracle"]
    assert found["single"] < found["all"] <= found["oracle"]
    assert growth(old(), GIVEN, (24, 48)) == found
