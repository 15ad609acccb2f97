from __future__ import annotations

import os
import stat

import pytest

from zooter_core.labelling.rewards.cache import ScoreCache

KNOWN = {("q", "r"): 0.5}
pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has other rights")


def rights(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(autouse=True)
def open_umask():
    before = os.umask(0)
    yield
    os.umask(before)


def test_nobody_else_can_read_it(monkeypatch, tmp_path):
    monkeypatch.delenv("ZOOTER_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    ScoreCache("model").put(KNOWN)
    assert rights(tmp_path / "zooter") == 0o700
    assert rights(tmp_path / "zooter" / "rewards.sqlite") == 0o600


def test_one_that_others_could_read_is_narrowed_when_it_is_read(monkeypatch, tmp_path):
    monkeypatch.setenv("ZOOTER_CACHE", str(tmp_path))
    ScoreCache("model").put(KNOWN)
    (tmp_path / "rewards.sqlite").chmod(0o644)
    tmp_path.chmod(0o755)
    assert ScoreCache("model").get(list(KNOWN)) == KNOWN
    assert rights(tmp_path / "rewards.sqlite") == 0o600
    assert rights(tmp_path) == 0o755  # the user named it
