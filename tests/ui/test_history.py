from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from zooter_core.ui.history import History, path


def about(id: str) -> tuple[str, str, str]:
    """A conversation's id, title and fleet."""
    return id, f"about {id}", "models/embedded"


def test_turns_come_back_in_order_and_the_last_changed_conversation_first(tmp_path: Path) -> None:
    store = History(tmp_path / "deep" / "history.db")
    store.keep(*about("a"), 1, {"query": "second"})
    store.keep(*about("a"), 0, {"query": "first ☃"})
    store.keep(*about("b"), 0, {"query": "other"})
    store.keep(*about("a"), 1, {"query": "second, edited"})
    again = History(tmp_path / "deep" / "history.db")
    assert again.turns("a") == [{"query": "first ☃"}, {"query": "second, edited"}]
    assert [entry.id for entry in again.entries()] == ["a", "b"]
    assert again.entry("b").title == "about b"


def test_nothing_of_a_deleted_conversation_stays_on_the_disk(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "history.db")) as other:  # another demo
        history = History(tmp_path / "history.db")
        for id in ("b", "c"):
            for number in range(5):
                history.keep(*about(id), number, {"query": f"secret of {id}" * 40})
        other.execute("SELECT COUNT(*) FROM turns").fetchall()
        history.forget("b")
        assert history.problem is None
        assert [path.name for path in tmp_path.iterdir() if b"secret of b" in path.read_bytes()] == []
    assert len(history.turns("c")) == 5


def test_conversations_are_found_by_words_of_title_query_or_answer(tmp_path: Path) -> None:
    store = History(tmp_path / "history.db")
    store.keep(*about("a"), 0, {"query": "How tall is an oak?", "text": "About 100% taller than a_bush. Österreich"})
    store.keep(*about("b"), 0, {"query": "other"})

    def matching(words: str) -> list[str]:
        return [entry.id for entry in store.entries(words=words)]

    assert matching("ABOUT B") == ["b"]
    assert matching("oak") == matching("100%") == matching("a_b") == matching("österreich") == ["a"]
    assert matching("0%t") == matching("axb") == matching("a_out") == []
    assert matching("") == ["b", "a"]
    store.keep(*about("a"), 0, {"query": "more"})
    store.rename("a", "Trees")
    assert [entry.title for entry in store.entries()] == ["Trees", "about b"]


def test_a_file_that_cannot_be_written_is_reported_and_stops_nothing(tmp_path: Path) -> None:
    broken = tmp_path / "history.db"
    broken.write_text("this is no database, but long enough to be taken for one" * 50)
    store = History(broken)
    store.keep(*about("a"), 0, {})
    assert store.entries() == []
    assert str(broken) in str(store.problem)
    assert "ZOOTER_HISTORY" in str(store.problem)
    folder = History(tmp_path / "history.db" / "inside")
    assert folder.entries() == []
    assert folder.problem


def rights(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.skipif(os.name == "nt", reason="Windows has other rights")
def test_nobody_else_can_read_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ZOOTER_HISTORY")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    folder = tmp_path / "zooter"
    folder.mkdir(0o755)  # narrowed: it is ours
    History(path()).keep(*about("a"), 0, {"query": "secret"})
    with closing(sqlite3.connect(folder / "history.db")) as reader:
        reader.execute("SELECT * FROM turns").fetchall()  # so that the files beside it stay
        History(path()).keep(*about("a"), 1, {"query": "another"})
        modes = {file.name: rights(file) for file in folder.iterdir()}
    assert modes == {"history.db": 0o600, "history.db-wal": 0o600, "history.db-shm": 0o600}
    assert rights(folder) == 0o700


def test_where_it_is_and_that_others_visitors_are_not_kept_unless_a_file_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ZOOTER_HISTORY", "off")
    assert path() is None
    store = History(None)
    store.keep(*about("a"), 0, {})
    assert (store.entries(), store.turns("a"), store.problem) == ([], [], None)
    monkeypatch.delenv("ZOOTER_HISTORY")
    monkeypatch.setattr("zooter_core.ui.history.st.get_option", lambda name: "0.0.0.0")
    assert path() is None
    monkeypatch.setenv("ZOOTER_HISTORY", "here.db")
    assert path() == Path("here.db")
