"""A tiny model for llama.cpp, and the backend gguf."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.gguf_models import write_model
from zooter_core.backends.gguf.backend import GgufBackend


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "tiny.gguf")


@pytest.fixture
def fresh() -> Iterator[GgufBackend]:
    """A backend without any process yet."""
    backend = GgufBackend()
    yield backend
    backend.spare()
