from __future__ import annotations

import pytest

from support.three_groups import EXAMPLES, old
from zooter_core.base.errors import ZooterError
from zooter_core.evaluation.learning_curve import SEEDS, learning_curve, sizes_of


def test_sizes_leave_a_fifth_to_judge_by():
    assert sizes_of(300) == (50, 200)
    assert sizes_of(50) == ()
    assert sizes_of(300, (240, 20)) == (240, 20)


@pytest.mark.parametrize("size", [19, 241, 0])
def test_a_size_that_does_not_fit(size):
    with pytest.raises(ZooterError, match=f"numbers from 20 to 240.*but found {size}"):
        sizes_of(300, (50, size))


def test_the_curve_where_the_new_candidate_is_best_on_a_third():
    calls = []
    curve = learning_curve(old(), EXAMPLES, (24, 48), progress=lambda *call: calls.append(call))
    assert (curve["judged"], curve["learned"], curve["seeds"]) == (12, 48, SEEDS)
    assert calls[-1] == ("curve", SEEDS, SEEDS)
    assert [row["n"] for row in curve["rows"]] == [24, 48]
    for row in curve["rows"]:
        assert curve["old"] < row["extended"] <= curve["oracle"]
        assert 0 < row["extended_minus_old"][0] <= row["extended"] - curve["old"] <= row["extended_minus_old"][1]
        assert 0.1 < row["chosen"] < 0.6
        assert row["scratch"] <= curve["oracle"]
    assert curve["single"] < curve["all"] <= curve["oracle"]
    verdict, against_old = curve["verdict"], curve["against_old"]
    assert verdict["difference"] > against_old["difference"] > 0
    assert tuple(against_old["interval"]) == curve["rows"][-1]["extended_minus_old"]
    assert learning_curve(old(), EXAMPLES, (24,))["rows"] == curve["rows"][:1]


def test_of_many_queries_the_curve_takes_as_many_as_its_sizes_need(monkeypatch):
    monkeypatch.setattr("zooter_core.evaluation.learning_curve.MOST", 25)
    monkeypatch.setattr("zooter_core.evaluation.learning_curve.SEEDS", 1)
    assert [learning_curve(old(), EXAMPLES, sizes)["judged"] for sizes in ((20,), (32,))] == [5, 8]
