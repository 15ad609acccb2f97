from __future__ import annotations

import json

import pytest

from support.patience import PATIENCE
from zooter_core.base.errors import Failure, ZooterError
from zooter_core.base.records import Decision, Ranked, Response
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.ui.compare import comparisons
from zooter_core.ui.compare.comparisons import Comparison, Outcome, Vote, leaderboard, pick, start, verdict
from zooter_core.ui.history import history
from zooter_core.ui.jobs import Answers

DECISION = Decision.of("q", {"chat": 0.2, "math": 0.8})


def ranked(*names: str) -> list[Ranked]:
    """Responses to DECISION's query, the best first; one whose name is in capitals failed."""
    tokens = {"math": 20, "chat": 80}
    failed = {"error": Failure.of("broken"), "finish": "error"}
    return [
        Ranked(Response(name.lower(), "", **failed))
        if name.isupper()
        else Ranked(Response(name, "text", tokens=tokens[name]), 1.0 - place, place)
        for place, name in enumerate(names, 1)
    ]


@pytest.mark.parametrize(
    ("names", "sentences"),
    [
        (("math", "chat"), ("agree on **math**", "20 tokens instead of 100: 80% saved")),
        (("chat", "math"), ("puts **chat** first", "the router chose **math**, which ranks 2nd", "80% saved")),
        (("chat", "MATH"), ("which gave no answer.",)),
        (("MATH",), ("nothing to rank",)),
    ],
)
def test_the_verdict_compares_router_and_reward_model(names: tuple[str, ...], sentences: tuple[str, ...]) -> None:
    text = verdict(DECISION, ranked(*names))
    assert [sentence for sentence in sentences if sentence not in text] == []
    assert ("saved" in text) == all(name.islower() for name in names)


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
    vote = comparison.vote
    assert (vote.blind, vote.best, vote.choice, vote.reward) == (True, "chat", "math", "chat")
    assert not comparison.votable  # the names are known now
    comparison.cast("best", "math")  # by the key that was pressed twice
    assert comparison.vote is vote
    assert comparisons.read_votes(history().votes("a fleet"))[-1] == vote


@pytest.mark.parametrize("blind", [False, True])
def test_an_open_vote_can_be_changed(blind: bool) -> None:
    comparison = comparison_of_two(blind=blind)
    comparison.reveal()  # it is open now
    comparison.cast("best", "chat")
    assert comparison.votable
    comparison.cast("tie")
    assert (comparison.vote.outcome, comparison.vote.best, comparison.vote.blind) == ("tie", None, False)


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


def test_a_choice_that_was_not_compared_is_named_and_no_other_takes_its_place() -> None:
    decision = Decision.of("q", {"chat": 0.19, "math": 0.18, "code": 0.63})
    text = verdict(decision, ranked("math", "chat"))
    assert "puts **math** first" in text
    assert "would have asked **code** (63%)" in text
    assert "agree" not in text
    assert "chose" not in text


def test_most_rounds_judge_the_routers_choice_and_mostly_by_a_close_one() -> None:
    decision = Decision.of("q", {"a": 0.05, "b": 0.6, "c": 0.35, "d": 0.0})
    rounds = [comparisons.judging_pair(decision, [], tuple("abcd")) for _ in range(400)]
    judged = [pair for pair in rounds if "b" in pair]
    assert len(judged) > 300  # 360 are expected: 4 of 5, and half of the others
    assert rounds.count(("b", "c")) > 2 * rounds.count(("a", "b"))
    assert {comparisons.judging_pair(decision, [], tuple("acd")) for _ in range(80)} == {
        *(("a", "c"), ("a", "d"), ("c", "d"))
    }


def test_fewer_than_two_are_refused_and_none_means_all() -> None:
    assert pick(("a", "b", "c"), ()) == ("a", "b", "c")
    assert pick(("a", "b", "c"), ("c", "a")) == ("a", "c")
    with pytest.raises(ZooterError, match="at least two models"):
        pick(("a", "b"), ("b",))


def test_a_blind_order_is_drawn_anew(tiny_ensemble: Ensemble) -> None:
    comparisons = [start(tiny_ensemble, "Hello", blind=True) for _ in range(12)]
    for comparison in comparisons:
        comparison.job.stop()
        comparison.job.wait(PATIENCE)
        assert set(comparison.order) == set(comparison.job.candidates)
    assert len({comparison.order for comparison in comparisons}) > 1  # by chance all alike once in 360 million
    assert start(tiny_ensemble, "Hello", ("two", "base"), previous=comparisons[0]).order == ("base", "two")


def vote(best: str | None, choice: str = "a", reward: str = "b", *, outcome: Outcome = "best", of: str = "abc") -> Vote:
    return Vote("q", tuple(of), outcome, best, reward, blind=best == "c", choice=choice)


def test_a_vote_comes_back_as_it_was() -> None:
    cast = vote("a")
    record = json.loads(json.dumps(cast.to_json()))
    assert comparisons.read_votes([record, {"kind": "other"}, {"best": "x"}]) == [cast]
    del record["tag"]  # as in an older version
    assert comparisons.read_votes([record]) == [cast]


def test_counts_by_hand() -> None:
    cast = [vote("a"), vote("b"), vote("c"), vote("a", of="ab"), vote(None, outcome="tie"), vote(None, outcome="none")]
    total, reward, router = comparisons.vote_lines([*cast, vote("b", of="bc"), vote("b", "", of="ab")])
    assert total == "8 votes, 1 of them blind: 6 for one response, 1 tie, 1 for none."
    assert "**2 of 4**" in router  # a twice; neither the choice that was not compared nor an older vote counts
    assert "a random choice would match 38%." in router  # (3 * (1 / 3) + 1 / 2) / 4
    assert "**3 of 6** (50%, 95% interval 19% to 81%)" in reward  # b three times
    assert comparisons.vote_lines([vote("a")])[0] == "1 vote: 1 for one response."


def test_the_next_pair_is_one_of_those_that_nobody_has_voted_on(monkeypatch: pytest.MonkeyPatch) -> None:
    lots: list[list[tuple[int, int]]] = []  # the pairs among which is drawn
    monkeypatch.setattr("random.choice", lambda best: lots.append(best) or best[0])
    cast = [vote_among(("a", "b")[n % 2], "a", "b") for n in range(60)]
    cast += [vote_among(("a", "c")[n % 2], "a", "c") for n in range(60)]
    cast += [vote_among("d", "d", "a"), vote_among("a", "d", "a")]
    assert comparisons.telling_pair(cast, ("a", "b", "d")) in {("a", "d"), ("b", "d")}
    assert set(lots.pop()) <= {(0, 2), (1, 2)}
    assert comparisons.telling_pair([], ("a", "b", "c")) == ("a", "b")  # without votes, any
    assert lots == [[(0, 1), (0, 2), (1, 2)]]


def test_no_votes_and_only_ties_divide_by_nothing() -> None:
    ties = [vote(None, outcome="tie")]
    assert "No votes" in comparisons.vote_lines([])[0]
    assert len(comparisons.vote_lines(ties)) == 1
    assert leaderboard(ties) == []


def vote_among(best: str | None, *candidates: str) -> Vote:
    return Vote("?", candidates, "best" if best else "tie", best, None, True, choice=candidates[0])


def test_the_leaderboard_has_strengths_with_intervals() -> None:
    """5.5 wins to 2.5, with half a vote each beforehand: log-odds of 0.788 with a standard error of 0.763."""
    cast = [vote_among("a", "a", "b")] * 5 + [vote_among("b", "a", "b")] * 2 + [vote_among(None, "a", "b")] * 9
    first, second = leaderboard(cast)
    assert (first.name, first.won, first.votes) == ("a", 5, 7)
    assert (first.strength, first.low, first.high) == pytest.approx((5.5 / 8, 0.330, 0.908), abs=5e-4)
    assert (second.name, second.won, second.votes) == ("b", 2, 7)
    assert (second.strength, second.low, second.high) == pytest.approx((2.5 / 8, 0.092, 0.670), abs=5e-4)
