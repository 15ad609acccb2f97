"""`zooter traffic delete`: delete what was kept of requests, with the rewards that were computed for them."""

from __future__ import annotations

import time
from typing import Annotated

from zooter_core.base.errors import ZooterError
from zooter_core.cli.consoles import err
from zooter_core.cli.fleets import open_fleet
from zooter_core.cli.options import DataDir, FleetDir, option, seconds_of


def traffic_delete(
    key: Annotated[str | None, option("--key", "NAME", "Requests with this API key.")] = None,
    user: Annotated[str | None, option("--user", "NAME", "Requests with this `user`.")] = None,
    id: Annotated[
        str | None, option("--id", "ID", "The request with this x-request-id, or with this id in an imported log.")
    ] = None,
    older_than: Annotated[str | None, option("--older-than", "TIME", "Requests older than this, such as 30d.")] = None,
    fleet: FleetDir = None,
    data: DataDir = None,
) -> None:
    if key is user is id is older_than is None:
        next_step = "Give --key, --user, --id or --older-than; together they narrow the choice."
        raise ZooterError("what to delete", "nothing", next_step, "Say what to delete.")
    from zooter_core.learn.refit import forget_vectors
    from zooter_core.learn.traffic import Traffic, data_folder

    before = time.time() - seconds_of(older_than, "--older-than") if older_than else None
    with Traffic.open(data or data_folder(open_fleet(fleet).name), create=False) as traffic:
        count = traffic.delete(key=key, user=user, request_id=id, older_than=before)
        forget_vectors(traffic)
    err.print(f"Requests deleted from {traffic.path}: {count:,}")
