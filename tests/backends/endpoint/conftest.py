"""A scripted server and the backend that asks it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.scripted_server import Scripted, serving
from zooter_core.backends.endpoint.backend import OpenAIBackend


@pytest.fixture(scope="module")
def server() -> Iterator[Scripted]:
    with serving() as scripted:
        yield scripted


@pytest.fixture
def backend() -> OpenAIBackend:
    return OpenAIBackend()
