"""The `[learn]` table of fleet.toml: what the endpoint keeps of its traffic, so that a router can learn from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pydantic import StrictBool

from zooter_core.config.tables import Count, NotNegative, Table, table


@table("[learn]")
class LearnConfig(Table):
    """The `[learn]` table.

    Attributes:
        traffic: whether queries and decisions are kept (`zooter serve --learn` keeps them too).
        answers: whether answers are kept as well.
        longest_answer: characters of an answer that are kept; no key of the file.
        retention_days: what is older is deleted; 0 keeps it for good.
    """

    traffic: StrictBool = False
    answers: StrictBool = False
    longest_answer: Count = 20_000
    retention_days: NotNegative = 90

    hidden: ClassVar[Sequence[str]] = ("longest_answer",)
