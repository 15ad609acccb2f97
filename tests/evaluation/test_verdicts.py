"""What is said about a router, and the verdicts behind the sentences."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.sample_report import evaluation, sweep
from support.sample_report import report as report_file
from zooter_core.base.records import Query
from zooter_core.config.fleet import load_fleet
from zooter_core.data.scores import Scores
from zooter_core.evaluation import verdicts
from zooter_core.evaluation.figures import Evaluation, Kind, Report, Verdict, to_json
from zooter_core.evaluation.verdicts import headline, sentences

EMBEDDED = Path(__file__).parents[2] / "models" / "embedded"


def verdict(difference: float, low: float, high: float, n: int = 329, **more: Any) -> Verdict:
    """A verdict on shares, against general, on held-back queries."""
    facts: dict[str, Any] = {"against": "general", "differing": n, "source": "held-back", "hindsight": False}
    facts |= {"points": True, "queries_needed": None, "significant": low > 0 or high < 0}
    return Verdict(difference=difference, n=n, **facts | {"interval": (low, high)} | more)


# Sentences


REWARDS: dict[str, Any] = {"points": False, "against": "chat", "hindsight": True}
CHAT = "always using chat, the best single model in hindsight"
NONE = "No significant difference from always using general"
HEADLINES = [
    (verdict(0.041, 0.02, 0.062),
     "Routing beats always using general by 4.1 points (95% CI 2.0 to 6.2, 329 held-back queries)."),
    (verdict(-0.041, -0.062, -0.02, source="judged"),
     "is worse than always using general by 4.1 points (95% CI 2.0 to 6.2, 329 queries)."),
    (verdict(-0.008, -0.029, 0.011, 16, queries_needed=391),
     f"{NONE} (-0.8 points, 95% CI -2.9 to 1.1, 16 held-back queries). About 400 held-back queries would tell."),
    (verdict(0.0001, -0.029, 0.031, source="cross-validation", queries_needed=123_456),
     f"{NONE} (+0.0 points, 95% CI -2.9 to 3.1, 329 cross-validated queries). It would take more than "
     "10,000 queries to tell."),
    (verdict(0.01, -0.1, 0.1, source="judged", queries_needed=1201), "About 1,300 queries would tell."),
    (verdict(1.526, 1.307, 1.753, **REWARDS),
     f"Routing beats {CHAT}, by 1.53 (95% CI 1.31 to 1.75, 329 held-back queries)."),
    (verdict(61.2, 30.1, 92.3, **REWARDS), "by 61 (95% CI 30 to 92,"),
    (verdict(-0.0003, -0.009, 0.005, **REWARDS), "(+0.000, 95% CI -0.009 to 0.005,"),
    (verdict(0.1, 0.05, 0.15, 1, significant=False),
     "1 held-back query is too few to compare routing with always using general."),
    (verdict(0.1, 0.05, 0.15, 5, significant=False),
     "5 held-back queries are too few to compare routing with always using general."),
    (verdict(0.0, 0.0, 0.0, 16, differing=0, interval=None),
     "Routing earns what always using general earns on each of 16 held-back queries."),
    (verdict(0.01, 0.001, 0.02, 400, differing=4, significant=False),
     "Routing and always using general differ on 4 of 400 held-back queries only, too few to tell (+1.0 points)."),
    (verdict(1.0, 0.0, 0.0, 8, interval=None, significant=True),
     "by 100 points (the same on each of 8 held-back queries)."),
]  # fmt: skip


@pytest.mark.parametrize(("result", "sentence"), HEADLINES)
def test_a_difference_in_a_sentence(result: Verdict, sentence: str) -> None:
    assert sentence in headline(result)


@pytest.mark.parametrize(
    ("n", "needed", "borderline"), [(96, 120, True), (96, 143, True), (96, 144, False), (9, 11, True)]
)
def test_an_estimate_close_to_what_there_is_is_called_borderline(n: int, needed: int, borderline: bool) -> None:
    sentence = headline(verdict(0.01, -0.01, 0.03, n, source="cross-validation", queries_needed=needed))
    assert ("This is borderline: twice as many queries should tell." in sentence) == borderline
    assert ("would tell" in sentence) != borderline


def test_where_routing_has_not_shown_that_it_is_better_there_is_advice() -> None:
    undecided, too_few = verdict(0.01, -0.02, 0.04), verdict(0.1, 0.05, 0.15, 3, significant=False)
    more = "More queries of your own tell more: `zooter queries --from` selects them from logs."
    worse, same = verdict(-0.041, -0.062, -0.02), verdict(0.0, 0.0, 0.0, 16, differing=0, interval=None)
    expected = [f" Until then, general alone does as well. {more}", f" {more}", " Use general alone.", ""]
    undecisive = [undecided, too_few, worse, same]
    assert [sentences(one)[0].removeprefix(headline(one)) for one in undecisive] == expected


def test_kinds_unused_candidates_and_costs_follow() -> None:
    more: dict[str, Any] = {
        "gains": [Kind(name="maths", n=40, difference=0.12), Kind(name="code", n=9, difference=0.1)]
    }
    more |= {"loses": [Kind(name="chat", n=50, difference=-0.034)], "never_needed": ["a", "b", "c"]}
    assert sentences(verdict(0.041, 0.02, 0.062, dollars=0.034, dollars_against=12.5, **more))[1:] == [
        "It gains on maths (+12.0 points) and code (+10.0 points) and loses on chat (-3.4 points).",
        "It never chose a, b or c.",
        "Its answers cost 0.034 dollars per thousand queries, those of general alone 12.50.",
    ]
    assert len(sentences(verdict(0.041, 0.02, 0.062))) == 1


# Which of two routers serves

BETTER, WORSE, LEVEL, BEHIND = (0.04, 0.02, 0.06), (-0.04, -0.06, -0.02), (0.01, -0.01, 0.03), (-0.01, -0.03, 0.01)


@pytest.mark.parametrize(
    ("against", "rival", "alone", "taken"),
    [
        (verdicts.STARTING, BETTER, LEVEL, True),
        (verdicts.STARTING, BETTER, WORSE, True),  # it is better than what serves, though one model alone is better yet
        (verdicts.STARTING, LEVEL, BETTER, True),
        (verdicts.STARTING, LEVEL, LEVEL, False),
        (verdicts.STARTING, LEVEL, WORSE, False),
        (verdicts.STARTING, BEHIND, BETTER, False),
        (verdicts.STARTING, WORSE, BETTER, False),
        (verdicts.PRESENT, BETTER, LEVEL, True),
        (verdicts.PRESENT, LEVEL, BETTER, False),  # it may have beaten that model as well
    ],
)
def test_a_new_router_serves_if_it_is_better(
    against: str, rival: tuple[float, float, float], alone: tuple[float, float, float], taken: bool
) -> None:
    report = Report(candidates={}, cross_validation=verdict(*alone, source="cross-validation"))
    other = verdict(*rival, against=against, source="judged")
    assert verdicts.takes_over(report, other) == taken
    first, *more = verdicts.settled(report, other, taken)
    assert against in first
    assert (f"so {against} stays." in " ".join(more)) != taken


def test_on_queries_that_both_have_learned_from_the_old_router_stays() -> None:
    report = Report(candidates={}, cross_validation=verdict(*BETTER))
    none = verdicts.reach_verdict(scores(9), np.full(9, np.nan), np.zeros(9), verdicts.PRESENT, "judged")
    assert not verdicts.takes_over(report, none)
    assert verdicts.takes_over(report, None)  # an old one that does not work is no rival
    (first, _) = verdicts.settled(report, none, False)
    assert first == (
        "No query is left to compare the new router with the present router: it has learned from all of them, or no "
        "model that it chose answered."
    )


# Verdicts


def scores(n: int, *kinds: str, tags: tuple[str, ...] = ()) -> Scores:
    queries = tuple(Query(str(k), "q", kinds[k % len(kinds)] if kinds else None, tags) for k in range(n))
    return Scores(queries, ("a", "b"), np.array([[0.0, 1.0]] * n))


def judged(scores: Scores, gains: np.ndarray) -> Verdict:
    return verdicts.reach_verdict(scores, gains, np.zeros(len(gains)), "a", "judged", hindsight=False)


def test_kinds_of_queries_that_gain_and_lose() -> None:
    """Three data sets: in x and y each query differs by about 1, one way and the other; in z there is no clear side."""
    gains = np.array([1.0, -1.0, 0.5] * 10) + np.arange(30) / 100
    gains[2::3] *= np.array([1.0, -1.0] * 5)
    result = judged(scores(30, "x", "y", "z"), gains)
    assert [(kind.name, kind.n) for kind in result.gains] == [("x", 10)]
    assert result.gains[0].difference == pytest.approx(1.135)  # 1 + the mean of 0, .03, ... .27
    assert [kind.name for kind in result.loses] == ["y"]
    assert result.points


def test_tags_are_the_kinds_where_there_is_one_data_set() -> None:
    queries = [Query(str(k), "q", "all of them", ("even",) if k % 2 == 0 else ("odd",)) for k in range(40)]
    table = Scores(tuple(queries), ("a", "b"), np.array([[-1.0, 1.0]] * 40))
    result = judged(table, np.array([1.0, 0.0] * 20))
    assert [kind.name for kind in result.gains] == ["even"]
    assert not result.points
    twice = Scores(tuple(replace(query, tags=query.tags * 2) for query in queries), ("a", "b"), table.scores)
    assert judged(twice, np.array([1.0, 0.0] * 20)) == result  # a tag that a line names twice counts once
    assert judged(scores(40, tags=("all",)), np.ones(40)).gains == []  # a single kind says nothing more


def test_the_largest_three_are_named() -> None:
    gains = np.tile([5.0, 1.0, 4.0, 2.0, 3.0], 12)
    result = judged(scores(60, *"vwxyz"), gains)
    assert [kind.name for kind in result.gains] == ["v", "x", "z"]


# Of a report


def held_back(low: float, high: float, n: int = 142, **more: Any) -> Evaluation:
    """Figures where the router has a mean reward of 1 and writer, the best single, 0.5, on a way of 2."""
    mean = {"chosen": 1.0, "best_single": 0.5, "oracle": 2.5, "rmr": 1.25} | more.pop("mean", {})
    return evaluation(
        n=n,
        average={"best_single": {"candidate": "writer", "score": 0.5}},
        mean={"regret": 1.5, "regret_best_single": 2.0, "regret_random": 2.2} | mean,
        interval={"chosen_minus_best_single": [low, high], "chosen_minus_rmr": [-0.4, -0.1]}
        | {"regret": [1.2, 1.8], "regret_best_single": [1.7, 2.3], "regret_random": [2.0, 2.4]},
        **more,
    )


def test_the_verdict_of_a_fleets_router_lies_with_it(tmp_path: Path) -> None:
    fleet = load_fleet(EMBEDDED)
    embedded = verdicts.load_fleet_verdict(fleet)
    assert embedded is not None
    assert headline(embedded).startswith("Routing beats always using chat by ")
    assert fleet.router is not None
    router = replace(fleet.router, path=str(tmp_path / "router"))
    elsewhere = replace(fleet, folder=tmp_path / "fleet", router=router)
    assert verdicts.load_fleet_verdict(elsewhere) is None
    (tmp_path / "report.json").write_text("{")
    assert verdicts.load_fleet_verdict(elsewhere) is None
    content = report_file()
    content["held_back"]["verdict"] = to_json(verdict(0.041, 0.02, 0.062))
    (tmp_path / "report.json").write_text(json.dumps(content))
    assert verdicts.load_fleet_verdict(elsewhere) == verdict(0.041, 0.02, 0.062)


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        # (1 - 0.5) / (2.5 - 0.5) = 25%
        (held_back(0.2, 0.8), "25% of the gap between writer and the oracle (too few queries"),
        (held_back(0.2, 0.8, gap_closed={"share": 0.25, "interval": [0.1, 0.4]}), "oracle (95% CI 10% to 40%)"),
        (held_back(0.0, 0.0, mean={"regret_best_single": 0.0}), "cannot gain anything"),
        (held_back(-1.2, -0.8, mean={"regret": 3.0}), "widens it by 50%"),
        (held_back(-1.2, -0.8, mean={"regret": 25.5}), "but makes it 13 times as wide."),
    ],
    ids=["no interval", "interval", "no way", "way back", "far back"],
)
def test_how_much_of_the_way_to_the_oracle_the_router_goes(figures: Evaluation, words: str) -> None:
    assert words in verdicts.of_held_back(figures)[0]


def test_how_often_the_router_is_the_best_choice_where_the_report_says_so() -> None:
    router, single = {"share": 0.84, "interval": [0.8, 0.88]}, {"share": 0.61, "interval": [0.5, 0.7]}
    shares = {"router": router, "best_single": single}
    sentence = verdicts.of_held_back(held_back(0.2, 0.8, best_choice=shares))[1]
    assert sentence == (
        "It chooses the best model in 84% of cases (95% CI 80% to 88%), writer alone is best in 61% (50% to 70%)."
    )
    for lacking in ({}, {"best_choice": {"router": None, "best_single": None}}):
        assert not any("of cases" in sentence for sentence in verdicts.of_held_back(held_back(0.2, 0.8, **lacking)))


def test_rmr_goes_unmentioned_where_it_is_the_oracle() -> None:
    """As on scores alone, and with one response a query: the reward model judges by what it is judged by."""
    assert not any("RMR" in sentence for sentence in verdicts.of_held_back(held_back(0.2, 0.8, mean={"rmr": 2.5})))


def test_regret_and_rmr_with_intervals_where_there_are_any() -> None:
    figures = held_back(0.2, 0.8)
    none = replace(figures, interval=figures.interval | {"regret": (float("nan"), float("nan"))})
    assert "router 1.500, writer 2.00" in verdicts.of_held_back(none)[1]
    _, regret, rmr = verdicts.of_held_back(figures)
    assert "router 1.50 (1.20 to 1.80), writer 2.00 (1.70 to 2.30)" in regret
    assert rmr == (
        "Routing is worse than RMR, which runs both models for every query, by 0.25 (95% CI 0.10 to 0.40, 142 "
        "held-back queries)."
    )


# Of a sweep


def test_betas_that_differ_or_may_be_as_good() -> None:
    (sentence,) = verdicts.of_sweep(sweep((-0.5, -0.1), (-0.4, -0.2)))
    assert "Beta 0.3 scores highest, and significantly higher than each of the other 2" in sentence
    (sentence,) = verdicts.of_sweep(sweep((-0.5, -0.1), (-0.4, 0.2)))
    assert "no significant difference from 1 of the other 2" in sentence
    assert sentence.endswith(": 1.")
    for high in (0.0, float("nan")):  # without a spread there is no interval that could leave 0 out
        (equal,) = verdicts.of_sweep(sweep((-0.5, high), (-0.4, 0.2)))
        assert "No significant difference between the 3 values of beta" in equal
    assert "nothing to compare it with" in verdicts.of_sweep(sweep())[0]
    (first,) = verdicts.of_sweep(sweep((-0.5, 0.1), (-0.4, 0.2), taus=2))
    assert "0.3 with tau 1" in first
    assert "between the 6 pairs of beta and tau" in first
    (_, sentence) = verdicts.of_sweep(sweep((-0.5, 0.1), verdict=verdict(0.041, 0.02, 0.062)))
    assert sentence.startswith("Routing with beta 0.3 beats always using general by 4.1 points")
