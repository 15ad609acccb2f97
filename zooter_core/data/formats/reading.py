"""JSON of any size, one record at a time: an array, an object with an array in it, or JSON lines."""

from __future__ import annotations

import gzip
import json
import math
import sys
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from zooter_core.errors import FIX_PERMISSIONS, ZooterError, listed
from zooter_core.surrogates import ESCAPED, clean

CHUNK = 1 << 16
LARGEST = sys.float_info.max
MOST = 1 << 26  # characters of one record
SPACE = " \t\n\r"
NUMBER = 40  # characters that a number, true or \\ud83d may have
Place = str  # "file, line 3"


def json_files(path: Path) -> list[Path]:
    """The JSON files of a folder at any depth, or the file itself."""
    if path.is_file():
        return [path]
    try:
        next(path.iterdir(), None)  # rglob passes over a folder that is closed
    except OSError as problem:
        raise ZooterError(f"a readable folder {path}", str(problem), FIX_PERMISSIONS) from problem
    return sorted(file for file in path.rglob("*") if file.name.endswith((".json", ".jsonl", ".json.gz", ".jsonl.gz")))


def each_record(path: Path) -> Iterator[tuple[Place, dict[str, Any]]]:
    """The objects of a JSON array, or of JSON lines, each with its place.

    Raises:
        ZooterError: the file is damaged, or something in it is no object.
    """
    with Json(path) as source:
        yield from _array(source) if source.peek() == "[" else _values(source)


def each_of(path: Path, key: str, head: dict[str, Any]) -> Iterator[tuple[Place, dict[str, Any]]]:
    """The objects of the array at `key` of the one object in a file; the other keys are put into `head` as they come.

    Raises:
        ZooterError: the file is damaged, or has no such array.
    """
    with Json(path) as source:
        source.take("{", f'an object with "{key}"')
        seen = False
        while source.peek() != "}":
            if head or seen:
                source.take(",", "a comma or the end of the object")
            name = source.value()
            source.take(":", "a colon after a key")
            if name == key and not seen and source.peek() == "[":
                seen = True
                yield from _array(source)
            else:
                head[str(name)] = source.value()
        if not seen:
            raise ZooterError(f'"{key}" as an array in {path}', listed(head) or "nothing", "Check the format's name.")


def _array(source: Json) -> Iterator[tuple[Place, dict[str, Any]]]:
    source.take("[", "an array")
    first = True
    while source.peek() != "]":
        if not first:
            source.take(",", "a comma or the end of the array")
        first = False
        yield source.record()
    source.take("]", "the end of the array")


def _values(source: Json) -> Iterator[tuple[Place, dict[str, Any]]]:
    while source.peek():
        yield source.record()


class Json:
    """A text file of JSON, read in parts; at any time no more than one record of it is in memory.

    Raises:
        ZooterError: there is no such file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._buffer, self._at, self._line, self._ended = "", 0, 1, False
        self._decoder = json.JSONDecoder()
        self._file: TextIO

    def __enter__(self) -> Json:
        try:
            if not self.path.is_file():
                raise ZooterError("a file of JSON", f"none at {self.path}", "Check the path.")
            gzipped = self.path.suffix == ".gz"
            self._file = (gzip.open if gzipped else open)(self.path, "rt", encoding="utf-8-sig")
        except OSError as problem:
            raise ZooterError(f"a readable file {self.path}", str(problem), FIX_PERMISSIONS) from problem
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def place(self) -> Place:
        return f"{self.path}, line {self._line}"

    def peek(self) -> str:
        """The next character that is no white space; "" at the end of the file."""
        while True:
            while self._at < len(self._buffer) and self._buffer[self._at] in SPACE:
                self._line += self._buffer[self._at] == "\n"
                self._at += 1
            if self._at < len(self._buffer):
                return self._buffer[self._at]
            if not self._more():
                return ""

    def take(self, character: str, expected: str) -> None:
        """Go past a character that must come next."""
        if self.peek() != character:
            found = repr(self._buffer[self._at : self._at + 40]) if self.peek() else "the end of the file"
            raise ZooterError(f"{expected} in {self.place}", found, "Mend the file, or get it again.")
        self._at += 1

    def record(self) -> tuple[Place, dict[str, Any]]:
        """The next value, which must be an object, and where it begins."""
        self.peek()
        place = self.place
        value = self.value()
        if not isinstance(value, dict):
            raise ZooterError(f"a JSON object in {place}", type(value).__name__, "Mend or remove it.")
        return place, value

    def value(self) -> Any:
        """The next value."""
        self.peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._buffer, self._at)
            except (ValueError, RecursionError) as problem:  # ValueError: also a number of more than 4300 digits
                wrong = self._wrong(problem)
                if not self._may_go_on(problem) or not self._more():
                    raise wrong from problem
                continue
            # A number near the end of what was read may have more digits there.
            if end > len(self._buffer) - NUMBER and not isinstance(value, str | dict | list) and self._more():
                continue
            halves = ESCAPED.search(self._buffer, self._at, end)
            self._line += self._buffer.count("\n", self._at, end)
            self._at = end
            return clean(value) if halves else value

    def _may_go_on(self, problem: Exception) -> bool:
        """Whether more of the file may make a value whole: else it is wrong where it stands."""
        if not isinstance(problem, json.JSONDecodeError) or len(self._buffer) - self._at > MOST:
            return False
        return problem.pos > len(self._buffer) - NUMBER or problem.msg.startswith("Unterminated")

    def _wrong(self, problem: Exception) -> ZooterError:
        line, found = self._line, repr(self._buffer[self._at : self._at + 40])
        why = "nested too deeply" if isinstance(problem, RecursionError) else "a number with too many digits"
        if isinstance(problem, json.JSONDecodeError):
            line += self._buffer.count("\n", self._at, problem.pos)
            why = problem.msg if len(self._buffer) - self._at <= MOST else "it is too long"
        return ZooterError(
            f"JSON in {self.path}, line {line}", found, f"Mend the record ({why}), or get the file again."
        )

    def _more(self) -> bool:
        """Read on; what was used is dropped."""
        if self._ended:
            return False
        size = max(CHUNK, len(self._buffer) - self._at)  # doubles while one record goes on
        try:
            part = self._file.read(size)
        except (OSError, EOFError, zlib.error, UnicodeDecodeError) as problem:
            raise ZooterError(
                f"a readable file {self.path}", f"{problem} after line {self._line}", "Get the file again."
            ) from problem
        if not part:
            self._ended = True
            return False
        self._buffer, self._at = self._buffer[self._at :] + part, 0
        return True


def text_of(record: dict[str, Any], key: str, place: Place) -> str:
    """A text of a record.

    Raises:
        ZooterError: there is none, or it is no text.
    """
    value = record.get(key)
    if not isinstance(value, str):
        raise ZooterError(f'"{key}" as a text in {place}', repr(value)[:40], "Mend or remove the record.")
    return value


def number_of(value: Any, what: str, place: Place) -> float | None:
    """A finite number; None where there is none (null, NaN).

    Raises:
        ZooterError: it is something else, or infinite.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST:
        raise ZooterError(f"{what} as a number in {place}", repr(value)[:40], "Mend or remove the record.")
    return float(value)


def distinct(names: Sequence[str], what: str) -> None:
    """Refuse two inputs of one name, whose queries would have the same ids."""
    for name in names:
        if names.count(name) > 1:
            raise ZooterError(f"different names of {what}", f'"{name}" twice', "Rename one, or import them apart.")
