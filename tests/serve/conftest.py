"""Endpoints that all tests of a module share: each looks only at what its own requests bring about."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from zooter_core.config.fleet import load_fleet

pytest.importorskip("fastapi", reason="the extra zooter[serve] is not installed")

if TYPE_CHECKING:
    from support.running_endpoint import Endpoint
    from support.scripted_server import Scripted


@pytest.fixture(scope="module")
def local(tiny_fleet: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """The tiny fleet's own candidates behind the endpoint."""
    from support.running_endpoint import running
    from zooter_core.serve.server import ServeSettings

    with running(ServeSettings(load_fleet(tiny_fleet), port=0, data=tmp_path_factory.mktemp("data"))) as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def module_server() -> Iterator[Scripted]:
    """The scripted server behind `module_endpoint`."""
    from support.scripted_server import serving

    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def module_endpoint(
    module_server: Scripted, tiny_fleet: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Endpoint]:
    """Two candidates that answer well."""
    from support.running_endpoint import in_front_of

    folder = Path(shutil.copytree(tiny_fleet, tmp_path_factory.mktemp("serve") / "fleet"))
    with in_front_of(folder, module_server.url, "good", "good") as endpoint:
        yield endpoint
