"""The endpoint in front of a scripted server, and in front of the tiny fleet's local candidates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support import endpoint_fleet
from support.scripted_server import Scripted, serving
from zooter_core.config.fleet import load_fleet

pytest.importorskip("fastapi", reason="the extra zooter[serve] is not installed")

if TYPE_CHECKING:
    from support.running_endpoint import Endpoint


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    with serving() as server:
        yield server


@pytest.fixture
def serve(fleet_copy: Path, scripted: Scripted, tmp_path: Path) -> Iterator[Callable[..., Endpoint]]:
    """Start an endpoint whose router sends QUERY to the first of these scripted models, then to the second ..."""
    from support.running_endpoint import QUERY, running
    from zooter_core.serve.settings import ServeSettings

    with ExitStack() as stack:

        def start(*models: str, extra: str = "", router: str = "", options: Any = None, **keys: Any) -> Endpoint:
            order = endpoint_fleet.save_by_order(fleet_copy, scripted.url, QUERY, models, **keys)
            file = fleet_copy / "fleet.toml"
            file.write_text(file.read_text().replace("[router]", f"[router]\n{router}") + extra)
            settings = ServeSettings(load_fleet(fleet_copy), port=0, data=tmp_path / "data", **options or {})
            endpoint = stack.enter_context(running(settings))
            endpoint.order = order
            return endpoint

        yield start


@pytest.fixture(scope="module")
def local(tiny_fleet: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """The tiny fleet's own candidates behind the endpoint."""
    from support.running_endpoint import running
    from zooter_core.serve.settings import ServeSettings

    with running(ServeSettings(load_fleet(tiny_fleet), port=0, data=tmp_path_factory.mktemp("data"))) as endpoint:
        yield endpoint
