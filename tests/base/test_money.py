"""Amounts of money for people."""

from __future__ import annotations

import pytest

from zooter_core.base.money import in_dollars


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0"), (0.0, "0"), (1234.5, "1,234.50"), (1, "1.00"), (0.996, "1.00"), (0.99, "0.99"), (0.5, "0.50"),
        (0.0512, "0.051"), (0.0000999, "0.00010"), (0.00123, "0.0012"), (1.2e-7, "0.00000012"), (-0.003, "-0.0030"),
    ],
)  # fmt: skip
def test_a_small_amount_is_not_rounded_to_nothing(amount: float, text: str) -> None:
    assert in_dollars(amount) == text
