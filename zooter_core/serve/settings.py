"""What `zooter serve` was started with."""

from __future__ import annotations

import os
import socket
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
        data: the folder for feedback and the decision log.
        most_bytes: of a request's body.
        keys: the file of API keys; None requires none.
        log_prompts: whether the decision log holds the messages themselves.
        certificate, private_key: files of PEM for TLS; None is plain HTTP.
        proxies: addresses whose X-Forwarded headers are believed.
        allowed_hosts: further host names under which it answers.
        allowed_origins: sites whose pages may send it requests, and read the answers.
        listener: a listening socket that was inherited, instead of `host` and `port`.
        grace_seconds: for running answers to end after a stop.
    """

    fleet: Fleet
    host: str = "127.0.0.1"
    port: int = 8400
    data: Path = field(default=Path())
    most_bytes: int = 32 << 20
    keys: Path | None = None
    log_prompts: bool = False
    certificate: Path | None = None
    private_key: Path | None = None
    proxies: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    listener: socket.socket | None = None
    grace_seconds: int = 30
