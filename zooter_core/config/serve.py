"""The `[serve]` table of fleet.toml: how the endpoint (`zooter serve`) chooses, and how much it lets in."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StrictStr

from zooter_core.config.tables import Count, NotNegative, Positive, Table, table

Limit = Annotated[int, Field(strict=True, ge=0)]  # 0 means none


@table("[serve]")
class ServeConfig(Table):
    """The `[serve]` table.

    Attributes:
        sticky_seconds: how long a conversation keeps its candidate after its last turn; 0 routes every turn anew.
        best_of: how many candidates answer for the model `auto-best`, where the router is unsure.
        concurrent: requests that are answered at the same time.
        queue: further requests that wait for a place.
        hedge_seconds: if a candidate has not begun to answer `auto` by then, the next one is asked beside it, and the
            first that begins answers; 0 never does.
        deadline_seconds: from the end of the wait to the end of the answer.
        requests_per_minute, tokens_per_minute: on average; a minute's worth may come at once. 0 is no limit.
        most_prompt_tokens: of one request. 0 is no limit.
        chores: the candidate for titles, tags and the like, which chat UIs ask for themselves (learn/chores.py); None
            routes them as any request.
    """

    sticky_seconds: NotNegative = 600
    best_of: Count = 2
    concurrent: Count = 256
    queue: Limit = 1024
    hedge_seconds: NotNegative = 0
    deadline_seconds: Positive = 900
    requests_per_minute: Limit = 0
    tokens_per_minute: Limit = 0
    most_prompt_tokens: Limit = 0
    chores: StrictStr | None = None
