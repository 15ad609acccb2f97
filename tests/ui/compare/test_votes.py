from __future__ import annotations

import json

import pytest

from zooter_core.ui.compare import votes
from zooter_core.ui.compare.votes import Outcome, Vote


def vote(best: str | None, router: str = "a", reward: str = "b", *, outcome: Outcome = "best", of: str = "abc") -> Vote:
    return Vote("q", tuple(of), outcome, best, router, reward, blind=best == "c")


def test_a_vote_comes_back_as_it_was() -> None:
    cast = vote("a")
    assert votes.read([json.loads(json.dumps(cast.to_json())), {"kind": "other"}, {"best": "x"}]) == [cast]


def test_counts_by_hand() -> None:
    found = votes.tally(
        [vote("a"), vote("b"), vote("c"), vote("a", of="ab"), vote(None, outcome="tie"), vote(None, outcome="none")]
    )
    assert (found.votes, found.decided, found.blind, found.ties, found.nones) == (6, 4, 1, 1, 1)
    assert (found.router, found.reward) == (2, 1)  # a twice, b once
    assert found.chance == pytest.approx(3 * (1 / 3) + 1 / 2)
    assert dict(found.won) == {"a": 2, "b": 1, "c": 1}
    assert dict(found.shown) == {"a": 6, "b": 6, "c": 5}


def test_the_words_state_the_counts() -> None:
    said = " ".join(votes.spoken(votes.tally([vote("a"), vote("b"), vote(None, outcome="tie")])))
    assert "3 votes, 0 of them blind: 2 for one response, 1 tie, 0 for none." in said
    assert "**1 of 2** (50%" in said
    assert "by chance would be in 0.7." in said


def test_no_votes_and_only_ties_divide_by_nothing() -> None:
    assert "No votes" in votes.spoken(votes.tally([]))[0]
    assert len(votes.spoken(votes.tally([vote(None, outcome="tie")]))) == 1
