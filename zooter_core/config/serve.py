"""The `[serve]` table of fleet.toml: how the endpoint (`zooter serve`) chooses."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from zooter_core.config.tables import AS_WRITTEN, Count, NotNegative, Table, table


@table("[serve]")
class ServeConfig(Table):
    """The `[serve]` table.

    Attributes:
        sticky_seconds: how long a conversation keeps its candidate after its last turn; 0 routes every turn anew.
        switch_margin: a conversation changes its candidate if another one's probability leads by more than this.
        best_of: how many candidates answer for the model `auto-best`, where the router is unsure.
    """

    sticky_seconds: NotNegative = 600
    switch_margin: Annotated[float, Field(strict=True, ge=0, le=1), AS_WRITTEN] = 0.1
    best_of: Count = 2
