"""Calibration, worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from zooter_core.method.calibration import FLATTEST, SHARPEST, calibration, fit_temperature, log_loss, reliability


def test_log_loss_by_hand():
    """softmax of (ln 3, 0) is (3/4, 1/4); at temperature 2 it is (sqrt 3, 1) / (sqrt 3 + 1)."""
    logits, wins = np.array([[np.log(3), 0.0]]), np.array([[1.0, 0.0]])
    assert log_loss(logits, wins) == pytest.approx(np.log(4 / 3))
    assert log_loss(logits, wins, 2.0) == pytest.approx(np.log((3**0.5 + 1) / 3**0.5))


def test_the_temperature_makes_the_probability_the_share_of_wins():
    """Always 90% sure and right in three of four: 3 to 1 are the odds, and ln 9 / T = ln 3 gives T = 2."""
    logits = np.array([[np.log(9), 0.0]] * 4)
    wins = np.array([[1.0, 0.0]] * 3 + [[0.0, 1.0]])
    assert fit_temperature(logits, wins) == pytest.approx(2.0, rel=1e-4)


def test_the_temperature_ends_at_the_bounds_of_its_range():
    """A router that is right by chance gets the flattest. One that is always right has no loss left at 1 / 36."""
    logits = np.array([[1.0, 0.0]] * 2)
    assert fit_temperature(logits, np.array([[1.0, 0.0]] * 2)) < 1.5 * SHARPEST
    assert fit_temperature(logits, np.array([[1.0, 0.0], [0.0, 1.0]])) == pytest.approx(FLATTEST, rel=1e-4)


def test_reliability_by_hand():
    """Bins [.6, .7): two queries at .65 and .65, one won; [.9, 1]: one at 1, won. ECE = (2 * .15 + 1 * 0) / 3 = .1."""
    probabilities = np.array([[0.65, 0.35], [0.35, 0.65], [1.0, 0.0]])
    wins = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    figures = reliability(probabilities, wins)
    assert figures.ece == pytest.approx(0.1)
    assert [(b["from"], b["to"], b["n"], b["won"]) for b in figures.bins] == [(0.6, 0.7, 2, 0.5), (0.9, 1.0, 1, 1.0)]
    assert figures.bins[0]["probability"] == pytest.approx(0.65)


def test_with_missing_scores_a_probability_is_that_of_beating_the_scored_ones():
    """0.6 and 0.2 of 0.8 are 0.75 and 0.25; the second query's choice has no score."""
    probabilities = np.array([[0.6, 0.2, 0.2], [0.6, 0.2, 0.2]])
    wins = np.array([[1.0, 0.0, np.nan], [np.nan, 1.0, 0.0]])
    figures = reliability(probabilities, wins)
    assert figures.n == 1
    assert figures.ece == pytest.approx(0.25)
    nothing = reliability(probabilities[1:], wins[1:])
    assert (nothing.n, nothing.bins, math.isnan(nothing.ece)) == (0, [], True)


def drawn(n, power):
    """Wins that follow p, and probabilities that state p to a power: 1 is calibrated, more is too sure."""
    dice = np.random.default_rng(3)
    p = dice.dirichlet([0.7] * 4, n)
    wins = np.eye(4)[(p.cumsum(axis=1) > dice.random(n)[:, None]).argmax(axis=1)]
    stated = p**power
    return stated / stated.sum(axis=1, keepdims=True), wins


def test_a_calibrated_router_is_not_called_off():
    shown = calibration(*drawn(150, 1.0))
    assert not shown.off
    assert shown.low == 0
    assert shown.error <= shown.chance


def test_one_that_is_too_sure_is_called_off():
    shown = calibration(*drawn(750, 2.5))
    assert shown.off
    assert shown.stated > shown.won
    assert shown.low < shown.error < shown.high
