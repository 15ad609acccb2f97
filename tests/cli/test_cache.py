from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from zooter_core.cli.main import main
from zooter_core.router.vector_store import FILE, VectorStore


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ZOOTER_CACHE", str(tmp_path))
    VectorStore("identity", "some-encoder", 4).put(["a", "b"], np.ones((2, 4)))
    return tmp_path / FILE


def test_it_shows_the_encoders_and_the_size(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["path"] == str(cache)
    assert figures["encoders"] == {"some-encoder": 2}
    assert figures["bytes"] >= cache.stat().st_size
    assert main(["cache"]) == 0
    assert "some-encoder" in capsys.readouterr().out


def test_it_deletes_all_or_keeps_the_newest(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "--prune", "--gb", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["encoders"] == {"some-encoder": 2}
    assert main(["cache", "--prune", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["encoders"] == {}
    assert not cache.exists()
    assert main(["cache", "--prune", "--gb", "-1"]) == 2


def test_a_size_without_prune_is_refused(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "--gb", "1"]) == 2
    assert "--prune" in capsys.readouterr().err
    assert cache.exists()
