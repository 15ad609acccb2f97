"""Records that lie in a file a candidate, joined by query: on the disk, so that memory does not grow with them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from zooter_core.data.formats import Line, Options
from zooter_core.errors import ZooterError
from zooter_core.strict_json import dump_json, parse_json

TABLES = """
create table queries (number integer primary key, key text unique, text text, dataset text);
create table cells (
    query integer, candidate integer, score real, response text, extras text, primary key (query, candidate)
) without rowid;
"""


@dataclass
class Cell:
    """What one candidate did with one query."""

    score: float | None = None
    response: str | None = None
    extras: dict[str, float] = field(default_factory=dict)


class Joined:
    """A table of queries by candidates in a temporary file, which goes with the process. Use it as a context."""

    def __init__(self) -> None:
        self.candidates: list[str] = []

    def __enter__(self) -> Joined:
        # An empty name is a database of sqlite's own on the disk, without a name there: no kill leaves it behind.
        self._base = sqlite3.connect("", isolation_level=None)
        self._base.executescript("pragma journal_mode = off; pragma synchronous = off; begin;" + TABLES)
        return self

    def __exit__(self, *_: object) -> None:
        self._base.close()

    def add(self, key: str, text: str, dataset: str | None, candidate: str, cell: Cell, place: str) -> None:
        """A cell; `key` is the query's own, and the same with every candidate.

        Raises:
            ZooterError: the candidate has this query twice, or another text had this key.
        """
        if candidate not in self.candidates:
            self.candidates.append(candidate)
        self._base.execute("insert or ignore into queries (key, text, dataset) values (?, ?, ?)", (key, text, dataset))
        number, known = self._base.execute("select number, text from queries where key = ?", (key,)).fetchone()
        if known != text:
            raise ZooterError(
                f"the same query under {key} with every candidate", f"another in {place}", "Give files of one version."
            )
        row = (number, self.candidates.index(candidate), cell.score, cell.response, dump_json(cell.extras))
        try:
            self._base.execute("insert into cells values (?, ?, ?, ?, ?)", row)
        except sqlite3.IntegrityError as problem:
            raise ZooterError(
                f"one record of {candidate} for {key}", f"a second one in {place}", "Give each file once."
            ) from problem

    def lines(self, options: Options, scored: bool = True) -> Iterator[Line]:
        """Lines of a score file, in the order in which queries came; one that a candidate lacks is left out."""
        for number, key, text, dataset in self._base.execute("select * from queries order by number"):
            rows = {row[0]: row for row in self._cells(number)}
            if not text.strip():
                options.left_out["the query is empty"] += 1
            elif missing := [name for n, name in enumerate(self.candidates) if n not in rows]:
                options.left_out[f"no record of {', '.join(missing[:3])}"] += 1
            elif scored and (missing := [name for n, name in enumerate(self.candidates) if rows[n][1] is None]):
                options.left_out[f"no score of {', '.join(missing[:3])}"] += 1
            else:
                yield self._line(key, text, dataset, rows, scored)

    def _cells(self, number: int) -> list[tuple[int, float | None, str | None, str]]:
        query = "select candidate, score, response, extras from cells where query = ?"
        return self._base.execute(query, (number,)).fetchall()

    def _line(self, key: str, text: str, dataset: str | None, rows: dict[int, Any], scored: bool) -> Line:
        line: Line = {"id": key, "query": text}
        if scored:
            line["scores"] = {name: rows[n][1] for n, name in enumerate(self.candidates)}
        if dataset:
            line["dataset"] = dataset
        if all(rows[n][2] is not None for n in range(len(self.candidates))):
            line["responses"] = {name: rows[n][2] for n, name in enumerate(self.candidates)}
        for n, name in enumerate(self.candidates):
            for extra, value in parse_json(rows[n][3]).items():
                line.setdefault(extra, {})[name] = value
        return line
