from __future__ import annotations

from pathlib import Path

import pytest

from zooter_core.cli.main import main


@pytest.fixture(scope="session")
def exported(tiny_fleet: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the tiny fleet's router, exported, which takes seconds; not to be changed."""
    out = tmp_path_factory.mktemp("exported") / "router"
    assert main(["export", "onnx", "--router", str(tiny_fleet / "router"), "--out", str(out)]) == 0
    return out
