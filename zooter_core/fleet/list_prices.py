"""List prices of hosted models, as models/prices.toml has them: a table of one day, which the providers may change.

Only the exact name of a model at its provider's own address has a price. A name with a date behind it
(`gpt-4.1-2025-04-14`) has that of the name alone, unless the table has one of its own.
"""

from __future__ import annotations

import re
import tomllib
from datetime import date
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from zooter_core.base.paths import PRICES

DATE = re.compile(r"-(\d{4}-\d{2}-\d{2}|\d{8})$")


class ListPrice(NamedTuple):
    """US dollars per million tokens of the prompt and of the answer, and which list says so, of which day."""

    prompt: float
    answer: float
    source: str
    day: date


def list_price(base_url: str, model: str) -> ListPrice | None:
    """The list price of a model at an address; None if the table has none."""
    table = _table()
    prices = table["hosts"].get(urlsplit(base_url).hostname, {})
    name = model.lower().removeprefix("models/")  # as Google's server lists them
    price = prices.get(name) or prices.get(DATE.sub("", name))
    return ListPrice(price[0], price[1], table["source"], table["date"]) if price else None


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(PRICES.read_text(encoding="utf-8"))
