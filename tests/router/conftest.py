"""Routers here are on small vectors of all kinds."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _profiles(profiles_of_any_encoder):
    """The kind `profile` too."""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the test's own."""
    monkeypatch.setenv("ZOOTER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
