from __future__ import annotations

import json

import pytest

from zooter_core.base.records import Decision, Vote, VoteOutcome
from zooter_core.ui.compare import votes


def vote(best: str | None, choice: str = "a", *, outcome: VoteOutcome = "best", of: str = "abc") -> Vote:
    return Vote("q", tuple(of), outcome, best, "b", blind=best == "c", choice=choice)


def test_a_vote_comes_back_as_it_was() -> None:
    cast = vote("a")
    record = json.loads(json.dumps(cast.to_json()))
    assert votes.read_votes([record, {"kind": "other"}, {"best": "x"}]) == [cast]
    del record["tag"]  # as in an older version
    assert votes.read_votes([record]) == [cast]


def test_counts_by_hand() -> None:
    cast = [vote("a"), vote("b"), vote("c"), vote("a", of="ab"), vote(None, outcome="tie"), vote(None, outcome="none")]
    total, reward, router = votes.describe_votes([*cast, vote("b", of="bc"), vote("b", "", of="ab")])
    assert total == "8 votes (1 blind): 6 for one response, 1 tie, 1 for none."
    assert "**2 of 4**" in router  # a twice; neither the choice that was not compared nor an older vote counts
    assert "a random choice would match 38%." in router  # (3 * (1 / 3) + 1 / 2) / 4
    assert "**3 of 6** (50%, 95% interval 19% to 81%)" in reward  # b three times
    assert votes.describe_votes([vote("a")])[0] == "1 vote: 1 for one response."


def test_no_votes_and_only_ties_divide_by_nothing() -> None:
    ties = [vote(None, outcome="tie")]
    assert "No votes" in votes.describe_votes([])[0]
    assert len(votes.describe_votes(ties)) == 1
    assert votes.leaderboard(ties) == []


def test_the_leaderboard_has_strengths_with_intervals() -> None:
    """5.5 wins to 2.5, with half a vote each beforehand: log-odds of 0.788 with a standard error of 0.763."""
    cast = [vote("a", of="ab")] * 5 + [vote("b", of="ab")] * 2 + [vote(None, outcome="tie", of="ab")] * 9
    first, second = votes.leaderboard(cast)
    assert (first.name, first.won, first.votes) == ("a", 5, 7)
    assert (first.strength, first.low, first.high) == pytest.approx((5.5 / 8, 0.330, 0.908), abs=5e-4)
    assert (second.name, second.won, second.votes) == ("b", 2, 7)
    assert (second.strength, second.low, second.high) == pytest.approx((2.5 / 8, 0.092, 0.670), abs=5e-4)


def test_most_rounds_judge_the_routers_choice_and_mostly_by_a_close_one() -> None:
    decision = Decision.of("q", {"a": 0.05, "b": 0.6, "c": 0.35, "d": 0.0})
    rounds = [votes.pick_pair(decision, tuple("abcd")) for _ in range(400)]
    judged = [pair for pair in rounds if "b" in pair]
    assert len(judged) > 300  # 360 are expected: 4 of 5, and half of the others
    assert rounds.count(("b", "c")) > 2 * rounds.count(("a", "b"))
    without = {votes.pick_pair(decision, tuple("acd")) for _ in range(80)}
    assert without == {("a", "c"), ("a", "d"), ("c", "d")}
