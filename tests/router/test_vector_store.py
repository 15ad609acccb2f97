from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from zooter_core.router import vector_store
from zooter_core.router.vector_store import FILE, VectorStore

TEXTS = ["a", "b", "c"]
VECTORS = np.array([[0.5, -0.25], [1.0, 2.0], [0.125, 0.0]], dtype=np.float32)


@pytest.fixture
def store(cache: Path) -> VectorStore:
    return VectorStore("encoder 1", 2)


def filled(store: VectorStore, texts=TEXTS) -> tuple[np.ndarray, list[int]]:
    vectors = np.zeros((len(texts), 2), dtype=np.float32)
    return vectors, store.fill(texts, vectors)


def test_vectors_of_another_encoder_are_never_given_and_an_empty_store_leaves_no_file(store, cache):
    assert filled(store)[1] == [0, 1, 2]
    assert not (cache / FILE).exists()
    store.put(TEXTS, VECTORS)
    assert filled(VectorStore("encoder 2", 2))[1] == [0, 1, 2]
    assert filled(VectorStore("encoder 1", 3))[1] == [0, 1, 2]


@pytest.mark.parametrize("blob", [b"x", np.full(2, np.nan, dtype=np.float32).tobytes(), None])
def test_a_damaged_row_is_made_again(store, cache, blob):
    store.put(TEXTS, VECTORS)
    with closing(sqlite3.connect(cache / FILE)) as file, file:
        file.execute("UPDATE vectors SET vector = ? WHERE id = 2", [blob])
    assert filled(store)[1] == [1]
    store.put(["b"], VECTORS[1:2])
    assert filled(store)[1] == []


def test_the_oldest_go_when_it_is_too_large(store, cache, monkeypatch):
    monkeypatch.setattr(vector_store, "LARGEST", 40 * vector_store.PAGE)
    store = VectorStore("wide", 1000)
    for part in range(6):
        store.put([f"{part} {n}" for n in range(100)], np.ones((100, 1000)))
    with closing(sqlite3.connect(cache / FILE)) as file:
        ((count,),) = file.execute("SELECT count(*) FROM vectors")
    assert 100 < count < 400  # about eight vectors a page
    missing = store.fill([f"{part} 99" for part in range(6)], np.zeros((6, 1000)))
    assert missing == list(range(missing[-1] + 1))
    assert 5 not in missing
