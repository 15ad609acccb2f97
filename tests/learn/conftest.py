from __future__ import annotations

from pathlib import Path

import pytest

from zooter_core.learn.traffic import Traffic


@pytest.fixture
def place(fleet_copy: Path, tmp_path: Path):
    """A fleet, and a folder with traffic."""
    data = tmp_path / "data"
    with Traffic.open(data) as traffic:
        yield fleet_copy, data, traffic
