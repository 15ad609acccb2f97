"""The bet on pairs, worked by hand, and its promise by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from zooter_core.method.promotion import Gate, capital, evidence


def test_the_first_bet_is_nothing_and_the_second_follows_the_first_pair():
    """d / b = .5, then 1: means 0 and .5 / 2, squares .25 and (.25 + .25) / 2; the bets are 0 and min(1, .5)."""
    assert capital(np.array([1.0, 2.0]), bound=2.0) == pytest.approx([1.0, 1.5])


def test_a_pair_that_goes_wrong_takes_half_at_most():
    assert capital(np.array([1.0, 1.0, -5.0]), bound=1.0)[-1] == pytest.approx(1.5 * 0.5)  # -5 is cut to -1


def test_who_loses_stops_betting():
    assert capital(np.full(50, -1.0), bound=1.0) == pytest.approx(np.ones(50))


def test_a_clear_gain_is_proved_and_no_gain_is_not():
    assert evidence(np.full(40, 1.0), 1.0, Gate()).proved
    even = evidence(np.tile([1.0, -1.0], 200), 1.0, Gate())
    assert (even.proved, even.passes, even.mean) == (False, False, 0.0)


def test_the_gate_takes_enough_pairs_with_enough_of_a_mean():
    """Mean .2 of 100 values +-1 in the ratio 60 to 40: the standard error is sqrt(.96) / 10 = .098."""
    pairs = np.tile([1.0, -1.0, 1.0, -1.0, 1.0], 20)
    assert evidence(pairs, 1.0, Gate(100, errors=2.0)).passes
    assert not evidence(pairs, 1.0, Gate(100, errors=2.1)).passes
    assert not evidence(pairs, 1.0, Gate(100, margin=0.21)).passes
    assert not evidence(pairs[1:], 1.0, Gate(100, errors=0.0)).passes  # 99 pairs
    assert not evidence(pairs, 0.0, Gate(100, errors=0.0)).passes  # nothing differs at all


def test_the_gate_takes_50_pairs_by_default_and_looks_at_the_latest():
    """31 won and 19 lost: the mean is .24, its standard error sqrt(1 - .24^2) / sqrt(50) = .137, 1.5 of them are .206.

    With 30 won the mean is .2, which is the margin, but below 1.5 standard errors (.139 each).
    """
    won, lost, gate = [1.0], [-1.0], Gate(bound=40.0)
    assert evidence(np.array(31 * won + 19 * lost), 1.0, gate).passes
    assert not evidence(np.array(30 * won + 20 * lost), 1.0, gate).passes
    assert not evidence(np.array(30 * won + 19 * lost), 1.0, gate).passes  # 49 pairs
    assert evidence(np.array(100 * lost + 31 * won + 19 * lost), 1.0, gate).passes
    assert not evidence(np.array(31 * won + 19 * lost), 1.3, gate).passes  # .24 is below .2 * 1.3


def test_without_a_pair_nothing_is_said():
    nothing = evidence(np.array([]), 1.0, Gate())
    assert nothing.mean is None
    assert (nothing.pairs, nothing.passes) == (0, False)


@pytest.mark.parametrize("shift", [0.0, -0.05])
def test_looking_after_every_pair_proves_by_mistake_as_seldom_as_promised(shift):
    """1,000 streams of 500 pairs of a challenger that is no better: at most 5% (and a margin of chance)."""
    rng = np.random.default_rng(0)
    pairs = rng.choice([-1.0, 0.0, 1.0], size=(1000, 500)) + shift
    wrong = np.mean([(capital(row, 2.0) >= 20).any() for row in pairs])
    assert wrong <= 0.05


def test_a_real_gain_is_proved_in_the_end():
    """A mean of .3 on a standard deviation of .78: nearly always within 300 pairs."""
    rng = np.random.default_rng(1)
    pairs = rng.choice([-1.0, 0.0, 1.0], p=[0.2, 0.3, 0.5], size=(200, 300))
    assert np.mean([(capital(row, 2.0) >= 20).any() for row in pairs]) > 0.95
