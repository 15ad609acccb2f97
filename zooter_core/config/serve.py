"""The `[serve]` table of fleet.toml: how the endpoint (`zooter serve`) chooses, and its limits."""

from pydantic import StrictStr

from zooter_core.config.tables import Count, Limit, NotNegative, Table, table

AUTO_MODEL, AUTO_BEST, RMR = "auto", "auto-best", "rmr"
VIRTUAL = {  # models that clients may name besides the candidates, which must have other names
    AUTO_MODEL: "The candidate that the router expects to answer best.",
    AUTO_BEST: "As auto; where the router is unsure, several answer and the reward model keeps the best.",
    RMR: "Every candidate answers, and the reward model keeps the best.",
}


def is_virtual(name: str) -> bool:
    """Whether a name is one of the endpoint's own, in any case: `RMR` would be mistaken for `rmr`."""
    return name.strip().casefold() in VIRTUAL


@table("[serve]")
class ServeConfig(Table):
    """The `[serve]` table."""

    sticky_seconds: NotNegative = 600  # how long a conversation keeps its candidate; 0 routes every turn anew
    best_of: Count = 2  # candidates that answer for the model `auto-best` if the router is unsure
    concurrent: Count = 256  # requests that are answered at the same time
    queue: Limit = 1024  # further requests that wait for a place; 0 is none
    # If a candidate has not begun to answer `auto` by then, the next one is asked as well, and the first that begins
    # answers. 0 never asks a second one.
    hedge_seconds: NotNegative = 0
    # The candidate for titles, tags and the like, which chat UIs request for themselves (learn/chores.py); None routes
    # them like any request.
    chores: StrictStr | None = None
