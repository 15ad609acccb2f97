"""What `zooter serve` was started with."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from zooter_core.config.fleet import Fleet


def data_folder(fleet: Fleet) -> Path:
    """Where a fleet's feedback is kept, in the user's data folder."""
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser() / "zooter" / "serve" / fleet.name


@dataclass(frozen=True)
class ServeSettings:
    """The settings of one server.

    Attributes:
        fleet: what it serves.
        data: the folder for feedback.
        most_bytes: of a request's body.
        keys: the file of API keys; None requires none.
    """

    fleet: Fleet
    host: str = "127.0.0.1"
    port: int = 8400
    data: Path = field(default=Path())
    most_bytes: int = 32 << 20
    keys: Path | None = None
