"""`zooter export`: a router's choices in a benchmark's own format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from zooter_core.cli.arguments import RouterDir, argument, option
from zooter_core.cli.consoles import err
from zooter_core.errors import listed


def export(
    name: Annotated[Literal["routerarena"], argument("NAME", "Format: routerarena.")],
    router: RouterDir,
    queries: Annotated[Path, option("--queries", "FILE", "RouterArena's data set, or a queries file.")],
    out: Annotated[Path, option("--out", "FILE", "Prediction file to write (.json).")],
) -> None:
    from zooter_core.data.formats.routerarena import export_routerarena
    from zooter_core.router.router import Router

    counts = export_routerarena(Router.load(router).route, queries, out)
    shares = listed(f"{candidate} {count}" for candidate, count in counts.items())
    err.print(f"{sum(counts.values())} predictions in {out}: {shares}")
