from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from support.patience import PATIENCE
from zooter_core.base.made_once import Place


def test_of_two_starts_at_once_one_writes_and_the_other_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with two commands after an installation; test_bert.py has what a kill leaves."""
    monkeypatch.setenv("ZOOTER_CACHE", str(tmp_path))
    place, others = Place("graphs", "source", "owner"), list[Future[str]]()

    def read(folder: Path) -> str:
        return (folder / "file").read_text()

    def write(folder: Path) -> None:
        others.append(threads.submit(place.open, write, read))
        assert not wait(others, 0.5).done
        folder.mkdir()
        (folder / "file").write_text("whole")

    with ThreadPoolExecutor(1) as threads:
        assert place.open(write, read) == "whole"
        assert [other.result(PATIENCE) for other in others] == ["whole"]
