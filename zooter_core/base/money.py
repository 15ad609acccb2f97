"""Amounts of money for people. What a few tokens cost is far below a cent."""

from __future__ import annotations

import math


def in_dollars(amount: float) -> str:
    """An amount of US dollars without the sign: to the cent, and below a dollar to two digits, so never "0.00"."""
    if not amount:
        return "0"
    places = 2 if abs(amount) >= 0.995 else max(1 - math.floor(math.log10(abs(amount))), 2)
    return f"{amount:,.{places}f}"
