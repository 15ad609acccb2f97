"""The endpoint in front of a scripted server, and in front of the tiny fleet's local candidates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

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
def serve(fleet_copy: Path, scripted: Scripted) -> Iterator[Callable[..., Endpoint]]:
    """Starts an endpoint in front of scripted models (`in_front_of`)."""
    from support.running_endpoint import in_front_of

    with ExitStack() as stack:

        def start(*models: str, **more: Any) -> Endpoint:
            return stack.enter_context(in_front_of(fleet_copy, scripted.url, *models, **more))

        yield start


@pytest.fixture(scope="module")
def local(tiny_fleet: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """The tiny fleet's own candidates behind the endpoint."""
    from support.running_endpoint import running
    from zooter_core.serve.server import ServeSettings

    with running(ServeSettings(load_fleet(tiny_fleet), port=0, data=tmp_path_factory.mktemp("data"))) as endpoint:
        yield endpoint
