from __future__ import annotations

import json

import numpy as np
import pytest

from zooter_core.base.errors import Failure, ZooterError
from zooter_core.base.records import Decision, Ranked, Response
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.ui.compare import comparisons
from zooter_core.ui.compare.comparisons import Comparison, Outcome, Vote, among, leaderboard, pick, start, verdict
from zooter_core.ui.history import history
from zooter_core.ui.jobs import Answers

DECISION = Decision.of("q", {"chat": 0.2, "math": 0.8})


def ranked(first: str, second: str) -> list[Ranked]:
    tokens = {"math": 20, "chat": 80}
    return [
        Ranked(Response(name, "text", tokens=tokens[name]), 1.0 - place, place)
        for place, name in enumerate((first, second), 1)
    ]


def test_agreement_and_what_is_saved() -> None:
    text = verdict(DECISION, ranked("math", "chat"))
    assert "agree on **math**" in text
    assert "20 tokens instead of 100: 80% saved" in text


def test_disagreement_names_both_and_the_place() -> None:
    text = verdict(DECISION, ranked("chat", "math"))
    assert "puts **chat** first" in text
    assert "the router chose **math**, which ranks 2nd" in text


def test_the_chosen_candidate_may_have_failed() -> None:
    failed = Ranked(Response("math", "", finish="error", error=Failure.of("broken")))
    text = verdict(DECISION, [Ranked(Response("chat", "text", tokens=5), 0.3, 1), failed])
    assert "gave no answer" in text
    assert "saved" not in text


def test_nobody_answered() -> None:
    assert "nothing to rank" in verdict(DECISION, [Ranked(Response("math", "", error=Failure.of("broken")))])


def comparison_of_two(*, blind: bool = False, order: tuple[str, ...] = ("math", "chat")) -> Comparison:
    responses = {name: Response(name, f"says {name}", tokens=20) for name in ("chat", "math")}
    ranking = [Ranked(responses["chat"], 2.0, 1), Ranked(responses["math"], 1.0, 2)]
    texts = {name: response.text for name, response in responses.items()}
    job = Answers(("chat", "math"), texts, responses, ranking)
    return Comparison("q", DECISION, job, "a fleet", ("chat", "math"), {"math": 50.0}, order, blind=blind, hidden=blind)


def test_names_are_letters_until_the_vote_which_is_kept() -> None:
    comparison = comparison_of_two(blind=True)
    assert [comparison.label(name) for name in comparison.order] == ["Response A", "Response B"]
    comparison.cast("best", "chat")
    assert comparison.label("chat") == "chat"
    assert comparison.vote is not None
    assert (comparison.vote.blind, comparison.vote.best, comparison.vote.router, comparison.vote.reward) == (
        True,
        "chat",
        "math",
        "chat",
    )
    assert not comparison.votable  # the names are known now
    assert comparisons.read_votes(history().votes("a fleet"))[-1] == comparison.vote


def test_an_open_vote_can_be_changed() -> None:
    comparison = comparison_of_two()
    comparison.cast("best", "chat")
    assert comparison.votable
    comparison.cast("tie")
    assert comparison.vote is not None
    assert (comparison.vote.outcome, comparison.vote.best, comparison.vote.blind) == ("tie", None, False)


def test_a_vote_after_the_names_were_shown_is_not_blind() -> None:
    comparison = comparison_of_two(blind=True)
    comparison.reveal()
    assert comparison.votable
    comparison.cast("none")
    assert comparison.vote is not None
    assert not comparison.vote.blind


def test_there_is_no_vote_on_one_response() -> None:
    comparison = comparison_of_two()
    comparison.job.responses["chat"] = Response("chat", "", finish="error", error=Failure.of("broken"))
    assert comparison.answered == ["math"]
    assert not comparison.votable


def test_cost_is_tokens_times_price_and_none_without_one() -> None:
    comparison = comparison_of_two()
    assert comparison.usd(comparison.job.responses["math"]) == pytest.approx(20 * 50 / 1e6)
    assert comparison.usd(comparison.job.responses["chat"]) is None


def test_everything_is_in_its_json() -> None:
    comparison = comparison_of_two(blind=True)
    comparison.cast("best", "math")
    shape = json.loads(json.dumps(comparison.to_json()))
    assert [item["candidate"] for item in shape["responses"]] == ["chat", "math"]
    assert [item["rank"] for item in shape["responses"]] == [1, 2]
    assert [item["usd"] for item in shape["responses"]] == [None, 0.001]
    assert shape["responses"][0]["text"] == "says chat"
    assert shape["route"]["probabilities"] == {"chat": 0.2, "math": 0.8}
    assert shape["vote"]["best"] == "math"


def test_a_decision_among_some_has_shares_of_one_and_a_choice_among_them() -> None:
    decision = Decision.of("q", {"a": 0.5, "b": 0.3, "c": 0.2})
    part = among(decision, ("b", "c"))
    assert dict(part.probabilities) == pytest.approx({"b": 0.6, "c": 0.4})
    assert part.candidate == "b"
    assert among(decision, ("c", "b", "a")) is decision
    assert among(Decision.of("q", {"a": 1.0, "b": 0.0, "c": 0.0}), ("b", "c")).probabilities == {"b": 0.5, "c": 0.5}


def test_fewer_than_two_are_refused_and_none_means_all() -> None:
    assert pick(("a", "b", "c"), ()) == ("a", "b", "c")
    assert pick(("a", "b", "c"), ("c", "a")) == ("a", "c")
    with pytest.raises(ZooterError, match="at least two models"):
        pick(("a", "b"), ("b",))


def test_a_blind_order_is_drawn_anew(tiny_ensemble: Ensemble) -> None:
    comparisons = [start(tiny_ensemble, "Hello", blind=True) for _ in range(12)]
    for comparison in comparisons:
        comparison.job.stop()
        comparison.job.wait(60)
        assert set(comparison.order) == set(comparison.job.candidates)
    assert len({comparison.order for comparison in comparisons}) > 1  # by chance all alike once in 360 million
    assert start(tiny_ensemble, "Hello", ("two", "base"), previous=comparisons[0]).order == ("base", "two")


def vote(best: str | None, router: str = "a", reward: str = "b", *, outcome: Outcome = "best", of: str = "abc") -> Vote:
    return Vote("q", tuple(of), outcome, best, router, reward, blind=best == "c")


def test_a_vote_comes_back_as_it_was() -> None:
    cast = vote("a")
    assert comparisons.read_votes([json.loads(json.dumps(cast.to_json())), {"kind": "other"}, {"best": "x"}]) == [cast]


def test_counts_by_hand() -> None:
    cast = [vote("a"), vote("b"), vote("c"), vote("a", of="ab"), vote(None, outcome="tie"), vote(None, outcome="none")]
    total, router, reward = comparisons.vote_lines(cast)
    assert total == "6 votes, 1 of them blind: 4 for one response, 1 tie, 1 for none."
    assert "**2 of 4**" in router  # a twice
    assert "a random choice would match 1.5." in router  # 3 * (1 / 3) + 1 / 2
    assert "**1 of 4** (25%, 95% interval 5% to 70%)" in reward  # b once


def test_the_words_state_the_counts() -> None:
    text = " ".join(comparisons.vote_lines([vote("a"), vote("b"), vote(None, outcome="tie")]))
    assert "3 votes, 0 of them blind: 2 for one response, 1 tie, 0 for none." in text
    assert "**1 of 2** (50%, 95% interval 9% to 91%)" in text
    assert "a random choice would match 0.7." in text


def test_a_vote_of_an_older_version_has_no_tag() -> None:
    record = vote("a").to_json()
    del record["tag"]
    assert comparisons.read_votes([record])[0].tag == ""


def test_the_next_pair_is_the_one_that_nobody_has_voted_on() -> None:
    cast = [vote_among(("a", "b")[n % 2], "a", "b") for n in range(60)]
    cast += [vote_among(("a", "c")[n % 2], "a", "c") for n in range(60)]
    cast += [vote_among("d", "d", "a"), vote_among("a", "d", "a")]
    assert {comparisons.telling_pair(cast, ("a", "b", "d")) for _ in range(20)} <= {("a", "d"), ("b", "d")}
    assert len({comparisons.telling_pair([], ("a", "b", "c")) for _ in range(50)}) == 3  # without votes, any


def test_no_votes_and_only_ties_divide_by_nothing() -> None:
    assert "No votes" in comparisons.vote_lines([])[0]
    assert len(comparisons.vote_lines([vote(None, outcome="tie")])) == 1


def vote_among(best: str | None, *candidates: str) -> Vote:
    return Vote("?", candidates, "best" if best else "tie", best, candidates[0], None, True)


def test_strengths_are_shares_of_wins_where_all_compete() -> None:
    votes = [vote_among("a", "a", "b")] * 5 + [vote_among("b", "a", "b")] * 2 + [vote_among(None, "a", "b")] * 9
    a, b = leaderboard(votes)
    assert (a.name, a.won, a.votes) == ("a", 5, 7)
    assert a.strength == pytest.approx(6 / 9, abs=0.01)  # Beta(1 + 5, 1 + 2)
    assert b.strength == pytest.approx(3 / 9, abs=0.01)
    assert (a.low, a.high) == pytest.approx((0.349, 0.915), abs=0.02)


def test_a_single_vote_leaves_a_wide_interval() -> None:
    """Beta(2, 1), whose distribution function is x^2: the mean is 2/3, and the ends are the roots of .025 and .975."""
    a, b = leaderboard([vote_among("a", "a", "b")])
    assert (a.strength, a.low, a.high) == pytest.approx((2 / 3, 0.158, 0.987), abs=0.015)
    assert (b.strength, b.low, b.high) == pytest.approx((1 / 3, 0.013, 0.842), abs=0.015)


def test_a_single_vote_among_five_says_next_to_nothing() -> None:
    """Dirichlet(2, 1, 1, 1, 1): the winner has Beta(2, 4), the others Beta(1, 5), which ends at 1 - .025^(1/5)."""
    first, *others = leaderboard([vote_among("a", *"abcde")])
    assert first.name == "a"
    assert (first.strength, first.low, first.high) == pytest.approx((1 / 3, 0.053, 0.716), abs=0.02)
    assert [(row.strength, row.low, row.high) for row in others] == [pytest.approx((1 / 6, 0.005, 0.522), abs=0.02)] * 4


def test_where_models_meet_in_pairs_the_posterior_is_that_of_its_density() -> None:
    """a beat b and b beat c: the density is a / (a + b) * b / (b + c) on the simplex, here summed over a grid."""
    grid = (np.indices((200, 200)).reshape(2, -1) + 0.5) / 200
    one, two = grid[:, grid.sum(axis=0) < 1]
    weight = one / (one + two) * two / (1 - one)
    means = [float((weight * part).sum() / weight.sum()) for part in (one, two, 1 - one - two)]
    rows = {row.name: row.strength for row in leaderboard([vote_among("a", "a", "b"), vote_among("b", "b", "c")])}
    assert [rows[name] for name in "abc"] == pytest.approx(means, abs=0.015)


def test_a_model_that_beats_a_strong_one_is_stronger() -> None:
    votes = [vote_among("a", "a", "b")] * 30 + [vote_among("b", "b", "c")] * 30
    rows = {row.name: row.strength for row in leaderboard(votes)}
    assert rows["a"] > rows["b"] > rows["c"]


def test_no_votes_no_rows() -> None:
    assert leaderboard([vote_among(None, "a", "b")]) == []
