"""The report on a distillation, on the three queries of `support.three_queries`, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from support.three_queries import ROUTER, SCORES, Fixed
from zooter_core.base.records import Query
from zooter_core.data.scores import Scores
from zooter_core.evaluation.run_report import Sampled, report
from zooter_core.method.selection import Outputs


def report_of(router, scores, held_back, entropies, sampled=None):
    """A report on the router, as after a distillation."""
    mask = np.array(held_back)
    texts = [query.text for query, aside in zip(scores.queries, held_back, strict=True) if aside]
    return report(scores, entropies, mask, Outputs(router.embed(texts)) if texts else None, sampled)


TIED = Scores(SCORES.queries, ("a", "b"), np.array([[1.0, 3.0], [2.0, 2.0], [4.0, 6.0]]))


def test_report_shares_the_win_of_a_tie():
    """a: half of the tie on q2. b: q1, q3 and the other half."""
    row = report_of(ROUTER, TIED, [False] * 3, [0.5, 1.0, 0.0])["candidates"]["all"]
    assert row["n"] == 3
    assert row["share_of_wins"] == pytest.approx({"a": 0.5 / 3, "b": 2.5 / 3})
    assert row["mean_reward"] == pytest.approx({"a": 7 / 3, "b": 11 / 3})
    assert row["reward_entropy"] == pytest.approx(0.5)


def test_report_goes_by_source():
    rows = report_of(ROUTER, TIED, [False] * 3, [0.5, 1.0, 0.0])["candidates"]
    assert list(rows) == ["all", "x", "y"]
    assert (rows["x"]["n"], rows["x"]["reward_entropy"]) == (2, 0.75)
    assert rows["y"]["share_of_wins"] == {"a": 0.0, "b": 1.0}


def test_report_of_all_is_of_all_when_some_queries_name_no_source():
    mixed = Scores((Query("1", "q1"), *TIED.queries[1:]), TIED.candidates, TIED.scores)
    assert report_of(ROUTER, mixed, [False] * 3, [0.5] * 3)["candidates"]["all"]["n"] == 3


def test_report_judges_the_router_on_held_back_queries_alone():
    result = report_of(ROUTER, SCORES, [False, False, True], [0.5] * 3)
    assert (result["held_back"]["n"], result["held_back"]["average"]["chosen"]) == (1, 4.0)
    assert "rmr" in result["held_back"]["mtr"]


def test_report_without_held_back_queries_judges_nothing():
    assert "held_back" not in report_of(ROUTER, SCORES, [False] * 3, [0.5] * 3)


def test_rmr_of_a_run_chooses_by_one_response_and_is_judged_by_the_mean():
    """Worked by hand: of two samples, the first prefers b (3 > 1), the second a (5 > 1)."""
    samples = np.array([[[1.0, 5.0], [3.0, 1.0]]])
    scores = Scores((Query("1", "q1"),), ("a", "b"), samples.mean(axis=2))
    result = report_of(ROUTER, scores, [True], [0.5], Sampled(samples))["held_back"]
    assert scores.scores.tolist() == [[3.0, 2.0]]
    assert result["mtr"]["oracle"] < result["mtr"]["rmr"]  # 3.0 against the mean of 2.0 and 3.0
    alone = report_of(ROUTER, scores, [True], [0.5])["held_back"]
    assert alone["mtr"]["oracle"] == alone["mtr"]["rmr"]


def test_rmr_of_a_run_has_its_figures_beside_the_others():
    """The same, with q3 of one data set more, where both samples prefer b: 2.5 and 6; the router takes b and a."""
    samples = np.array([[[1.0, 5.0], [3.0, 1.0]], [[4.0, 4.0], [6.0, 6.0]]])
    scores = Scores((SCORES.queries[0], SCORES.queries[2]), ("a", "b"), samples.mean(axis=2))
    result = report_of(ROUTER, scores, [True, True], [0.5, 0.5], Sampled(samples))["held_back"]
    assert {name: row["rmr"] for name, row in result["datasets"].items()} == {"x": 2.5, "y": 6.0}
    assert (result["average"]["rmr"], result["mean"]["rmr"]) == (4.25, 4.25)
    low, high = result["interval"]["chosen_minus_rmr"]  # 2 - 2.5 and 4 - 6
    assert (low, high) == (-2.0, -0.5)


def test_selection_of_a_run_ends_where_rmr_is():
    """With all candidates for all queries, judged by one response each, selection is RMR."""
    samples = np.array([[[1.0, 5.0], [3.0, 1.0]], [[4.0, 4.0], [6.0, 6.0]]])
    scores = Scores((SCORES.queries[0], SCORES.queries[2]), ("a", "b"), samples.mean(axis=2))
    dollars = np.array([[1.0, 3.0], [2.0, 6.0]])
    result = report_of(ROUTER, scores, [True, True], [0.5, 0.5], Sampled(samples, dollars))["held_back"]
    curve = result["selection"]["curves"][0]
    assert [(point["calls"], point["dollars"], point["score"]) for point in curve["points"]] == [
        (1.0, 2.5, 3.0),  # b of q1 for 3, a of q3 for 2: 2 and 4
        (1.5, 5.5, 4.0),  # q3, of which it is less sure (.8 to .9), gets both: 6 for 8
        (2.0, 6.0, 4.25),  # and q1: 2.5 for 4
    ]
    assert result["dollars"] == {"chosen": 2.5, "candidates": {"a": 1.5, "b": 4.5}, "random": 3.0, "all": 6.0}


def test_a_report_counts_the_scores_and_costs_that_there_are():
    """The response of b to q2 is missing: its cost too, so that query counts for no method's cost."""
    scores = Scores(
        SCORES.queries, ("a", "b"), np.where([[False] * 2, [False, True], [False] * 2], np.nan, SCORES.scores)
    )
    dollars = np.where(np.isnan(scores.scores), np.nan, [[1.0, 3.0], [9.0, 9.0], [2.0, 6.0]])
    result = report_of(ROUTER, scores, [True] * 3, [0.5] * 3, Sampled(scores.scores[..., None], dollars))
    assert result["candidates"]["all"]["scored"] == {"a": 3, "b": 2}
    assert "scored" not in result["candidates"]["y"]
    costs = {"chosen": 2.5, "candidates": {"a": 1.5, "b": 4.5}, "random": 3.0, "all": 6.0}
    assert result["held_back"]["dollars"] == {"n": 2} | costs


def test_a_report_without_prices_or_choice_leaves_them_out():
    assert "dollars" not in report_of(ROUTER, SCORES, [True] * 3, [0.5] * 3)["held_back"]
    alone = Scores(SCORES.queries, ("a",), SCORES.scores[:, :1])
    result = report_of(Fixed(("a",), q1=[1.0], q2=[1.0], q3=[1.0]), alone, [True] * 3, [0.5] * 3)["held_back"]
    assert "selection" not in result
    assert result["gap_closed"] is None
