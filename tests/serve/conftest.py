"""The tiny fleet's local candidates behind the endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from zooter_core.config.fleet import load_fleet

pytest.importorskip("fastapi", reason="the extra zooter[serve] is not installed")

if TYPE_CHECKING:
    from support.running_endpoint import Endpoint


@pytest.fixture(scope="module")
def local(tiny_fleet: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """The tiny fleet's own candidates behind the endpoint."""
    from support.running_endpoint import running
    from zooter_core.serve.server import ServeSettings

    with running(ServeSettings(load_fleet(tiny_fleet), port=0, data=tmp_path_factory.mktemp("data"))) as endpoint:
        yield endpoint
