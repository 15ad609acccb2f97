"""The endpoint's traffic and its rewards: one private SQLite file, `traffic.sqlite`.

Two tables hold the records, and one table holds the vectors of queries that the learner has embedded. Two more tables
hold counts per hour, so that totals of millions of decisions take milliseconds. Triggers update them, also after
deletions.
"""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple
from itertools import chain
from pathlib import Path
from typing import Any, Self

from zooter_core.base.errors import WorkError, ZooterError
from zooter_core.base.files import private_folder
from zooter_core.base.sqlite_file import UNUSABLE, empty_log, open_private
from zooter_core.base.strict_json import dump_json
from zooter_core.config.fleet import Fleet
from zooter_core.learn.traffic_rows import (
    AS_HOURS,
    COLUMNS,
    DECISION_COLUMNS,
    FEEDBACK,
    HOURS,
    MODEL,
    REWARD_COLUMNS,
    REWARDS,
    SAMPLE,
    TABLES,
    LoggedDecision,
    LoggedReward,
    Total,
    id_prefix,
    stored_user,
)

FILE = "traffic.sqlite"
WAIT_SECONDS = 10.0  # the longest wait for another process that writes
SETUP = f"""
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
PRAGMA secure_delete = ON;
PRAGMA recursive_triggers = ON;
PRAGMA cache_size = -32768;
{TABLES}
"""
ROWS_AT_ONCE = 1000  # rows that are deleted per transaction, so that writers never wait long
HOUR = 3600
ROUTED = "chore = 0 AND probability IS NOT NULL"
# Decisions to learn from. Imported queries without rewards are excluded, so that they do not displace routed ones.
USEFUL = f"({ROUTED} OR chore = 0 AND EXISTS (SELECT 1 FROM rewards r WHERE r.request_id = decisions.request_id))"
FOREVER = 1e11  # seconds since 1970, in the year 5138
AMONG = "request_id IN (SELECT value FROM json_each(?))"


def data_folder(fleet: Fleet) -> Path:
    """The folder in which the endpoint stores a fleet's files, in the user's data folder.

    It depends on the fleet's path and not on its name, since several fleets may have the same name.
    """
    root = Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser() / "zooter" / "traffic"
    digest = hashlib.sha256(os.fsencode(fleet.folder.resolve())).hexdigest()[:16]
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", fleet.name)[:40].strip("-") or "fleet"
    return root / f"{name}-{digest}"


class Traffic:
    """The decisions and rewards in a folder. Thread-safe; other processes may use the same file.

    All methods raise a WorkError if the file cannot be read or written, for example because the disk is full. A failed
    transaction changes nothing.
    """

    def __init__(self, path: Path, database: sqlite3.Connection) -> None:
        self.path, self._database, self._lock = path, database, threading.RLock()

    @classmethod
    def open(cls, folder: Path, *, create: bool = True) -> Self:
        """Open the file in a folder. If there is none and `create` is true, create it.

        Raises:
            ZooterError: there is no file, and `create` is false.
            WorkError: the file cannot be opened.
        """
        path = folder / FILE
        if not create and not path.is_file():
            next_step = "Start `zooter serve --learn`, or give its --data, or add old logs with `zooter learn import`."
            raise ZooterError.saying(f"There is no traffic in {folder} yet.", next_step)
        with _usable(path):
            private_folder(folder, ours=False)
            database = open_private(path, SETUP, WAIT_SECONDS, isolation_level=None, check_same_thread=False)
            if not {*DECISION_COLUMNS} <= {row[1] for row in database.execute("PRAGMA table_info(decisions)")}:
                database.close()
                next_step = "Move it to another folder: a new one begins."
                raise WorkError.saying(f"{path} was written by an earlier version of Zooter.", next_step)
        return cls(path, database)

    def close(self) -> None:
        with self._lock:
            self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def add(self, decisions: Iterable[LoggedDecision]) -> int:
        """Add decisions in one transaction, except for stored requests. Returns the number of added decisions."""
        insert = f"INSERT OR IGNORE INTO decisions ({COLUMNS}) VALUES ({', '.join('?' * len(DECISION_COLUMNS))})"
        with self._changing() as database:
            return database.executemany(insert, (decision.row() for decision in decisions)).rowcount

    def add_rewards(self, rewards: Iterable[LoggedReward]) -> None:
        """Add rewards in one transaction. They replace earlier rewards of the same request, candidate and source.

        Rewards of requests that have been deleted in the meantime are dropped.
        """
        marks = ", ".join("?" * len(REWARD_COLUMNS))
        insert = (
            f"INSERT OR REPLACE INTO rewards ({REWARDS}) SELECT {marks}"
            " WHERE EXISTS (SELECT 1 FROM decisions WHERE request_id = ?)"
        )
        with self._changing() as database:
            database.executemany(insert, ((*astuple(reward), reward.request_id) for reward in rewards))

    def decisions(self, after: int = 0, limit: int = -1) -> list[LoggedDecision]:
        """The decisions in the order in which they were added.

        Args:
            after: only decisions after this number. Unlike times, numbers do not skip decisions if the clock jumps.
            limit: the most decisions to return. By default, all.
        """
        return self._decisions("WHERE number > ? ORDER BY number LIMIT ?", after, limit)

    def last_number(self) -> int:
        """The number of the last added decision, even if it has been deleted; 0 if there was none."""
        ((number,),) = self._rows("SELECT COALESCE(MAX(seq), 0) FROM sqlite_sequence WHERE name = 'decisions'")
        return int(number)

    def vectors(self, encoder: str) -> list[tuple[int, bytes]]:
        """The vectors of decisions' queries from an encoder, as pairs of the decision's number and the vector."""
        return self._rows("SELECT number, vector FROM vectors WHERE encoder = ?", encoder)

    def add_vectors(self, encoder: str, vectors: Iterable[tuple[int, bytes]]) -> None:
        """Add vectors of decisions' queries. They replace these decisions' vectors from other encoders.

        Vectors of decisions that have been deleted in the meantime are dropped.
        """
        insert = "INSERT OR REPLACE INTO vectors SELECT ?, ?, ? WHERE EXISTS (SELECT 1 FROM decisions WHERE number = ?)"
        with self._changing() as database:
            database.executemany(insert, ((number, encoder, vector, number) for number, vector in vectors))

    def drop_vectors(self, before: int) -> None:
        """Delete the vectors of decisions before this number."""
        with self._changing() as database:
            database.execute("DELETE FROM vectors WHERE number < ?", (before,))

    def newest(self, limit: int = 20, which: str = "TRUE") -> list[LoggedDecision]:
        """The last added decisions, the last one first. `which` is a condition such as ROUTED or USEFUL."""
        return self._decisions(f"WHERE {which} ORDER BY number DESC LIMIT ?", limit)

    def decision(self, request_id: str) -> LoggedDecision | None:
        """The decision on a request; None if it is not stored."""
        return next(iter(self.decisions_for([request_id])), None)

    def rewards(self, why: str | None = None) -> list[LoggedReward]:
        """The rewards, ordered by request and candidate; with `why`, only those with this reason, such as `sample`."""
        where, values = ("WHERE why = ?", [why]) if why else ("", [])
        return self._rewards(f"{where} ORDER BY request_id, candidate, source", *values)

    def rewards_for(self, request_ids: Sequence[str]) -> list[LoggedReward]:
        return self._rewards(f"WHERE {AMONG}", dump_json(list(request_ids)))

    def totals(self, since: float = 0.0, until: float = FOREVER, *, hours: int | None = None) -> list[Total]:
        """The number of decisions in a period (without `until`) by candidate, optionally in steps of some hours."""
        inner, outer = -int(-since // HOUR), int(until // HOUR)  # hours completely within the period
        edges = [(since, until)] if inner > outer else [(since, inner * HOUR), (outer * HOUR, until)]
        parts, values = [f"{HOURS} WHERE hour >= ? AND hour < ?"], [inner, outer, *chain(*edges)]
        parts += [f"{AS_HOURS} WHERE time >= ? AND time < ?"] * len(edges)
        step = f"hour / {int(hours)} * {int(hours)}" if hours else "NULL"
        select = (
            f"SELECT {step}, candidate, routed, chore, SUM(n) FROM ({' UNION ALL '.join(parts)})"
            " GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"
        )
        return [
            Total(hour, candidate, bool(routed), bool(chore), n)
            for hour, candidate, routed, chore, n in self._rows(select, *values)
        ]

    def reward_totals(
        self, since: float = 0.0, until: float = FOREVER, *, hours: int = 1
    ) -> list[tuple[int, str, str, str, int, float, float]]:
        """Sums of rewards by hour: (hour, candidate, source, why, n, sum, sum of squares)."""
        select = (
            f"SELECT hour / {int(hours)} * {int(hours)}, candidate, source, why, SUM(n), SUM(total), SUM(squares)"
            " FROM reward_hours WHERE hour >= ? AND hour < ? GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"
        )
        return self._rows(select, int(since // HOUR), -int(-until // HOUR))

    def sampled(self, since: float, until: float) -> list[str]:
        """The ids of requests that all candidates answered, in the order in which their rewards were computed."""
        select = "SELECT request_id FROM rewards WHERE why = ? AND time >= ? AND time < ? GROUP BY time, request_id"
        # In the order of the index, so that millions of rows need no sorting.
        return list(dict.fromkeys(request_id for (request_id,) in self._rows(select, SAMPLE, since, until)))

    def decisions_for(self, request_ids: Sequence[str]) -> list[LoggedDecision]:
        """The decisions on some requests, without those that are not stored."""
        return self._decisions(f"WHERE {AMONG}", dump_json(list(request_ids)))

    def served_mean(self, since: float, until: float) -> tuple[float, int]:
        """The mean reward of served answers for which the router chose, without chores, and their number."""
        select = (
            "SELECT AVG(r.reward), COUNT(*) FROM decisions d JOIN rewards r ON r.request_id = d.request_id"
            " AND r.candidate = d.candidate AND r.source = ? WHERE d.time >= ? AND d.time < ?"
            " AND d.probability IS NOT NULL AND d.chore = 0"
        )
        ((average, count),) = self._rows(select, MODEL, since, until)
        return (average or 0.0, count)

    def votes(self, since: float, until: float) -> list[tuple[float, float, str]]:
        """The feedback, the reward and the tags (a JSON list) of each answer that has both feedback and a reward."""
        select = (
            "SELECT f.reward, r.reward, d.tags FROM rewards f JOIN decisions d ON d.request_id = f.request_id"
            " JOIN rewards r ON r.request_id = f.request_id AND r.candidate = f.candidate AND r.source = ?"
            f" WHERE f.source = '{FEEDBACK}' AND f.time >= ? AND f.time < ?"  # matches the index
        )
        return self._rows(select, MODEL, since, until)

    def newest_feedback(self, limit: int) -> list[tuple[LoggedReward, LoggedDecision]]:
        """The latest feedback, each with its decision; the latest one first."""
        rewards = self._rewards(f"WHERE source = '{FEEDBACK}' ORDER BY time DESC LIMIT ?", limit)
        decisions = {entry.request_id: entry for entry in self.decisions_for([reward.request_id for reward in rewards])}
        return [(reward, decisions[reward.request_id]) for reward in rewards if reward.request_id in decisions]

    def last_time(self) -> float:
        """The time of the latest decision; 0 if there is none."""
        ((last,),) = self._rows("SELECT MAX(time) FROM decisions")
        return last or 0.0

    def delete(
        self,
        *,
        key: str | None = None,
        user: str | None = None,
        request_id: str | None = None,
        older_than: float | None = None,
        rewrite: bool = True,
    ) -> int:
        """Delete the decisions that match all given arguments, with their rewards and vectors. Returns their number.

        Their bytes are overwritten with zeros, also those in the write-ahead log.

        Args:
            user: one of the ids of a request's user.
            request_id: the id of a request. For imported requests, also the id in their log.
            older_than: a time, in seconds since 1970.
            rewrite: also rewrite the file, to remove copies that SQLite left when it moved rows to other pages. This
                takes about a second per 100 MB and needs as much free space as the size of the file. If false, copies
                remain until the next deletion that rewrites the file.

        Raises:
            ValueError: no argument is given.
            WorkError: the disk is full, or texts are still on it. The message contains the place and the reason. The
                same call continues the deletion.
        """
        ids = [request_id, request_id and f"{id_prefix(request_id)}*"]
        conditions: dict[str, list[Any]] = {"key = ?": [key], "time < ?": [older_than]}
        conditions |= {"(request_id = ? OR request_id GLOB ?)": ids}
        if user is not None:
            conditions |= {"(user = ? OR other_user = ?)": [stored_user(user)] * 2}
        conditions = {condition: values for condition, values in conditions.items() if values[0] is not None}
        if not conditions:
            raise ValueError("say what to delete")
        select = f"SELECT number FROM decisions WHERE {' AND '.join(conditions)} AND number > ? ORDER BY number LIMIT ?"
        wanted = list(chain(*conditions.values()))
        deleted = last = 0
        with self._lock, _usable(self.path):
            while rows := self._database.execute(select, [*wanted, last, ROWS_AT_ONCE]).fetchall():
                with self._changing() as database:
                    database.execute("PRAGMA user_version = 1")  # until the file is rewritten
                    deleted += database.executemany("DELETE FROM decisions WHERE number = ?", rows).rowcount
                last = rows[-1][0]
            if rewrite and self._database.execute("PRAGMA user_version").fetchone()[0]:
                self._database.execute("VACUUM")
                self._database.execute("PRAGMA user_version = 0")
            is_empty = empty_log(self._database, WAIT_SECONDS)
        if not is_empty:
            raise WorkError.saying(
                f"{deleted:,} requests are deleted, but their texts are still in {self.path}-wal: another program has "
                f"been reading there for {WAIT_SECONDS:.0f} s.",
                "Stop what reads it, such as a shell of SQLite, and run the same again.",
            )
        return deleted

    def _decisions(self, rest: str, *values: Any) -> list[LoggedDecision]:
        rows = self._rows(f"SELECT number, {COLUMNS} FROM decisions {rest}", *values)
        return [LoggedDecision.from_row(row) for row in rows]

    def _rewards(self, rest: str, *values: Any) -> list[LoggedReward]:
        return [LoggedReward(*row) for row in self._rows(f"SELECT {REWARDS} FROM rewards {rest}", *values)]

    def _rows(self, select: str, *values: Any) -> list[Any]:
        with self._lock, _usable(self.path):
            return self._database.execute(select, values).fetchall()

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """An atomic transaction."""
        with self._lock, _usable(self.path), self._database as database:  # commits or rolls back
            database.execute("BEGIN IMMEDIATE")
            yield database


@contextmanager
def _usable(path: Path) -> Iterator[None]:
    """Convert errors of SQLite and of the disk into a WorkError."""
    try:
        yield
    except UNUSABLE as problem:
        next_step = "Free some space, fix its permissions, or give another folder with --data."
        raise WorkError(f"the traffic file {path} to be usable", str(problem), next_step) from problem
