from __future__ import annotations

import multiprocessing
import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from zooter_core.router import vector_store
from zooter_core.router.vector_store import FILE, VectorStore, contents, prune

TEXTS = ["a", "b", "c"]
VECTORS = np.array([[0.5, -0.25], [1.0, 2.0], [0.125, 0.0]], dtype=np.float32)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ZOOTER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / FILE


@pytest.fixture
def store() -> VectorStore:
    return VectorStore("encoder 1", "encoder", 2)


def filled(store: VectorStore, texts=TEXTS) -> tuple[np.ndarray, list[int]]:
    vectors = np.zeros((len(texts), 2), dtype=np.float32)
    return vectors, store.fill(texts, vectors)


def test_vectors_are_found_by_their_texts(store):
    store.put(TEXTS, VECTORS)
    vectors, missing = filled(store, ["c", "new", "a"])
    assert vectors.tolist() == [VECTORS[2].tolist(), [0.0, 0.0], VECTORS[0].tolist()]
    assert missing == [1]


def test_an_empty_store_leaves_no_file_behind(store, cache):
    assert filled(store)[1] == [0, 1, 2]
    assert not cache.exists()
    assert contents().encoders == ()


def test_vectors_of_another_encoder_are_never_given(store):
    store.put(TEXTS, VECTORS)
    assert filled(VectorStore("encoder 2", "encoder", 2))[1] == [0, 1, 2]
    assert filled(VectorStore("encoder 1", "encoder", 3), TEXTS)[1] == [0, 1, 2]


@pytest.mark.parametrize("blob", [b"x", np.full(2, np.nan, dtype=np.float32).tobytes(), None])
def test_a_damaged_row_is_made_again(store, cache, blob):
    store.put(TEXTS, VECTORS)
    with closing(sqlite3.connect(cache)) as file, file:
        file.execute("UPDATE vectors SET vector = ? WHERE id = 2", [blob])
    assert filled(store)[1] == [1]
    store.put(["b"], VECTORS[1:2])
    assert filled(store)[1] == []


def test_a_file_that_is_no_database_is_made_anew(store, cache):
    cache.parent.mkdir()
    cache.write_bytes(b"no database" * 1000)
    assert filled(store)[1] == [0, 1, 2]
    store.put(TEXTS, VECTORS)
    assert filled(store)[1] == []


def test_a_folder_in_its_place_is_no_reason_to_fail(store, cache):
    cache.mkdir(parents=True)
    store.put(TEXTS, VECTORS)
    assert filled(store)[1] == [0, 1, 2]


@pytest.mark.skipif(os.name == "nt", reason="Windows has other rights")
def test_nobody_else_can_read_it(store, cache):
    before = os.umask(0)
    try:
        store.put(TEXTS, VECTORS)
    finally:
        os.umask(before)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (cache.parent, cache)] == [0o700, 0o600]


def test_the_oldest_go_when_it_is_too_large(store, monkeypatch):
    monkeypatch.setattr(vector_store, "LARGEST", 40 * vector_store.PAGE)
    store = VectorStore("wide", "wide", 1000)
    for part in range(6):
        store.put([f"{part} {n}" for n in range(100)], np.ones((100, 1000)))
    counts = dict(contents().encoders)["wide"]
    assert 100 < counts < 400  # about eight vectors a page
    missing = store.fill([f"{part} 99" for part in range(6)], np.zeros((6, 1000)))
    assert missing == list(range(missing[-1] + 1))
    assert 5 not in missing


def test_pruning_keeps_the_newest_and_gives_space_back(cache):
    store = VectorStore("wide", "wide", 1000)
    for part in range(3):
        store.put([f"{part} {n}" for n in range(100)], np.ones((100, 1000)))
    before = contents().size
    prune(20 * vector_store.PAGE)
    assert contents().size <= 24 * vector_store.PAGE < before
    assert store.fill(["2 99", "0 0"], np.zeros((2, 1000))) == [1]
    prune(0)
    assert not cache.exists()


def _write(number: int) -> None:
    for part in range(10):
        VectorStore("encoder 1", "encoder", 2).put([f"{number} {part}"], np.full((1, 2), number + 1.0))


def test_several_processes_write_at_once(store):
    writers = [multiprocessing.get_context("fork").Process(target=_write, args=(number,)) for number in range(2)]
    for process in writers:
        process.start()
    for process in writers:
        process.join(timeout=120)
    assert [process.exitcode for process in writers] == [0, 0]
    texts = [f"{number} {part}" for number in range(2) for part in range(10)]
    vectors, missing = filled(store, texts)
    assert missing == []
    assert vectors[:, 0].tolist() == [1.0] * 10 + [2.0] * 10
