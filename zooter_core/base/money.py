"""Amounts of money for people. What a few tokens cost is far below a cent."""

from __future__ import annotations


def in_dollars(amount: float) -> str:
    """An amount of US dollars without the sign: to the cent, and below a dollar to two digits, so never "0.00"."""
    if not amount:
        return "0"
    places = max(1 - int(f"{amount:.1e}".partition("e")[2]), 2)  # of what is shown: 0.0000999 is 0.00010
    return f"{amount:,.{places}f}"
