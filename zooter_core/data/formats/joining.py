"""A table of queries by candidates, for benchmarks that keep one file per candidate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from zooter_core.data.formats import Line, Options
from zooter_core.errors import ZooterError


@dataclass(frozen=True)
class Cell:
    """What one candidate did with one query: its score, its response and further figures by name."""

    score: float | None = None
    response: str | None = None
    extras: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class _Row:
    query: str
    dataset: str | None
    cells: dict[str, Cell]


class ScoreTable:
    """Cells by query and candidate, in memory.

    Args:
        candidates: the order of the pool; those that `add` names later follow.
    """

    def __init__(self, candidates: Sequence[str] = ()) -> None:
        self.candidates = list(candidates)
        self._rows: dict[str, _Row] = {}

    def add(self, key: str, query: str, dataset: str | None, candidate: str, cell: Cell, place: str) -> None:
        """Add one candidate's cell to the query that has the id `key`.

        Raises:
            ZooterError: the candidate has a cell there already, or `key` belongs to another text.
        """
        if candidate not in self.candidates:
            self.candidates.append(candidate)
        row = self._rows.setdefault(key, _Row(query, dataset, {}))
        if row.query != query:
            raise ZooterError(
                f"the same query under {key} for every candidate", f"another in {place}", "Use files of one version."
            )
        if candidate in row.cells:
            raise ZooterError(
                f"one record of {candidate} for {key}", f"a second one in {place}", "Name each file once."
            )
        row.cells[candidate] = cell

    def lines(self, options: Options, scored: bool = True) -> Iterator[Line]:
        """Lines of a score file in the order of the queries; counts in `options` each one that a candidate lacks."""
        for key, row in self._rows.items():
            if not row.query.strip():
                options.left_out["the query is empty"] += 1
            elif missing := [name for name in self.candidates if name not in row.cells]:
                options.left_out[f"no record of {', '.join(missing[:3])}"] += 1
            elif scored and (missing := [name for name in self.candidates if row.cells[name].score is None]):
                options.left_out[f"no score of {', '.join(missing[:3])}"] += 1
            else:
                yield self._line(key, row, scored)

    def _line(self, key: str, row: _Row, scored: bool) -> Line:
        cells = {name: row.cells[name] for name in self.candidates}
        line: Line = {"id": key, "query": row.query}
        if scored:
            line["scores"] = {name: cell.score for name, cell in cells.items()}
        if row.dataset:
            line["dataset"] = row.dataset
        if all(cell.response is not None for cell in cells.values()):
            line["responses"] = {name: cell.response for name, cell in cells.items()}
        for name, cell in cells.items():
            for extra, value in cell.extras.items():
                line.setdefault(extra, {})[name] = value
        return line
