"""`zooter merge`: the shards of a run put together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from zooter_core.cli.consoles import bars, print_set_aside
from zooter_core.cli.options import argument, option
from zooter_core.data.runs import Run


def merge(
    shards: Annotated[list[Path], argument("PATH", "Folders that `zooter collect --shard` has written.")],
    out: Annotated[Path, option("--out", "DIR", "Folder of the whole run.")],
) -> None:
    from zooter_core.pipeline.parts import merge as put_together

    with Run(out, create=True) as run, bars() as progress:
        put_together(run, shards, progress)
        print_set_aside(run.refused(), "responses")
