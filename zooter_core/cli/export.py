"""`zooter export`: a router as a folder that needs no PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from zooter_core.base.errors import ZooterError, listed
from zooter_core.base.weights import check_torch
from zooter_core.cli.consoles import err, waiting
from zooter_core.cli.options import RouterDir, argument, option


def export(
    name: Annotated[Literal["onnx"], argument("NAME", "onnx.")],
    router: RouterDir,
    out: Annotated[Path, option("--out", "PATH", "Folder to write.")],
) -> None:
    from zooter_core.router.config import CONFIG

    if (out / CONFIG).exists():
        raise ZooterError(
            f"a folder for the exported router at {out}", f"a {CONFIG} there", "Give a new folder.",
            f"{out} already holds a model's {CONFIG}.",
        )  # fmt: skip
    check_torch(f"`zooter export {name}`")
    from zooter_core.router.export import export_router

    with waiting("Exporting the router (a few seconds) ..."):
        exported = export_router(router, out)
    err.print(f"A router for {listed(exported.candidates)} is in {out}. It needs neither PyTorch nor transformers.")
