"""What thinking costs and earns, on answers whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from zooter_core.method.thinking import EVERY, LEAST, AnswerTable, worth_of_thinking

POOL = ("small", "big", "big-thinks")


def answers(n: int = 60, thinks: int = 2) -> tuple[AnswerTable, list[tuple[str, ...]]]:
    """`big-thinks` earns 1 more than `big` on sums alone, and thinks 300 tokens; every second query is a sum."""
    dice = np.random.default_rng(1)
    sums = np.arange(n) % 2 == 0
    rewards = dice.normal(0, 0.1, (n, 3))
    rewards[:, 1:] += 1.0
    rewards[sums, 2] += 1.0
    tokens, thoughts = np.full((n, 3), 50.0), np.zeros((n, 3))
    tokens[:, thinks], thoughts[:, thinks] = 350.0, 300.0
    seconds = tokens / 100
    return AnswerTable(rewards, tokens, thoughts, seconds, np.full((n, 3), np.nan)), [
        ("sum",) if is_sum else ("chat",) for is_sum in sums
    ]


def test_the_best_that_thinks_is_compared_with_the_best_that_does_not_by_kind() -> None:
    table, kinds = answers()
    every, *others = worth_of_thinking(POOL, table, kinds)
    assert (every.kind, every.thinker, every.other, every.twins) == (EVERY, "big-thinks", "big", False)
    of = {row.kind: row for row in others}
    assert of["sum"].clear
    assert of["sum"].reward.mean == pytest.approx(1, abs=0.1)
    assert not of["chat"].clear
    assert every.reward.mean == pytest.approx((of["sum"].reward.mean + of["chat"].reward.mean) / 2)
    assert (every.tokens.mean, every.seconds.mean, every.dollars) == (300, pytest.approx(3), None)


def test_twins_are_compared_with_each_other_even_if_another_model_is_better() -> None:
    table, kinds = answers()
    table.rewards[:, 0] += 5
    pairs = {
        (row.thinker, row.other, row.twins) for row in worth_of_thinking(POOL, table, kinds, [["big", "big-thinks"]])
    }
    assert pairs == {("big-thinks", "big", True)}
    gone = worth_of_thinking(POOL, table, kinds, [["big-thinks", "elsewhere"]])
    assert {(row.thinker, row.other) for row in gone} == {("big-thinks", "small")}


def test_twins_that_think_more_and_less() -> None:
    table, kinds = answers()
    table.thoughts[:, 1] = 100
    rows = worth_of_thinking(POOL, table, kinds, [["big-thinks", "big"]])
    assert (rows[0].thinker, rows[0].other) == ("big-thinks", "big")


@pytest.mark.parametrize("case", ["nobody thinks", "all think", "nothing was counted", "too few"])
def test_without_two_sides_nothing_is_said(case: str) -> None:
    table, kinds = answers(LEAST - 1 if case == "too few" else 60)
    if case != "too few":
        table.thoughts[:] = {"nobody thinks": 0, "all think": 9, "nothing was counted": np.nan}[case]
    assert worth_of_thinking(POOL, table, kinds) == []


def test_a_failed_answer_is_left_out_of_both_sides() -> None:
    table, kinds = answers()
    table.rewards[:20, 2] = np.nan
    table.tokens[:20, 2] = 9999
    every = worth_of_thinking(POOL, table, kinds)[0]
    assert (every.reward.n, every.tokens.n, every.tokens.mean) == (40, 40, 300)
