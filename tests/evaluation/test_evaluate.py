"""Figures of a choice of candidates and of a training, on three queries, worked by hand.

| query | data set | a | b | the router takes | oracle | regret |
|-------|----------|---|---|------------------|--------|--------|
| q1    | x        | 1 | 3 | b: 3             | 3      | 0      |
| q2    | x        | 3 | 0 | b: 0             | 3      | 3      |
| q3    | y        | 4 | 6 | a: 4             | 6      | 2      |
"""

from __future__ import annotations

import json

import numpy as np
import pytest

from support.sample_report import as_figures
from zooter_core.base.records import Query
from zooter_core.data.scores import Scores
from zooter_core.evaluation.evaluate import Sampled, compare, evaluate, report
from zooter_core.evaluation.figures import Verdict, load_report, to_json
from zooter_core.evaluation.verdicts import BEST_SINGLE, of_report, sentences
from zooter_core.method.selection import Outputs

SCORES = Scores(
    (Query("1", "q1", "x"), Query("2", "q2", "x"), Query("3", "q3", "y")),
    ("a", "b"),
    np.array([[1.0, 3.0], [3.0, 0.0], [4.0, 6.0]]),
)


class Fixed:
    """A router whose encoder gives the probabilities of each query as its vector."""

    def __init__(self, candidates, **rows):
        self.candidates, self.rows, self.encoder = candidates, rows, self

    def embed(self, queries):
        return np.array([self.rows[query] for query in queries])

    def probabilities_all(self, queries, progress=None):
        return self.embed(queries)


ROUTER = Fixed(("a", "b"), q1=[0.1, 0.9], q2=[0.4, 0.6], q3=[0.8, 0.2])


@pytest.fixture
def figures():
    return evaluate(ROUTER, SCORES)


def compared(scores, chosen, rmr=None):
    """The figures of a router that is sure of these candidates."""
    return to_json(compare(scores, np.eye(len(scores.candidates))[chosen], rmr))


def test_figures_of_each_data_set(figures):
    """x: random (1 + 3 + 3 + 0) / 4; a (1 + 3) / 2 beats b (3 + 0) / 2. y: random (4 + 6) / 2; b is best."""
    assert figures["datasets"] == {
        "x": {"n": 2, "scored": 2, "chosen": 1.5, "regret": 1.5, "oracle": 3.0, "random": 1.75}
        | {"best_single": {"candidate": "a", "score": 2.0}, "candidates": {"a": 2.0, "b": 1.5}},
        "y": {"n": 1, "scored": 1, "chosen": 4.0, "regret": 2.0, "oracle": 6.0, "random": 5.0}
        | {"best_single": {"candidate": "b", "score": 6.0}, "candidates": {"a": 4.0, "b": 6.0}},
    }


def test_averages_are_unweighted_over_data_sets(figures):
    """chosen (1.5 + 4) / 2, although x has twice the queries (over queries it would be 7 / 3).

    b is the best single candidate with (1.5 + 6) / 2 = 3.75; a has (2 + 4) / 2 = 3.
    """
    assert figures["n"] == 3
    best = {"candidate": "b", "score": 3.75}
    assert figures["average"] == {
        "chosen": 2.75, "regret": 1.75, "oracle": 4.5, "random": 3.375, "best_single": best
    }  # fmt: skip


def test_mtr_and_uplift_with_and_without_the_oracle(figures):
    """x: oracle 3, a 2, router and b 1.5 -> ranks 1, 2, 3.5, 3.5. y: b and oracle 6, router and a 4 -> 1.5 and 3.5."""
    assert figures["mtr"] == {"router": 3.5, "a": 2.75, "b": 2.5, "oracle": 1.25}
    assert figures["uplift"] == {"router": 0.0, "a": 0.0, "b": 0.5, "oracle": 1.0}
    ranks, uplift = {"router": 2.5, "a": 1.75, "b": 1.75}, {"router": 0.0, "a": 0.5, "b": 0.5}
    assert figures["single"] == {"mtr": ranks, "uplift": uplift}


def test_means_are_over_queries(figures):
    """b, the best single candidate on average, earns (3 + 0 + 6) / 3 = 3 where the oracle earns 4."""
    regrets = {"regret": 5 / 3, "regret_best_single": 1.0, "regret_random": 7 / 6}
    means = {"chosen": 7 / 3, "oracle": 4.0, "best_single": 3.0, "random": 17 / 6}
    assert figures["mean"] == pytest.approx(means | regrets)


def test_gap_closed_is_of_the_way_from_the_best_single_to_the_oracle(figures):
    """b, the best single, earns 3, 0, 6; the router 3, 0, 4, the oracle 3, 3, 6: it is -2 on a way of 3."""
    assert figures["gap_closed"] is None  # in more than a draw in twenty the way is 0: q2 is not drawn
    scores = Scores(SCORES.queries * 10, ("a", "b"), np.tile(SCORES.scores, (10, 1)))
    result = compared(scores, [1, 1, 0] * 10)["gap_closed"]
    assert result["share"] == pytest.approx(-2 / 3)
    assert result["interval"][0] < -2 / 3 < result["interval"][1] < 0


def test_how_often_a_choice_is_the_best_one(figures):
    """The best scores are 3, 3 and 6: the router (3, 0, 4) has one of them, b alone (3, 0, 6) two."""
    best = figures["best_choice"]
    assert {name: row["share"] for name, row in best.items()} == pytest.approx({"router": 1 / 3, "best_single": 2 / 3})
    assert best["router"]["n"] == 3
    low, high = best["router"]["interval"]
    assert 0 < low < 1 / 3 < high < 1


def test_baselines_in_hindsight(figures):
    """b wins q1 and q3 and is best on average; a is best in x and b in y: (1 + 3) / 2 and 6, on average 4."""
    result = figures["baselines"]
    chosen = {"random": 3.375, "best single": 3.75, "majority": 3.75, "best per data set": 4.0}
    assert {name: row["chosen"] for name, row in result.items()} == chosen
    assert [name for name, row in result.items() if not row["hindsight"]] == ["random"]
    assert result["best per data set"]["datasets"] == {"x": 2.0, "y": 6.0}
    assert result["best per data set"]["regret"] == pytest.approx((2 + 0 + 0) / 3)
    low, high = result["best single"]["router_minus"]  # the router earns 0, 0 and 2 less than b
    assert low <= -2 / 3 <= high


def test_the_verdict_is_against_the_best_single_in_hindsight(figures):
    """The router earns 3, 0 and 4, b alone 3, 0 and 6: they differ on q3, by 2."""
    verdict = figures["verdict"]
    assert verdict["difference"] == pytest.approx(-2 / 3)
    assert verdict["interval"] == pytest.approx((-2 / 3 - 2.869, -2 / 3 + 2.869), abs=0.01)  # 4.303 * sqrt(4 / 3 / 3)
    facts = {"against": "b", "hindsight": True, "source": "judged", "points": False, "significant": False}
    facts |= {"n": 3, "differing": 1, "queries_needed": None, "never_needed": [], "gains": [], "loses": []}
    assert verdict.items() >= facts.items()


def test_candidates_that_no_query_goes_to_are_named_from_sixty_queries_on():
    scores = Scores(SCORES.queries * 20, ("a", "b"), np.tile(SCORES.scores, (20, 1)))
    assert compared(scores, [1] * 60)["verdict"]["never_needed"] == ["a"]
    assert compared(scores.subset(range(59)), [1] * 59)["verdict"]["never_needed"] == []
    assert compared(scores, [1] * 59 + [0])["verdict"]["never_needed"] == []


def test_calibration_is_of_what_the_router_chose(figures):
    """q1: b at .9, which wins; q2: b at .6, which loses; q3: a at .8, which loses: (.1 + .6 + .8) / 3."""
    assert figures["calibration"]["ece"] == pytest.approx(0.5)


def test_a_query_counts_for_the_methods_whose_choice_has_a_score():
    """The router chooses b, b, a: 3 and 4, and none in y. a has 1 and 2 in x, nothing in y; b has 3, 4 and 5."""
    queries = SCORES.queries
    gaps = Scores(queries, ("a", "b", "c"), np.array([[1.0, 3.0, 0.0], [2.0, 4.0, np.nan], [np.nan, 5.0, 6.0]]))
    figures = compared(gaps, [1, 1, 0])
    x, y = figures["datasets"].values()
    assert (x["chosen"], x["scored"], y["chosen"], y["scored"]) == (3.5, 2, None, 0)
    assert y["candidates"] == {"a": None, "b": 5.0, "c": 6.0}
    assert figures["average"]["chosen"] == 3.5
    assert figures["mean"]["regret"] == 0.0
    assert figures["counts"]["candidates"] == {"a": 2, "b": 3, "c": 2}
    assert (figures["counts"]["chosen"], figures["counts"]["oracle"]) == (2, 3)
    assert figures["counts"]["chosen_minus_best_single"] == 2
    assert json.loads(json.dumps(figures, allow_nan=False))


def report_of(router, scores, held_back, entropies, sampled=None):
    """A report on the router, as after a distillation."""
    mask = np.array(held_back)
    texts = [query.text for query, aside in zip(scores.queries, held_back, strict=True) if aside]
    return to_json(report(scores, entropies, mask, Outputs(router.embed(texts)) if texts else None, sampled))


TIED = Scores(SCORES.queries, ("a", "b"), np.array([[1.0, 3.0], [2.0, 2.0], [4.0, 6.0]]))


def test_a_candidate_with_one_score_leaves_the_others_judged(tmp_path):
    """c has the score of q1 alone, the highest of all, in a data set of its own. Of the held-back q1 to q4, the router
    gives c to q1, and to the others b and a."""
    queries = tuple(Query(f"{n}", "q2" if n else "q1", "y" if n else "x") for n in range(12))
    scores = Scores(queries, ("a", "b", "c"), np.array([[3.0, np.nan, 9.0]] + [[3.0, 2.0, np.nan]] * 11))
    held_back = np.arange(12) < 4
    outputs = Outputs(np.array([[0.1, 0.2, 0.7], [0.2, 0.7, 0.1], [0.7, 0.2, 0.1], [0.2, 0.7, 0.1]]))
    result = report(scores, [0.5] * 12, held_back, outputs, Sampled(scores.scores[..., None], np.ones((12, 3))))
    result.write(tmp_path / "report.json")
    figures = load_report(tmp_path / "report.json").held_back
    assert figures is not None
    assert (figures.n, figures.pool, figures.best_single) == (3, ["a", "b"], "a")
    assert figures.mean["chosen"] == pytest.approx((2 + 3 + 2) / 3)
    assert figures.calibration.bins[0]["probability"] == pytest.approx(0.7)
    assert figures.dollars is not None
    assert figures.dollars.candidates.keys() == {"a", "b"}


def test_a_report_goes_by_source_and_shares_the_win_of_a_tie():
    """a: half of the tie on q2. b: q1, q3 and the other half."""
    rows = report_of(ROUTER, TIED, [False] * 3, [0.5, 1.0, 0.0])["candidates"]
    assert list(rows) == ["all", "x", "y"]
    assert (rows["x"]["n"], rows["x"]["reward_entropy"]) == (2, 0.75)
    row = rows["all"]
    assert row["n"] == 3
    assert row["share_of_wins"] == pytest.approx({"a": 0.5 / 3, "b": 2.5 / 3})
    assert row["mean_reward"] == pytest.approx({"a": 7 / 3, "b": 11 / 3})
    assert row["reward_entropy"] == pytest.approx(0.5)


def test_a_report_judges_on_held_back_queries_alone_against_the_best_single_of_the_training_queries():
    """Of q1 and q2, a is best with (1 + 3) / 2; the router chooses it for q3, too."""
    figures = report_of(ROUTER, SCORES, [False, False, True], [0.5] * 3)["held_back"]
    assert (figures["n"], figures["average"]["chosen"]) == (1, 4.0)
    assert "rmr" in figures["mtr"]
    verdict = figures["verdict"]
    assert (verdict["against"], verdict["hindsight"], verdict["source"]) == ("a", False, "held-back")
    assert (verdict["n"], verdict["difference"], verdict["interval"]) == (1, 0.0, None)


@pytest.mark.parametrize(
    ("held_back", "source"), [(0, "cross-validation"), (99, "cross-validation"), (100, "held-back")]
)
def test_cross_validation_gives_the_verdict_where_few_queries_are_held_back(held_back, source):
    """Seven queries to learn from: the router earns 0 to 6 more than the best single of the other folds."""
    n = 7 + held_back
    scores = Scores(tuple(Query(str(k), "q1") for k in range(n)), ("a", "b"), np.array([[1.0, 3.0]] * n))
    mask = np.arange(n) >= 7
    outputs = Outputs(np.array([[0.1, 0.9]] * held_back)) if held_back else None
    crossed = np.stack([np.arange(3.0, 10.0), np.full(7, 3.0), np.arange(7)])
    verdict = of_report(report(scores, [0.5] * n, mask, outputs, None, crossed))
    assert verdict is not None
    assert (verdict.source, verdict.against, verdict.hindsight) == (source, "b", False)
    if source == "cross-validation":
        assert (verdict.n, verdict.differing, verdict.difference, verdict.significant) == (7, 6, 3.0, True)


def test_the_verdict_of_cross_validation_is_by_folds():
    """The gains 1, 1, 2, 2, 6, 6 of three folds: beyond 0 by the queries, but not by the means 1, 2 and 6. The best
    single of the other folds, which earns 0, is not always b, so that no name stands for it."""
    scores = Scores(tuple(Query(str(k), "q1") for k in range(6)), ("a", "b"), np.array([[1.0, 3.0]] * 6))
    crossed = np.stack([[1.0, 1, 2, 2, 6, 6], np.zeros(6), [0, 0, 1, 1, 2, 2]])
    verdict = of_report(report(scores, [0.5] * 6, np.zeros(6, dtype=bool), None, None, crossed))
    assert verdict is not None
    assert verdict.interval == pytest.approx((3 - 6.572, 3 + 6.572), abs=1e-3)
    assert not verdict.significant
    assert verdict.against == BEST_SINGLE


def test_rmr_of_a_run_chooses_by_one_response_and_is_judged_by_the_mean():
    """Worked by hand: of two samples, the first prefers b (3 > 1), the second a (5 > 1)."""
    samples = np.array([[[1.0, 5.0], [3.0, 1.0]]])
    scores = Scores((Query("1", "q1"),), ("a", "b"), samples.mean(axis=2))
    result = report_of(ROUTER, scores, [True], [0.5], Sampled(samples))["held_back"]
    assert scores.scores.tolist() == [[3.0, 2.0]]
    assert result["mtr"]["oracle"] < result["mtr"]["rmr"]  # 3.0 against the mean of 2.0 and 3.0
    alone = report_of(ROUTER, scores, [True], [0.5])["held_back"]
    assert alone["mtr"]["oracle"] == alone["mtr"]["rmr"]


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


def test_without_prices_the_verdict_has_the_tokens_of_an_answer():
    """The router chooses b for q1, which writes 30 tokens there, and a for q3, which writes 20."""
    samples = np.array([[[1.0], [5.0]], [[4.0], [3.0]]])
    scores = Scores((SCORES.queries[0], SCORES.queries[2]), ("a", "b"), samples.mean(axis=2))
    tokens = np.array([[10.0, 30.0], [20.0, 60.0]])
    sampled = Sampled(samples, None, tokens)
    verdict = report_of(ROUTER, scores, [True, True], [0.5, 0.5], sampled)["held_back"]["verdict"]
    assert (verdict["tokens"], verdict["tokens_against"]) == (25.0, {"a": 15.0, "b": 45.0}[verdict["against"]])
    sentence = sentences(as_figures(Verdict, verdict))[-1]
    assert sentence == "Its answers have 25 tokens on average, those of b alone 45."


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
    verdict = result["held_back"]["verdict"]
    assert (verdict["against"], verdict["dollars"], verdict["dollars_against"]) == ("b", 2.5, 4.5)


def test_a_report_without_prices_or_choice_leaves_them_out():
    assert "dollars" not in report_of(ROUTER, SCORES, [True] * 3, [0.5] * 3)["held_back"]
    alone = Scores(SCORES.queries, ("a",), SCORES.scores[:, :1])
    result = report_of(Fixed(("a",), q1=[1.0], q2=[1.0], q3=[1.0]), alone, [True] * 3, [0.5] * 3)["held_back"]
    assert "selection" not in result
    assert result["gap_closed"] is None
