"""Read a suite's files: JSON lines or an array, plain or gzipped, with errors that name file, line and field."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zooter_core.base.errors import ZooterError, listed
from zooter_core.data.formats.reading import each_record

IDS = ("id", "task_id", "question_id", "idx")


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem of a suite.

    Attributes:
        turns: the user's messages; the first is the query of the score file.
        key: what the suite scores by, such as the right answer; any JSON value.
        tags: its subjects, according to the file.
    """

    id: str
    turns: tuple[str, ...]
    key: Any
    tags: tuple[str, ...] = ()


class Record:
    """One record, whose fields have different names in different releases. A field of another form is a ZooterError.

    Attributes:
        place: "file, line 3".
        id: from the record, else the file's name and the record's number.
    """

    def __init__(self, values: dict[str, Any], place: str, fallback: str) -> None:
        self.values, self.place = values, place
        ids = (values[name] for name in IDS if isinstance(values.get(name), str | int))
        self.id = str(next(ids, fallback))

    def get(self, *names: str) -> Any:
        """The first of these fields that is not null; None if there is none."""
        return next((self.values[name] for name in names if self.values.get(name) is not None), None)

    def wrong(self, names: Sequence[str], expected: str) -> ZooterError:
        """The error for a wrong or missing field."""
        field = " or ".join(f'"{name}"' for name in names)
        value = self.get(*names)
        fields = listed(list(self.values)[:8]) or "none"
        shown = f"no such field (fields: {fields})" if value is None else repr(value)[:60]
        return ZooterError(
            f"{field} as {expected} in {self.place}", shown, "Give a file of the suite's release, or correct the line."
        )

    def text(self, *names: str) -> str:
        """A text that is not empty."""
        value = self.get(*names)
        if not isinstance(value, str) or not value.strip():
            raise self.wrong(names, "a text that is not empty")
        return value

    def text_or_none(self, *names: str) -> str | None:
        """`text`, or None if the field is missing, null or empty."""
        return None if self.get(*names) in (None, "") else self.text(*names)

    def texts(self, *names: str) -> list[str]:
        """A list of at least one text."""
        value = self.get(*names)
        if not isinstance(value, list) or not value or not all(isinstance(text, str) and text for text in value):
            raise self.wrong(names, "a list of texts")
        return value


def records(path: Path) -> Iterator[Record]:
    """The records of one file."""
    stem = path.name.split(".")[0]
    for number, (place, values) in enumerate(each_record(path), 1):
        yield Record(values, place, f"{stem}/{number:05d}")


def read_problems(paths: Sequence[Path], make: Callable[[Record], Problem]) -> list[Problem]:
    """The problems of files, one for each record."""
    return distinct([(make(record), record.place) for path in paths for record in records(path)], paths)


def distinct(problems: Sequence[tuple[Problem, str]], paths: Sequence[Path]) -> list[Problem]:
    """The problems, from pairs of problem and place. Refuses two with one id, and files without any."""
    places: dict[str, str] = {}
    for problem, place in problems:
        if problem.id in places:
            raise ZooterError(
                "different ids in all files",
                f'"{problem.id}" in {places[problem.id]} and in {place}',
                "Name each file once, or remove the line.",
            )
        places[problem.id] = place
    if not problems:
        raise ZooterError("at least one record", f"none in {listed(map(str, paths))}", "Check --from.")
    return [problem for problem, _ in problems]
