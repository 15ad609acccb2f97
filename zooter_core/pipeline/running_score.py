"""The running score of a run: how many answers of each candidate are right so far, by kind of query.

It follows responses.jsonl while the step collect writes it, and verifies each answer whose query has an answer key.
The other answers wait for the reward model, which the step score asks.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zooter_core.base.records import Query
from zooter_core.base.strict_json import parse_json
from zooter_core.data.evident_keys import key_of
from zooter_core.data.scores import NO_DATASET
from zooter_core.evaluation.verified import verify


@dataclass(frozen=True)
class Right:
    """How many answers are right, of how many that were checked."""

    right: int = 0
    checked: int = 0

    @property
    def share(self) -> float:
        return self.right / self.checked if self.checked else 0.0

    def __add__(self, other: Right) -> Right:
        return Right(self.right + other.right, self.checked + other.checked)


class RunningScore:
    """Counts right answers by data set and candidate. One thread at a time updates it; others may read.

    Args:
        queries: of the run. An exam's data sets are its skills.
        responses: responses.jsonl, which need not exist yet.

    Attributes:
        datasets: those with answer keys, in the order of the queries.
    """

    def __init__(self, queries: Sequence[Query], responses: Path) -> None:
        self._queries = {query.id: query for query in queries if key_of(query)}
        self.datasets = tuple(dict.fromkeys(_dataset(query) for query in self._queries.values()))
        self._file, self._place = responses, 0
        self._counts: dict[tuple[str, str], Right] = {}

    def of(self, candidate: str, dataset: str | None = None) -> Right:
        """The count of a candidate in one data set, or in all."""
        datasets = self.datasets if dataset is None else (dataset,)
        return sum((self._counts.get((one, candidate), Right()) for one in datasets), Right())

    def update(self, stop: threading.Event) -> None:
        """Verify what has come since the last call, until `stop` is set.

        Raises:
            ZooterError, SandboxError: as `verify`.
        """
        if not self._file.is_file():
            return
        with self._file.open("rb") as file:
            file.seek(self._place)
            for line in file:
                if stop.is_set() or not line.endswith(b"\n"):  # the rest of it is still to come
                    return
                self._place += len(line)
                with suppress(ValueError):  # a damaged line: the step that reads the file says so
                    self._count(parse_json(line))

    def _count(self, answer: Mapping[str, Any]) -> None:
        query = self._queries.get(answer["id"])
        if query is None or (key := key_of(query)) is None or answer.get("error") is not None:
            return
        place, right = (_dataset(query), answer["candidate"]), verify(answer["text"], key).right
        self._counts[place] = self._counts.get(place, Right()) + Right(int(right), 1)


def _dataset(query: Query) -> str:
    return query.dataset or NO_DATASET
