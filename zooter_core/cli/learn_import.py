"""`zooter learn import`: adds logs of other programs to the traffic."""

from __future__ import annotations

from pathlib import Path

from zooter_core.cli.consoles import err
from zooter_core.cli.fleets import open_fleet
from zooter_core.cli.options import DATA, FLEET, argument


def learn_import(
    paths: list[Path] = argument("PATH", "Logs (JSON, JSON lines, CSV), also gzipped, or folders of them."),
    fleet: Path | None = FLEET,
    data: Path | None = DATA,
) -> None:
    from zooter_core.data.json_records import check_paths
    from zooter_core.learn.imports import import_traffic
    from zooter_core.learn.judging import BURST
    from zooter_core.learn.traffic import Traffic, data_folder

    check_paths(paths)
    parts = open_fleet(fleet)
    with Traffic.open(data or data_folder(parts)) as traffic:
        count, left_out = import_traffic(paths, traffic, parts)
    for reason, number in left_out.items():
        err.print(f"left out {number:,}: {reason}")
    err.print(f"New requests in {traffic.path}: {count:,}")
    if count:
        err.print(
            f"`zooter learn` lets every model answer up to {BURST} of them (--share for more, --budget-usd for less)."
        )
