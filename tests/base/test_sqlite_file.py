"""What the caches of vectors and of rewards do alike; each test runs with a file of either kind."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import stat
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from support.patience import PATIENCE
from zooter_core.base.sqlite_file import CacheFile

TABLE = "CREATE TABLE IF NOT EXISTS numbers (key BLOB PRIMARY KEY, number REAL)"
SELECT = "SELECT key, number FROM numbers WHERE key IN"
private = pytest.mark.skipif(os.name == "nt", reason="Windows has other rights")


@pytest.fixture(params=["", "PRAGMA journal_mode = WAL;"], ids=["plain", "wal"])
def open_at(request: pytest.FixtureRequest) -> Callable[[Path], CacheFile]:
    return lambda path: CacheFile(path, request.param + TABLE)


@pytest.fixture
def cache(open_at, tmp_path: Path) -> CacheFile:
    return open_at(tmp_path / "cache" / "numbers.sqlite")


def put(cache: CacheFile, numbers: dict[bytes, float]) -> None:
    cache.change(lambda file: file.executemany("INSERT OR REPLACE INTO numbers VALUES (?, ?)", list(numbers.items())))


NUMBERS = {b"%d" % n: n / 7 for n in range(1300)}


def test_reading_makes_no_file(cache):
    assert cache.find(SELECT, list(NUMBERS)) == {}
    assert not cache.path.exists()
    assert cache.size == 0


@pytest.mark.parametrize("content", [b"", b"no database at all, but long enough to look at" * 400])
def test_a_file_that_is_no_database_is_made_anew(cache, content):
    cache.path.parent.mkdir()
    cache.path.write_bytes(content)
    assert cache.find(SELECT, list(NUMBERS)) == {}
    put(cache, NUMBERS)
    assert cache.find(SELECT, list(NUMBERS)) == NUMBERS


def test_a_table_of_another_program_is_left_alone(cache):
    cache.path.parent.mkdir()
    with closing(sqlite3.connect(cache.path)) as file, file:
        file.execute("CREATE TABLE numbers (something TEXT)")
        file.execute("INSERT INTO numbers VALUES ('precious')")
    put(cache, NUMBERS)
    assert cache.find(SELECT, list(NUMBERS)) == {}
    with closing(sqlite3.connect(cache.path)) as file:
        assert file.execute("SELECT * FROM numbers").fetchall() == [("precious",)]


def test_a_change_that_fails_changes_nothing(cache):
    put(cache, {b"old": 1.0})

    def half(file: sqlite3.Connection) -> None:
        file.execute("INSERT INTO numbers VALUES (?, 2.0)", [b"new"])
        file.execute("INSERT INTO nowhere VALUES (3.0)")

    cache.change(half)
    assert cache.find(SELECT, [b"old", b"new"]) == {b"old": 1.0}


def rights(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def open_umask():
    before = os.umask(0)
    yield
    os.umask(before)


@private
def test_nobody_else_can_read_it(open_umask, open_at, monkeypatch, tmp_path):
    monkeypatch.delenv("ZOOTER_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache = open_at(tmp_path / "zooter" / "numbers.sqlite")
    put(cache, NUMBERS)
    assert rights(tmp_path / "zooter") == 0o700
    assert rights(cache.path) == 0o600


KEYS = {part: [b"%d %d" % (part, number) for number in range(12)] for part in range(5)}


def _put_alone(cache: CacheFile, part: int) -> None:
    for key in KEYS[part]:
        put(cache, {key: 1.0})


def _wait_for(workers: list) -> None:
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=PATIENCE)


def test_threads_and_processes_write_at_once(cache):
    put(cache, {})
    fork = multiprocessing.get_context("fork")
    processes = [fork.Process(target=_put_alone, args=(cache, part)) for part in (0, 1)]
    _wait_for(processes)
    _wait_for([threading.Thread(target=_put_alone, args=(cache, part)) for part in (2, 3, 4)])
    assert [process.exitcode for process in processes] == [0, 0]
    for keys in KEYS.values():
        assert len(cache.find(SELECT, keys)) == len(keys)
