"""Formats amounts of money. The price of a few tokens is far below a cent."""

from __future__ import annotations


def in_dollars(amount: float) -> str:
    """An amount of US dollars without the sign: in cents, and below ten cents with two significant digits."""
    if not amount:
        return "0"
    places = max(1 - int(f"{amount:.1e}".partition("e")[2]), 2)  # from the rounded amount: 0.0000999 is 0.00010
    return f"{amount:,.{places}f}"
