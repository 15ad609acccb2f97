"""`zooter learn forget`: deletes stored requests and their rewards."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from zooter_core.base.errors import ZooterError
from zooter_core.cli.consoles import err
from zooter_core.cli.fleets import open_fleet
from zooter_core.cli.options import DATA, FLEET, option, parse_duration


def learn_forget(
    key: str | None = option("NAME", "Requests with this API key."),
    user: str | None = option("NAME", "Requests with this `user` or `safety_identifier`."),
    request: str | None = option("ID", "The request with this x-request-id, or this id in an imported log."),
    before: str | None = option("TIME", "Requests before a date such as 2026-11-01, or older than 30d."),
    fleet: Path | None = FLEET,
    data: Path | None = DATA,
) -> None:
    if key is user is request is before is None:
        options = "--key, --user, --request or --before"
        raise ZooterError.saying("Name the requests to delete.", f"Use {options}; several narrow the selection.")
    moment = None if before is None else _parse_moment(before)
    from zooter_core.learn.traffic import Traffic, data_folder

    with Traffic.open(data or data_folder(open_fleet(fleet)), create=False) as traffic:
        count = traffic.delete(key=key, user=user, request_id=request, older_than=moment)
    err.print(f"Requests deleted from {traffic.path}: {count:,}")


def _parse_moment(text: str) -> float:
    """The time of a date (its beginning, in local time) or of a duration ago, in seconds since 1970."""
    with suppress(ValueError):
        if (moment := datetime.strptime(text, "%Y-%m-%d").timestamp()) > time.time():
            raise ZooterError("a date in the past for --before", text, "Every request is older: check the year.")
        return moment
    return time.time() - parse_duration(text, "--before, or a date such as 2026-11-01")
