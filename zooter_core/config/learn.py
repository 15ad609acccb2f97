"""The `[learn]` table of fleet.toml: what the endpoint keeps of its traffic, so that a router can learn from it."""

from __future__ import annotations

from pydantic import StrictBool

from zooter_core.config.tables import NotNegative, Table, table


@table("[learn]")
class LearnConfig(Table):
    """The `[learn]` table.

    Attributes:
        traffic: whether queries and decisions are kept (`zooter serve --learn` keeps them too).
        answers: whether answers are kept as well.
        retention_days: what is older is deleted; 0 keeps everything.
    """

    traffic: StrictBool = False
    answers: StrictBool = False
    retention_days: NotNegative = 90
