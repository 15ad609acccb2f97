"""Records of a suite's files, JSON lines or an array, plain or gzipped, with errors that name file, line and field."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from zooter_core.data.formats.reading import each_record
from zooter_core.errors import ZooterError, listed
from zooter_core.evaluation.suites import Problem

IDS = ("id", "task_id", "question_id", "idx")


class Record:
    """One record, whose fields are asked for by each name that releases give them.

    Attributes:
        place: "file, line 3".
        id: its own, else the file's name and its number there.
    """

    def __init__(self, values: dict[str, Any], place: str, fallback: str) -> None:
        self.values, self.place = values, place
        own = (values[name] for name in IDS if isinstance(values.get(name), str | int))
        self.id = str(next(own, fallback))

    def get(self, *names: str) -> Any:
        """The first of these fields that is there and not null, else None."""
        return next((self.values[name] for name in names if self.values.get(name) is not None), None)

    def wrong(self, names: Sequence[str], expected: str) -> ZooterError:
        """The error of a field that is not what it should be."""
        named = " or ".join(f'"{name}"' for name in names)
        value = self.get(*names)
        known = listed(list(self.values)[:8]) or "none"
        found = f"no such field (fields: {known})" if value is None else repr(value)[:60]
        return ZooterError(
            f"{named} as {expected} in {self.place}", found, "Give the suite's own file, or mend the line."
        )

    def text(self, *names: str) -> str:
        """A text that is not empty.

        Raises:
            ZooterError: there is none.
        """
        value = self.get(*names)
        if not isinstance(value, str) or not value.strip():
            raise self.wrong(names, "a text that is not empty")
        return value

    def text_or_none(self, *names: str) -> str | None:
        """The same, or None where the field is missing, null or empty."""
        return None if self.get(*names) in (None, "") else self.text(*names)

    def texts(self, *names: str) -> list[str]:
        """A list of texts, with at least one.

        Raises:
            ZooterError: it is none.
        """
        value = self.get(*names)
        if not isinstance(value, list) or not value or not all(isinstance(text, str) and text for text in value):
            raise self.wrong(names, "a list of texts")
        return value


def records(path: Path) -> Iterator[Record]:
    """The records of one file.

    Raises:
        ZooterError: there is no such file, or it is damaged.
    """
    stem = path.name.split(".")[0]
    for number, (place, values) in enumerate(each_record(path), 1):
        yield Record(values, place, f"{stem}/{number:05d}")


def read_problems(paths: Sequence[Path], make: Callable[[Record], Problem]) -> list[Problem]:
    """The problems of files, a record each."""
    return distinct([(make(record), record.place) for path in paths for record in records(path)], paths)


def distinct(found: Sequence[tuple[Problem, str]], paths: Sequence[Path]) -> list[Problem]:
    """Problems with their places, without the places.

    Raises:
        ZooterError: there are none, or two have one id.
    """
    seen: dict[str, str] = {}
    for problem, place in found:
        if problem.id in seen:
            raise ZooterError(
                "different ids in all files",
                f'"{problem.id}" in {seen[problem.id]} and in {place}',
                "Name each file once, or take the line out.",
            )
        seen[problem.id] = place
    if not found:
        raise ZooterError("at least one record", f"none in {listed(map(str, paths))}", "Check --from.")
    return [problem for problem, _ in found]
