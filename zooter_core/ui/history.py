"""Conversations and votes in a private sqlite file on this machine.

A history that cannot be written does not stop answers; `problem` says what is wrong.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from zooter_core.base.files import private_folder
from zooter_core.base.hosts import is_loopback
from zooter_core.base.sqlite_file import UNUSABLE, empty_log, open_private
from zooter_core.base.strict_json import dump_json, parse_json

VARIABLE = "ZOOTER_HISTORY"  # a file, or "off"
WAIT_SECONDS = 5.0  # to wait while another demo writes
SETUP = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
PRAGMA secure_delete = ON;
CREATE TABLE IF NOT EXISTS conversations
    (id TEXT PRIMARY KEY, title TEXT NOT NULL, fleet TEXT NOT NULL, changed REAL NOT NULL);
CREATE TABLE IF NOT EXISTS turns
    (conversation TEXT NOT NULL, number INTEGER NOT NULL, record TEXT NOT NULL, PRIMARY KEY (conversation, number));
CREATE TABLE IF NOT EXISTS pins (conversation TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS votes
    (id TEXT PRIMARY KEY, fleet TEXT NOT NULL, time REAL NOT NULL, record TEXT NOT NULL);
"""
ENTRIES = "SELECT id, title, fleet, changed, id IN pins FROM conversations"


@dataclass(frozen=True)
class Entry:
    """A conversation in the list; `changed` in seconds since 1970."""

    id: str
    title: str
    fleet: str
    changed: float
    pinned: bool = False


class History:
    """Conversations, their turns and votes. Thread-safe: each call opens the file.

    Attributes:
        path: the file; None for a history that stores nothing.
        problem: why the last call failed; None if it succeeded.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.problem: str | None = None

    def _run(self, *steps: tuple[Any, ...], forget: bool = False) -> list[Any]:
        """Run SQL statements, each followed by its values, in one transaction. Return the rows of the last one, or none
        if the transaction fails.

        Args:
            forget: erase deleted content from the disk.
        """
        if self.path is None:
            return []
        rows: list[Any] = []
        try:
            private_folder(self.path.parent, ours=self.path == _default())
            with closing(open_private(self.path, SETUP, WAIT_SECONDS)) as database:
                # SQLite itself folds only ASCII.
                database.create_function("folded", 1, lambda text: text and text.casefold())
                with database:
                    for query, *values in steps:
                        rows = database.execute(query, values).fetchall()
                if forget:
                    database.execute("VACUUM")
                    if not empty_log(database, WAIT_SECONDS):
                        raise OSError("deleted texts are still in its write-ahead log, which another program has open")
            self.problem = None
        except UNUSABLE as problem:
            self.problem = (
                f"The history {self.path} cannot be used: {problem}. Your conversation continues without it. Name "
                "another file in the variable ZOOTER_HISTORY, or turn it off with ZOOTER_HISTORY=off."
            )
        return rows

    def _records(self, query: str, value: str) -> list[Any]:
        """Stored records; None for each damaged one, which callers leave out."""
        return [_record(text) for (text,) in self._run((query, value))]

    def keep(self, conversation: str, title: str, fleet: str, number: int, record: Mapping[str, Any]) -> None:
        """Store a turn of a conversation, with the conversation's current title and the time of the change."""
        text = dump_json(record, ensure_ascii=False)
        query = (
            "INSERT INTO conversations VALUES (?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET title = excluded.title, changed = excluded.changed"
        )
        self._run(
            (query, conversation, title, fleet, time.time()),
            ("INSERT OR REPLACE INTO turns VALUES (?, ?, ?)", conversation, number, text),
        )

    def entries(self, words: str = "") -> list[Entry]:
        """The first 50 conversations: pinned ones, then the most recently changed. With `words`, only those whose title
        or text contains them."""
        query = (
            f"{ENTRIES} WHERE instr(folded(title), ?1) OR EXISTS"
            " (SELECT 1 FROM turns WHERE conversation = id AND json_valid(record)"
            " AND instr(folded(record ->> 'query' || ' ' || (record ->> 'text')), ?1))"
            " ORDER BY id IN pins DESC, changed DESC LIMIT 50"
        )
        return [Entry(*row) for row in self._run((query, words.casefold()))]

    def pin(self, conversation: str, pinned: bool) -> None:
        """Pin a conversation to the top of the list, or unpin it."""
        query = "INSERT OR IGNORE INTO pins VALUES (?)" if pinned else "DELETE FROM pins WHERE conversation = ?"
        self._run((query, conversation))

    def rename(self, conversation: str, title: str) -> None:
        self._run(("UPDATE conversations SET title = ? WHERE id = ?", title, conversation))

    def entry(self, conversation: str) -> Entry | None:
        rows = self._run((f"{ENTRIES} WHERE id = ?", conversation))
        return Entry(*rows[0]) if rows else None

    def turns(self, conversation: str) -> list[Any]:
        return self._records("SELECT record FROM turns WHERE conversation = ? ORDER BY number", conversation)

    def forget(self, conversation: str) -> None:
        self._run(
            ("DELETE FROM turns WHERE conversation = ?", conversation),
            ("DELETE FROM pins WHERE conversation = ?", conversation),
            ("DELETE FROM conversations WHERE id = ?", conversation),
            forget=True,
        )

    def restore(self, entry: Entry, records: Sequence[Mapping[str, Any]]) -> None:
        """Restore a conversation that `forget` has deleted, with its date and pin."""
        texts = [dump_json(record, ensure_ascii=False) for record in records]
        row = (entry.id, entry.title, entry.fleet, entry.changed)
        self._run(
            ("INSERT OR REPLACE INTO conversations VALUES (?, ?, ?, ?)", *row),
            *(("INSERT OR REPLACE INTO turns VALUES (?, ?, ?)", entry.id, *turn) for turn in enumerate(texts)),
        )
        self.pin(entry.id, entry.pinned)

    def vote(self, id: str, fleet: str, record: Mapping[str, Any]) -> None:
        """Store a vote, which replaces an earlier one with the same id."""
        text = dump_json(record, ensure_ascii=False)
        self._run(("INSERT OR REPLACE INTO votes VALUES (?, ?, ?, ?)", id, fleet, time.time(), text))

    def votes(self, fleet: str) -> list[Any]:
        return self._records("SELECT record FROM votes WHERE fleet = ? ORDER BY rowid", fleet)


NOWHERE = History(None)  # stores nothing


def _record(text: str) -> Any:
    with suppress(ValueError):
        return parse_json(text)


def is_local() -> bool:
    """Whether only this machine can reach the demo."""
    return is_loopback(st.get_option("server.address") or "")


def path() -> Path | None:
    """The file that ZOOTER_HISTORY names, else one in the user's data folder; None if the history is off.

    If other machines can reach the demo, the history is off unless a file is named: visitors would read each other's
    conversations.
    """
    if file := os.environ.get(VARIABLE):
        return None if file == "off" else Path(file).expanduser()
    return _default() if is_local() else None


def _default() -> Path:
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser() / "zooter" / "history.db"


def history() -> History:
    return History(path())
