"""`zooter export`: a router as a folder that needs no PyTorch, or its choices in a benchmark's own format."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from zooter_core.base.errors import ZooterError, listed
from zooter_core.base.weights import check_torch
from zooter_core.cli.consoles import err, waiting
from zooter_core.cli.options import RouterDir, argument, option


def export(
    name: Annotated[
        Literal["onnx", "routerarena"],
        argument("NAME", "onnx (the router itself), or routerarena (its choices on --queries)."),
    ],
    router: RouterDir,
    out: Annotated[Path, option("--out", "PATH", "Folder to write (onnx), or prediction file (routerarena, .json).")],
    queries: Annotated[
        Path | None, option("--queries", "FILE", "routerarena: RouterArena's data set, or a queries file.")
    ] = None,
) -> None:
    if name == "onnx":
        _export_router(router, out)
        return
    if queries is None:
        raise ZooterError(
            "--queries FILE with the queries to choose for", "none", "Try `zooter export --help`.",
            "Option --queries is missing.",
        )  # fmt: skip
    from zooter_core.data.formats.routerarena import export_routerarena
    from zooter_core.router.router import Router

    loaded = cache(lambda: Router.load(router))  # after a look at the files: loading may take seconds
    counts = export_routerarena(lambda texts: loaded().route(texts), queries, out)
    shares = listed(f"{candidate} {count}" for candidate, count in counts.items())
    err.print(f"{sum(counts.values())} predictions in {out}: {shares}")


def _export_router(router: Path, out: Path) -> None:
    from zooter_core.router.config import CONFIG

    if (out / CONFIG).exists():
        raise ZooterError(
            f"a folder for the exported router at {out}", f"a {CONFIG} there", "Give a new folder.",
            f"{out} already holds a model's {CONFIG}.",
        )  # fmt: skip
    check_torch("`zooter export onnx`")
    from zooter_core.router.export import export_router

    with waiting("Exporting the router (a few seconds) ..."):
        exported = export_router(router, out)
    err.print(f"A router for {listed(exported.candidates)} is in {out}. It needs neither PyTorch nor transformers.")
