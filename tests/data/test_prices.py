from __future__ import annotations

import numpy as np
import pytest

from zooter_core.base.errors import ZooterError
from zooter_core.base.records import Decision
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.endpoint import EndpointConfig
from zooter_core.config.fleet import Fleet, RouterConfig
from zooter_core.data import prices
from zooter_core.data.prices import ChoiceMeans, check_willingness, cost, dollars, price_list, trade, utilities

PRICES = np.array([4.0, 1.0, 0.0])
PROBABILITIES = np.array([[0.5, 0.3, 0.2], [0.6, 0.1, 0.3]])


def fleet(tmp_path, *prices):
    priced = zip("abc", prices, strict=True)
    candidates = tuple(
        CandidateConfig(name, "transformers", "m", usd_per_million_tokens=price) for name, price in priced
    )
    return Fleet("f", tmp_path, candidates)


def test_a_candidate_without_a_price_is_named(tmp_path):
    unpriced = fleet(tmp_path, 4, None, 0)
    with pytest.raises(ZooterError, match=r"of b\. Add usd_per_million_tokens"):
        price_list(unpriced, unpriced.pool)


def test_a_prompts_cached_tokens_have_their_own_price_or_that_of_the_others():
    """A million answer tokens at 3, and two million of the prompt at 2, half of them cached at 0.5."""
    priced = {"usd_per_million_tokens": 3.0, "usd_per_million_prompt_tokens": 2.0}
    discounted = CandidateConfig("a", "transformers", "m", usd_per_million_cached_tokens=0.5, **priced)
    assert cost(discounted, 2_000_000, 1_000_000, 1_000_000) == pytest.approx(5.5)
    assert cost(CandidateConfig("a", "transformers", "m", **priced), 2_000_000, 1_000_000, 1_000_000) == 7.0
    assert cost(CandidateConfig("a", "transformers", "m"), 2_000_000, 1_000_000) == 0.0  # it is on this machine
    elsewhere = EndpointConfig("https://models.example.org/v1")
    assert cost(CandidateConfig("a", "openai", "m", endpoint=elsewhere), 2_000_000, 1_000_000) is None


def test_utilities_worked_by_hand():
    """At 0.4: .5 - .4, .3 - .1, .2 and .6 - .4, .1 - .1, .3; at 0 the probabilities."""
    assert utilities(PROBABILITIES, PRICES, 0.4) == pytest.approx(np.array([[0.1, 0.2, 0.2], [0.2, 0.0, 0.3]]))
    assert np.array_equal(utilities(PROBABILITIES, PRICES, 0), PROBABILITIES)


@pytest.mark.parametrize("wrong", [-0.1, float("nan"), float("inf")])
def test_an_impossible_willingness_is_refused(wrong):
    with pytest.raises(ZooterError, match="a willingness of 0 or above"):
        check_willingness(wrong)


def test_trade_worked_by_hand():
    """At 0.35: .15, .2125, .2 goes from a to b, and .25, .0125, .3 from a to c."""
    table = np.array([[3.0, 2.0, 1.0], [5.0, 0.0, 4.0]])
    figures = trade(PROBABILITIES, table, PRICES, dollars(PRICES, np.full((2, 3), 1000.0)), 0.35)
    assert figures.at_0 == ChoiceMeans(2, 4.0, 4.0, 4.0)
    assert (figures.n, figures.score, figures.price, figures.dollars) == (2, 3.0, 0.5, 0.5)
    assert figures.willingness == 0.35
    assert np.isnan(figures.score_minus).all()  # both queries lose 1: there is no spread
    plain = trade(PROBABILITIES, table, PRICES, np.ones((2, 3)), 0)
    assert plain.score == plain.at_0.score


def served(host, price=None):
    endpoint = EndpointConfig(f"http://{host}/v1")
    return CandidateConfig("s", "openai", "m", endpoint=endpoint, usd_per_million_tokens=price)


def test_a_local_model_without_a_price_is_free_and_a_hosted_one_counts_as_the_dearest(tmp_path):
    local = CandidateConfig("l", "transformers", "m")
    mixed = Fleet("f", tmp_path, (served("a.example", 4.0), served("b.example"), served("localhost:1"), local))
    assert prices.assumed(mixed).tolist() == [4.0, 4.0, 0.0, 0.0]
    assert "Without a price there, these count as the dearest: s." in prices.describe_weighing(mixed)
    assert prices.assumed(Fleet("f", tmp_path, (served("a.example"), local))).tolist() == [0.0, 0.0]
    assert prices.describe_weighing(Fleet("f", tmp_path, (served("a.example"), local))) == ""


@pytest.mark.parametrize(
    ("written", "router", "expected"),
    [(None, None, prices.STARTING), (None, "router", 0.0), (0.0, None, 0.0), (0.3, "router", 0.3)],
)
def test_the_willingness_of_a_fleet(tmp_path, written, router, expected):
    one = Fleet("f", tmp_path, (), RouterConfig(router) if router else None, willingness=written)
    assert prices.find_willingness(one) == expected


def test_a_choice_by_price_is_explained():
    """b costs a quarter of a, and a is only 2 points ahead."""
    decision = Decision.of("q", {"a": 0.51, "b": 0.49})
    assert prices.why(decision) == ""
    cheaper = prices.weighed(decision, np.array([4.0, 1.0]), 0.1)
    assert (cheaper.candidate, cheaper.most_probable) == ("b", "a")
    assert cheaper.utilities == pytest.approx({"a": 0.41, "b": 0.465})
    assert prices.why(cheaper).startswith("b is chosen for its price: a is 2 points more probable")
    for costs, willingness in ((np.zeros(2), 0.1), (np.array([4.0, 1.0]), 0.0)):
        assert prices.weighed(cheaper, costs, willingness) == decision
