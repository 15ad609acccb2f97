from __future__ import annotations

import pytest

from zooter_core.ui.compare.comparisons import Vote, leaderboard


def vote(best: str | None, *candidates: str) -> Vote:
    return Vote("?", candidates, "best" if best else "tie", best, candidates[0], None, True)


def test_strengths_are_shares_of_wins_where_all_compete() -> None:
    votes = [vote("a", "a", "b")] * 5 + [vote("b", "a", "b")] * 2 + [vote(None, "a", "b")] * 9
    a, b = leaderboard(votes)
    assert (a.name, a.strength, a.won, a.votes) == ("a", pytest.approx(6 / 9), 5, 7)  # each also wins one vote
    assert b.strength == pytest.approx(3 / 9)
    assert a.low < a.strength < a.high


def test_a_model_that_beats_a_strong_one_is_stronger() -> None:
    votes = [vote("a", "a", "b")] * 30 + [vote("b", "b", "c")] * 30
    rows = {row.name: row.strength for row in leaderboard(votes)}
    assert rows["a"] > rows["b"] > rows["c"]


def test_no_votes_no_rows() -> None:
    assert leaderboard([vote(None, "a", "b")]) == []
