from __future__ import annotations

from typing import Any

import pytest

from support.hostile_texts import faults
from support.sample_report import evaluation
from zooter_core.evaluation.figures import BetaTau, Evaluation, Sweep, SweepRow
from zooter_core.ui import sweep_view, verdicts


def held_back(low: float, high: float, n: int = 142, **more: Any) -> Evaluation:
    """Figures where the router has a mean reward of 1 and writer, the best single, 0.5, on a way of 2."""
    mean = {"chosen": 1.0, "best_single": 0.5, "oracle": 2.5, "rmr": 1.25} | more.pop("mean", {})
    return evaluation(
        n=n,
        average={"best_single": {"candidate": more.pop("best_single", "writer"), "score": 0.5}},
        mean={"regret": 1.5, "regret_best_single": 2.0, "regret_random": 2.2} | mean,
        interval={"chosen_minus_best_single": [low, high], "chosen_minus_rmr": [-0.4, -0.1]}
        | {"regret": [1.2, 1.8], "regret_best_single": [1.7, 2.3], "regret_random": [2.0, 2.4]},
        **more,
    )


def test_better_only_where_the_interval_is_above_0() -> None:
    sentence = verdicts.of_report(held_back(0.2, 0.8))[0]
    assert "is **better** than **writer**" in sentence
    assert "by 0.50 per query (95% CI 0.20 to 0.80, 142 held-back queries)" in sentence


@pytest.mark.parametrize(("low", "high"), [(-0.1, 0.8), (0.0, 0.8), (-0.8, 0.0)])
def test_an_interval_with_0_in_it_claims_nothing(low: float, high: float) -> None:
    sentence = verdicts.of_report(held_back(low, high))[0]
    assert "**No significant difference** from **writer**" in sentence
    assert "**better**" not in sentence
    assert "**worse**" not in sentence


def test_worse_is_said_as_plainly_with_the_interval_turned() -> None:
    sentence = verdicts.of_report(held_back(-0.8, -0.2, mean={"chosen": 0.0}))[0]
    assert "is **worse** than **writer**" in sentence
    assert "0.50 per query (95% CI 0.20 to 0.80" in sentence


def test_figures_have_the_decimals_that_their_interval_can_bear() -> None:
    figures = held_back(-0.009, 0.005, mean={"chosen": 0.5 - 0.0003})
    assert ": +0.000 per query (95% CI -0.009 to 0.005" in verdicts.of_report(figures)[0]
    assert "(95% CI 0.20 to 0.80" in verdicts.of_report(held_back(0.2, 0.8))[0]


def test_a_few_queries_are_not_enough_whatever_the_interval() -> None:
    sentence = verdicts.of_report(held_back(0.4, 0.6, n=5))[0]
    assert "With so few queries" in sentence
    assert "**better**" not in sentence


def test_share_of_the_way_with_its_interval_where_there_is_one() -> None:
    """(1 - 0.5) / (2.5 - 0.5) = 25%."""
    assert "**25%** of the gap" in verdicts.of_report(held_back(0.2, 0.8))[1]
    figures = held_back(0.2, 0.8, gap_closed={"share": 0.25, "interval": [0.1, 0.4]})
    assert "**25%** of the gap between **writer** and the oracle (95% CI 10% to 40%)" in verdicts.of_report(figures)[1]
    assert "too few queries" in verdicts.of_report(held_back(0.2, 0.8))[1]


def test_how_often_the_router_is_the_best_choice_where_the_report_says_so() -> None:
    shares = {
        "router": {"share": 0.84, "interval": [0.8, 0.88]},
        "best_single": {"share": 0.61, "interval": [0.5, 0.7]},
    }
    sentence = verdicts.of_report(held_back(0.2, 0.8, best_choice=shares))[2]
    assert sentence == (
        "It chooses the best model in **84%** of cases (95% CI 80% to 88%), **writer** alone is best in **61%** "
        "(50% to 70%)."
    )
    for lacking in ({}, {"best_choice": {"router": None, "best_single": None}}):
        assert not any("of cases" in sentence for sentence in verdicts.of_report(held_back(0.2, 0.8, **lacking)))


def test_no_way_and_a_way_back() -> None:
    none = held_back(0.0, 0.0, mean={"oracle": 0.5})
    assert "cannot gain anything" in verdicts.of_report(none)[1]
    back = held_back(-1.2, -0.8, mean={"chosen": -0.5})
    assert "widens it by 50%" in verdicts.of_report(back)[1]


def test_regret_with_intervals() -> None:
    sentence = verdicts.of_report(held_back(0.2, 0.8))[2]
    assert "router **1.50** (1.20 to 1.80)" in sentence
    assert "**writer** **2.00** (1.70 to 2.30)" in sentence


def test_rmr_and_how_many_models_it_runs() -> None:
    sentence = verdicts.of_report(held_back(0.2, 0.8))[3]
    assert "is **worse** than **RMR**, which runs both models for every query, by 0.25 per" in sentence


def test_a_candidates_name_is_no_markdown() -> None:
    figures = held_back(0.2, 0.8, best_single="![x](http://elsewhere/x.png)")
    assert [fault for sentence in verdicts.of_report(figures) for fault in faults(sentence)] == []


def sweep(*differences: tuple[float, float], taus: int = 1) -> Sweep:
    pairs = list(zip((0.3, 0.0, 1.0), [(0.0, 0.0), *differences], strict=False))
    rows = [
        SweepRow(beta=beta, tau=float(tau), mean=1.5, interval=(1.25, 2.0), regret=0.5, minus_best=minus)
        for tau in range(1, taus + 1)
        for beta, minus in pairs
    ]
    best = BetaTau(beta=0.3, tau=1.0)
    return Sweep(n=10, folds=2, seeds=1, normalise="none", rows=rows, best=best, differs=False)


def test_a_beta_that_differs_beyond_noise() -> None:
    sentence = verdicts.of_sweep(sweep((-0.5, -0.1), (-0.4, -0.2)))
    assert "Beta **0.3** scores highest, and **significantly higher** than each of the other 2" in sentence


def test_betas_that_may_be_as_good_are_named() -> None:
    sentence = verdicts.of_sweep(sweep((-0.5, -0.1), (-0.4, 0.2)))
    assert "**no significant difference** from 1 of the other 2" in sentence
    assert sentence.endswith(": 1.")
    equal = verdicts.of_sweep(sweep((-0.5, 0.0), (-0.4, 0.2)))
    assert "**No significant difference** between the 3 values of beta" in equal


def test_a_beta_alone_and_several_taus() -> None:
    assert "nothing to compare it with" in verdicts.of_sweep(sweep())
    assert "0.3 with tau 1" in verdicts.of_sweep(sweep((-0.5, 0.1), (-0.4, 0.2), taus=2))


def test_the_chart_has_a_line_per_tau_in_order_of_beta_with_intervals_and_a_star() -> None:
    figure = sweep_view.chart(sweep((-0.5, -0.1), taus=2))
    line = next(trace for trace in figure.data if trace.name == "tau 1")
    assert (list(line.x), list(line.y)) == ([0.0, 0.3], [1.5, 1.5])
    assert (list(line.error_y.array), list(line.error_y.arrayminus)) == ([0.5, 0.5], [0.25, 0.25])
    assert list(line.marker.symbol) == ["circle", "star"]
    assert figure.layout.showlegend
    assert not sweep_view.chart(sweep((-0.5, -0.1))).layout.showlegend
