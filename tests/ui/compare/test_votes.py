from __future__ import annotations

import json

from zooter_core.ui.compare import comparisons
from zooter_core.ui.compare.comparisons import Outcome, Vote


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
    assert "**1 of 4** (25%)" in reward  # b once


def test_the_words_state_the_counts() -> None:
    text = " ".join(comparisons.vote_lines([vote("a"), vote("b"), vote(None, outcome="tie")]))
    assert "3 votes, 0 of them blind: 2 for one response, 1 tie, 0 for none." in text
    assert "**1 of 2** (50%, 95% interval 9% to 91%)" in text
    assert "a random choice would match 0.7." in text


def test_no_votes_and_only_ties_divide_by_nothing() -> None:
    assert "No votes" in comparisons.vote_lines([])[0]
    assert len(comparisons.vote_lines([vote(None, outcome="tie")])) == 1
