from __future__ import annotations

from pathlib import Path

import pytest

from support.fleet_toml import FAR, write_fleet


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A fleet with two local candidates, a router, a reward model and a tagger."""
    return write_fleet(tmp_path)


@pytest.fixture
def far(tmp_path: Path) -> Path:
    """A fleet of one endpoint."""
    (tmp_path / "fleet.toml").write_text(FAR)
    return tmp_path
