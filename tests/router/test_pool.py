"""A router for a part of its pool, or for models that stand in for it; all numbers worked by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from support.sample_report import report
from support.tiny_models import POOL, QUERIES
from zooter_core.base.errors import ZooterError
from zooter_core.base.records import Query
from zooter_core.config.fleet import fleet_toml, load_fleet
from zooter_core.data.scores import Scores
from zooter_core.evaluation import verdicts
from zooter_core.evaluation.evaluate import evaluate
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.method.labels import softmax
from zooter_core.router.encoder import Encoders
from zooter_core.router.neighbours import Neighbours
from zooter_core.router.router import Router, restrict_rows

ROWS = np.array([[0.5, 0.3, 0.2], [0.0, 0.0, 1.0]])


@pytest.fixture(scope="module")
def router(tiny_fleet: Path) -> Router:
    return Router.load(tiny_fleet / "router", Encoders())


def test_a_part_of_the_pool_is_divided_by_its_sum():
    """c 0.2 and a 0.5, of 0.7. Candidates that all have no probability are equally likely."""
    assert restrict_rows(ROWS, [2, 0]) == pytest.approx(np.array([[2 / 7, 5 / 7], [1, 0]]))
    assert restrict_rows(ROWS[1:], [0, 1]).tolist() == [[0.5, 0.5]]


def test_two_that_are_routed_as_one_share_it_evenly():
    """Two as a (0.5): 0.25 each. One as c: 0.2. Sum 0.7."""
    columns = [0, 2, 0]
    assert restrict_rows(ROWS[:1], columns) == pytest.approx(np.array([[0.25, 0.2, 0.25]]) / 0.7)


def test_a_router_for_a_part_is_a_router(router):
    part, full = router.for_pool(("two", "base")), router.probabilities(QUERIES[:3])
    assert part.candidates == ("two", "base")
    assert part.encoder is router.encoder
    assert part.probabilities(QUERIES[:3]) == pytest.approx(softmax(np.log(full[:, [2, 0]])))
    assert part.probabilities_all(QUERIES[:3]) == pytest.approx(part.probabilities(QUERIES[:3]), abs=1e-5)
    assert part.for_pool(("mine",), ("base",)).probabilities(QUERIES[:1]).tolist() == [[1.0]]
    assert [list(decision.probabilities) for decision in part.route(QUERIES[:2])] == [["two", "base"]] * 2


def test_other_names_for_the_same_candidates(router):
    renamed = router.for_pool(("x", "one", "z"), ("two", "one", "base"))
    assert renamed.candidates == ("x", "one", "z")
    assert renamed.probabilities(QUERIES) == pytest.approx(router.probabilities(QUERIES)[:, [2, 1, 0]])
    assert router.for_pool(POOL[::-1]) is router
    swapped = router.for_pool(POOL, ("one", "base", "two"))
    assert swapped.probabilities(QUERIES) == pytest.approx(router.probabilities(QUERIES)[:, [1, 0, 2]])


def test_a_name_that_the_router_lacks_is_refused(router):
    with pytest.raises(ZooterError, match="what zwei is to be routed as") as caught:
        router.for_pool(("base", "zwei"))
    assert "a router for the candidates base, zwei, but found one for base, one, two" in str(caught.value)


def test_a_part_is_not_saved_as_the_whole(router, tmp_path):
    with pytest.raises(ZooterError, match="call `for_pool` where you load it"):
        router.for_pool(("base", "two")).save(tmp_path / "part")


def test_neighbours_are_those_of_the_pool():
    """a and its twin share a's label: 0.375 each and b 0.25, of 1; rewards stay as they are."""
    learned = Scores((Query("1", "Add 2 and 3"),), ("a", "b"), np.array([[2.0, -1.5]]))
    shares = np.array([[0.75, 0.25]])
    neighbours = Neighbours.of(learned, np.array([[1.0, 0.0]]), shares, shares)
    (near,) = neighbours.for_pool(("twin", "b", "a"), ("a", "b", "a")).nearest(np.array([1.0, 0.0]))
    assert near.label == pytest.approx({"twin": 0.375, "b": 0.25, "a": 0.375})
    assert near.rewards == {"twin": 2.0, "b": -1.5, "a": 2.0}
    alone = neighbours.for_pool(("b",), ("b",))
    assert (alone.candidates, alone.share("b")) == (("b",), 1.0)
    joined = neighbours.for_pool(("c", "b", "a"), ("c", "b", "a"))  # c came after the training
    assert (joined.candidates, joined.share("a")) == (("b", "a"), 0.75)
    assert neighbours.for_pool(("c",), ("c",)) is None


def test_a_fleet_routes_between_what_it_has(fleet_copy):
    file = fleet_copy / "fleet.toml"
    text = file.read_text().replace('name = "base"', 'name = "mine"\nrouted_as = "base"')
    file.write_text(text[: text.rindex("[[candidate]]")])
    fleet = load_fleet(fleet_copy)
    assert (fleet.pool, fleet.routed_as) == (("mine", "one"), ("base", "one"))
    ensemble = Ensemble(fleet)
    full = Router.load(fleet_copy / "router").probabilities([QUERIES[0]])[0]
    decision = ensemble.route(QUERIES[0])
    assert decision.probabilities["mine"] == pytest.approx(full[0] / (full[0] + full[1]))
    assert ensemble.explain(decision).candidate == decision.candidate
    assert "routed_as" not in fleet_toml(fleet, "next", fleet_copy.parent / "next", "router")


def test_a_router_may_know_candidates_by_their_own_names_or_by_those_of_their_servers(fleet_copy):
    """`zooter init` writes `routed_as` for a router that comes along; scores may name a model as its server does."""
    fleet = load_fleet(fleet_copy)
    named = [("mine", "base", "another"), ("one", "llama-3.1-8b-instruct", "two"), ("three", None, "two")]
    candidates = [
        replace(one, name=name, routed_as=as_, model=model)
        for one, (name, as_, model) in zip(fleet.candidates, named, strict=True)
    ]
    renamed = Ensemble(replace(fleet, candidates=tuple(candidates)))
    before = Router.load(fleet_copy / "router").probabilities([QUERIES[0]])[0]
    assert list(renamed.route(QUERIES[0]).probabilities.values()) == pytest.approx(sorted(before, reverse=True))


def test_a_verdict_about_more_candidates_is_not_the_fleets(fleet_copy):
    """The report of a training for a and b: a fleet of both has its verdict, one of a alone has none."""
    content = report()
    content["held_back"]["n"] = 100
    (fleet_copy / "report.json").write_text(json.dumps(content))
    fleet = load_fleet(fleet_copy)
    two = tuple(replace(one, routed_as=name) for one, name in zip(fleet.candidates, ("a", "b"), strict=False))
    assert verdicts.load_fleet_verdict(replace(fleet, candidates=two))
    assert verdicts.load_fleet_verdict(replace(fleet, candidates=two[:1])) is None


def test_a_router_is_measured_on_scores_of_a_part_of_its_pool(router):
    queries = tuple(Query(str(number), text) for number, text in enumerate(QUERIES[:4]))
    scores = Scores(queries, ("two", "one"), np.arange(8.0).reshape(4, 2))
    figures = evaluate(router, scores)["average"]
    chosen = router.probabilities(QUERIES[:4])[:, [2, 1]].argmax(axis=1)
    assert figures["chosen"] == pytest.approx(scores.scores[np.arange(4), chosen].mean())
