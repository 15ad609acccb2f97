from __future__ import annotations

from pathlib import Path

import pytest

from support.endpoint_fleet import share_models
from zooter_core.learn.traffic import Traffic


@pytest.fixture
def place(tiny_fleet: Path, fleet_copy: Path, tmp_path: Path):
    """A fleet, and a folder with traffic."""
    share_models(fleet_copy, tiny_fleet)
    data = tmp_path / "data"
    with Traffic.open(data) as traffic:
        yield fleet_copy, data, traffic
