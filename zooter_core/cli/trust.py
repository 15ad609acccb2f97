"""`zooter trust`: allows a fleet to send API keys to the servers in its fleet.toml."""

from __future__ import annotations

from pathlib import Path

from zooter_core.cli.consoles import err, out
from zooter_core.cli.options import argument
from zooter_core.config import trust as trusted
from zooter_core.config.fleet import load_fleet


def trust(fleet: Path = argument("DIR", "Folder with a fleet.toml that you have read.")) -> None:
    opened = load_fleet(fleet)
    uses = [use for use in opened.key_uses if not trusted.is_allowed(*use)]
    if not uses:
        err.print(f"The fleet in {opened.folder} needs no permission.")
        return
    trusted.trust(uses)
    for variable, server in dict.fromkeys((variable, trusted.server_address(url)) for variable, url in uses):
        out.print(f"{variable} may be sent to {server}.")
    err.print(f"To revoke this, remove the line from {trusted.trust_file()}.")
