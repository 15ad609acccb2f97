from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zooter_core.method.bradley_terry import PRIOR, Strengths, fit


def fitted(*races: tuple[str, str], names: str = "", prior: float = PRIOR) -> Strengths:
    """Races as the one who won and all who took part, such as ("a", "abc")."""
    names = names or "".join(sorted({name for _, group in races for name in group}))
    takes_part = np.array([[name in group for name in names] for _, group in races], dtype=bool)
    return fit(takes_part.reshape(len(races), len(names)), [names.index(best) for best, _ in races], prior)


def test_two_models_by_hand() -> None:
    """6 wins to 3: the log-odds are log 2, with a standard error of the root of 1/6 + 1/3, which is 0.7071."""
    races = fitted(*[("a", "ab")] * 6, *[("b", "ab")] * 3, prior=0)
    one, other = races.values
    assert one - other == pytest.approx(math.log(2))
    apart = np.array([1, -1])
    assert apart @ races.covariance @ apart == pytest.approx(1 / 2)
    share, low, high = races.shares()[0]
    assert share == pytest.approx(2 / 3)
    assert math.log(low / (1 - low)) == pytest.approx(math.log(2) - 1.96 * math.sqrt(1 / 2))
    assert math.log(high / (1 - high)) == pytest.approx(math.log(2) + 1.96 * math.sqrt(1 / 2))


def test_a_model_without_a_defeat_stays_finite() -> None:
    """Half a win each beforehand: one win is 1.5 to 0.5, log-odds of log 3 with a variance of 2/3 + 2."""
    share, low, high = fitted(("a", "ab")).shares()[0]
    error = 1.96 * math.sqrt(8 / 3)
    assert share == pytest.approx(3 / 4)
    assert (low, high) == pytest.approx([1 / (1 + math.exp(-math.log(3) - side * error)) for side in (-1, 1)])


def test_a_race_of_five_by_hand() -> None:
    """Of 3.5 wins the winner has 1.5: its log-odds are log(3/4), with the multinomial variance 1 / (3.5 p (1 - p))."""
    shares = fitted(("a", "abcde")).shares()
    assert shares[:, 0] == pytest.approx([3 / 7, *[1 / 7] * 4])
    error = 1.96 * math.sqrt(1 / (3.5 * 12 / 49))
    assert np.log(shares[0] / (1 - shares[0])) == pytest.approx(math.log(3 / 4) + error * np.array([0, -1, 1]))


def test_two_that_never_met_are_compared_through_a_third() -> None:
    """a beats b, and b beats c, 3 to 1 each: a is log 9 ahead of c, and the variances 1/3 + 1 add up."""
    races = fitted(*[("a", "ab"), ("b", "bc")] * 3, ("b", "ab"), ("c", "bc"), prior=0)
    assert races.values == pytest.approx([math.log(3), 0, -math.log(3)])
    apart = np.array([1, 0, -1])
    assert apart @ races.covariance @ apart == pytest.approx(8 / 3)


def test_before_any_race_all_are_equal() -> None:
    assert fitted(names="abcd").shares()[:, 0] == pytest.approx([1 / 4] * 4)


GROUPS = st.lists(st.permutations("abcdefg").flatmap(lambda names: st.integers(2, 7).map(lambda n: names[:n])))


@given(GROUPS, st.sampled_from([1, 300]))
def test_each_wins_as_often_as_its_strength_expects(groups: list[list[str]], times: int) -> None:
    """The equations of the maximum: the sum of the chances to win is the number of wins, also of one-sided races."""
    strengths = fitted(*[(group[0], "".join(group)) for group in groups] * times, names="abcdefg")
    odds = dict(zip("abcdefg", np.exp(strengths.values), strict=True))
    for name in odds:
        expected = times * sum(odds[name] / sum(odds[other] for other in group) for group in groups if name in group)
        expected += 7 * PRIOR * odds[name] / sum(odds.values())
        assert expected == pytest.approx(times * sum(group[0] == name for group in groups) + PRIOR, abs=1e-6)
    assert (np.diff(strengths.shares()[:, [1, 0, 2]]) > 0).all()
