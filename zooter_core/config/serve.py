"""The `[serve]` table of fleet.toml: how the endpoint (`zooter serve`) chooses candidates, and its limits."""

from pydantic import StrictStr

from zooter_core.config.tables import Count, Limit, NotNegative, Table, table

AUTO_MODEL, AUTO_BEST, RMR = "auto", "auto-best", "rmr"
VIRTUAL = {  # models that clients may name in addition to candidates; no candidate may have these names
    AUTO_MODEL: "The candidate that the router expects to answer best.",
    AUTO_BEST: "Like auto, but if the router is unsure, several candidates answer and the reward model picks the best.",
    RMR: "Every candidate answers, and the reward model picks the best.",
}


def is_virtual(name: str) -> bool:
    """Whether a name is one of the endpoint's own. Ignores case, since `RMR` would be mistaken for `rmr`."""
    return name.strip().casefold() in VIRTUAL


@table("[serve]")
class ServeConfig(Table):
    """The `[serve]` table."""

    sticky_seconds: NotNegative = 600  # how long a conversation keeps its candidate; 0 routes every turn anew
    best_of: Count = 2  # candidates that answer for the model `auto-best` if the router is unsure
    concurrent: Count = 256  # maximum of requests that are answered at the same time
    queue: Limit = 1024  # maximum of further requests that wait for a place
    # If the router's choice has not begun to answer after this time, the next candidate is asked as well, and the first
    # that begins answers. 0 means never.
    hedge_seconds: NotNegative = 0
    # The candidate for titles, tags etc. that chat UIs request for their own purposes (learn/chores.py); None routes
    # such requests like any other.
    chores: StrictStr | None = None
