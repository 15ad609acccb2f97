"""Tables of fleet.toml as frozen dataclasses that pydantic checks, and the paths in them.

A wrong value is one ZooterError that names file, table and key. Tables made in Python are checked as well. Paths are
relative to the file; what is read from it has full paths.
"""

from __future__ import annotations

import difflib
import functools
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, field, fields
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar, dataclass_transform

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    StrictStr,
    ValidationError,
    ValidationInfo,
    WrapValidator,
    model_validator,
)
from pydantic.dataclasses import dataclass
from pydantic_core import ErrorDetails, PydanticCustomError

from zooter_core.base.errors import MOST_NAMED, ZooterError, did_you_mean, shortened
from zooter_core.base.files import impossible
from zooter_core.base.gone import GONE
from zooter_core.base.names import wrong_name
from zooter_core.base.weights import PREFIX, check_package

DEEPEST = 50  # tables and lists inside each other
LARGEST = 2**63 - 1  # of an integer in TOML; Python reads larger ones


def read_toml(path: Path, text: str | None = None) -> dict[str, Any]:
    """The tables of a file, which may begin with a byte order mark.

    Args:
        text: what the file is about to hold; None reads it.

    Raises:
        ZooterError: it is not TOML in UTF-8, or nested too deeply.
        OSError: it cannot be read.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig") if text is None else text)
    except UnicodeDecodeError as problem:
        raise ZooterError(f"valid TOML in UTF-8 in {path}", str(problem), "Save the file as UTF-8.") from problem
    except RecursionError as problem:
        raise ZooterError(f"valid TOML in {path}", "too many levels of nesting", "Write fewer.") from problem
    except ValueError as problem:  # also a number of more than 4300 digits
        raise ZooterError(f"valid TOML in {path}", str(problem), "Fix that line.") from problem


def shown(value: Any) -> str:
    """A value for a message; one that Python cannot or should not write out by its kind."""
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "a list"
    return "a very large number" if isinstance(value, int) and abs(value) > LARGEST else repr(value)


def check_values(values: Any, place: str, depth: int = 0) -> None:
    """Refuse texts with a NUL character, which no path can have, integers of more than 64 bits, and deep nesting.

    Raises:
        ZooterError: there is one in the value. `place` says where the value is.
    """
    if depth > DEEPEST:
        raise ZooterError(f"at most {DEEPEST} levels of nesting as {place}", "more", "Write fewer.")
    if isinstance(values, dict):
        for key, value in values.items():
            check_values(value, f"{key} in {place}", depth + 1)
    elif isinstance(values, list):
        for value in values:
            check_values(value, place, depth + 1)
    elif isinstance(values, str) and "\0" in values:
        raise ZooterError(f"a text without NUL characters as {place}", repr(values), "Remove them.")
    elif isinstance(values, int) and abs(values) > LARGEST:
        raise ZooterError(f"a number that fits into 64 bits as {place}", shown(values), "Write a smaller one.")


T = TypeVar("T")
Loc = tuple[str | int, ...]


def _as_written(value: Any, check: Callable[[Any], float]) -> Any:
    check(value)
    return value


# A fleet's hash depends on how a number is written: an integer stays one.
AS_WRITTEN = WrapValidator(_as_written)
Count = Annotated[int, Field(strict=True, ge=1)]
WholeNumber = Annotated[int, Field(strict=True)]
NotNegative = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False), AS_WRITTEN]
Positive = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False), AS_WRITTEN]

REQUIREMENTS = {
    "string_type": "a text in quotes",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "dataclass_type": "a table",
    "dict_type": "a table",
    "list_type": "a list",
    "finite_number": "a finite number",
    "greater_than": "above {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
    "literal_error": "{expected}",
    "unexpected_keyword_argument": "left out",
}


def refusal(expected: str, found: str, next_step: str, key: str = "", sentence: str = "") -> PydanticCustomError:
    """An error for a validator to raise.

    Args:
        expected: what the value of the key must be, such as "a web address".
        key: the key, if the validator checks a whole table.
        sentence: the whole message without the next step; {where} stands for the table and the file.
    """
    facts = {"expected": expected, "found": found, "next_step": next_step, "key": key, "sentence": sentence}
    return PydanticCustomError("refusal", "{expected}", facts)


def _folder(info: ValidationInfo) -> Path | None:
    """The folder of the file that is being read; None for a table that is made in Python, whose paths stay."""
    return info.context["folder"] if info.context else None


def local_path(value: str, info: ValidationInfo) -> str:
    """A full path, whether or not something is there."""
    folder = _folder(info)
    if folder is None:
        return value
    if reason := impossible(folder / value):
        raise refusal("a path", f'"{value}" ({reason})', "Correct it.")
    return os.path.normpath(folder / value)


def reference(value: str, info: ValidationInfo) -> str:
    """A full path for a file or folder beside fleet.toml; a hub id or `package:NAME` stays.

    `adapters/math` and `owner/name` look alike. The first is a path if there is a folder `adapters` beside the file.
    """
    folder = _folder(info)
    if folder is None:
        return value
    if value.startswith(PREFIX):
        try:
            check_package(value)
        except ZooterError as problem:
            facts = problem.failure
            raise refusal(facts.expected, facts.found, facts.next_step) from problem
        return value
    local_path(value, info)  # refuses what cannot be a path
    if value.startswith((".", "/")) or os.path.exists(folder / Path(value).parts[0] if value else folder):
        return existing(value, info)
    return value


def existing(value: str, info: ValidationInfo) -> str:
    """The full path of a file or folder that is there."""
    folder = _folder(info)
    if folder is None:
        return value
    path = Path(local_path(value, info))
    try:
        if path.exists():
            return str(path)
        near = [os.path.relpath(other, folder) for other in path.parent.glob("*")] if path.parent.is_dir() else []
    except OSError as problem:
        raise refusal("a readable path", str(problem), "Fix its permissions.") from problem
    hint = did_you_mean(value, near) if near else "Correct it, or put the file there."
    sentence = f'{info.field_name} in {{where}} is "{value}", but there is nothing at {path}.'
    raise refusal("an existing path", f"nothing at {path}", hint, sentence=sentence)


def _name(value: str) -> str:
    if wrong := wrong_name(value):
        raise refusal(*wrong)
    return value


Name = Annotated[StrictStr, AfterValidator(_name)]
LocalPath = Annotated[StrictStr, AfterValidator(local_path)]
Reference = Annotated[StrictStr, AfterValidator(reference)]
ExistingPath = Annotated[StrictStr, AfterValidator(existing)]


@dataclass(frozen=True)
class Table:
    """What all tables share.

    Attributes:
        hidden: fields that are not keys of the table in the file.
        title: the table in messages, such as "[router]".
    """

    hidden: ClassVar[Sequence[str]] = ()
    title: ClassVar[str] = ""

    @classmethod
    def file_keys(cls) -> list[str]:
        return [entry.name for entry in fields(cls) if entry.name not in cls.hidden]

    @classmethod
    def from_file(cls, values: dict[str, Any]) -> dict[str, Any]:
        """The fields for a table of the file. Raises a refusal for an unknown key."""
        for key in values:
            if key not in cls.file_keys():
                raise unknown_key(cls.title, key, cls.file_keys())
        return values

    def to_file(self) -> dict[str, Any]:
        """The table as the file has it, without what is at its default."""
        values = {entry.name: getattr(self, entry.name) for entry in fields(self) if entry.name not in self.hidden}
        return {
            key: value.to_file() if isinstance(value, Table) else value
            for key, value in values.items()
            if value is not None and (key == "kind" or value != default_of(self, key))
        }

    @model_validator(mode="before")
    @classmethod
    def _from_file(cls, values: Any) -> Any:
        return cls.from_file(values) if isinstance(values, dict) else values


def with_settings(values: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    """The fields for the table of a plug-in: the keys that only the plug-in knows become `settings`."""
    settings = {key: values[key] for key in sorted(values) if key not in keys}
    return {key: value for key, value in values.items() if key in keys} | {"settings": settings}


@dataclass(frozen=True)
class PluginTable(Table):
    """A table whose kind another package adds.

    Attributes:
        settings: the keys that only the plug-in knows, as they are in the file.
    """

    settings: dict[str, Any] = field(default_factory=dict, hash=False, kw_only=True)

    hidden: ClassVar[Sequence[str]] = ("settings",)

    @classmethod
    def from_file(cls, values: dict[str, Any]) -> dict[str, Any]:
        return with_settings(values, cls.file_keys())

    def to_file(self) -> dict[str, Any]:
        return super().to_file() | self.settings


def default_of(table: Table, name: str) -> Any:
    """The default of a field; MISSING if it has none."""
    entry = next(entry for entry in fields(table) if entry.name == name)
    return entry.default if entry.default_factory is MISSING else entry.default_factory()


def unknown_key(title: str, key: str, keys: Sequence[str]) -> PydanticCustomError:
    """The refusal of a key that a table does not have."""
    if instead := GONE.get(f"{title} {key}"):
        return refusal(
            "a key of this version", f'"{key}"', "", key, f'{{where}} has the key "{key}", which is gone: {instead}'
        )
    hint, name = did_you_mean(key, keys), shortened(key, MOST_NAMED)
    return refusal("a known key", f'"{name}"', hint, key, f'{{where}} has an unknown key "{name}".')


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def table(name: str) -> Callable[[type[T]], type[T]]:
    """Make a class a frozen dataclass that pydantic checks. `name` is the table for messages, such as "[router]"."""

    def decorate(plain: type[T]) -> type[T]:
        cls: Any = dataclass(frozen=True, config=ConfigDict(extra="forbid", defer_build=True))(plain)
        cls.title = name
        check = cls.__init__

        @functools.wraps(check)
        def init(self: T, *args: Any, **kwargs: Any) -> None:
            try:
                check(self, *args, **kwargs)
            except ValidationError as problem:  # its text may show a secret
                raise _error(problem, lambda loc: (name, str(loc[-1]) if loc else "")) from None
            finally:
                cls.__init__ = init  # pydantic builds the class at its first use, and then puts its own one back

        cls.__init__ = init
        return cls

    return decorate


def error_in(problem: ValidationError, path: str) -> ZooterError:
    """The first of pydantic's errors in a fleet.toml, as ours."""

    def place(loc: Loc) -> tuple[str, str]:
        *tables, key = _tables_and_key(loc)
        return f"{''.join(tables)} of {path}" if tables else path, key

    return _error(problem, place)


def _tables_and_key(loc: Loc) -> Iterator[str]:
    """Where a value is: `[[candidate]] 2` and a key, `[reward.judge]` and a key; the key is "" for a whole table."""
    names = [str(part) for part in loc if part != "endpoint"]  # its keys are the candidate's in the file
    if loc[:1] == ("candidate",) and len(loc) > 1:
        yield f"[[candidate]] {int(loc[1]) + 1}"
        names = names[2:] or [""]
    elif loc[:1] in (("reward",), ("tagger",)):
        del names[1:2]  # pydantic's tag for the kind
    if len(names) > 1:
        yield f"[{'.'.join(names[:-1])}]"
    yield names[-1] if names else ""


def _error(problem: ValidationError, place: Callable[[Loc], tuple[str, str]]) -> ZooterError:
    """The first error as a ZooterError. `place` gives the table, with its file, and the key."""
    first = problem.errors()[0]
    facts: Mapping[str, Any] = first.get("ctx", {})
    where, key = place((*first["loc"], facts["key"]) if facts.get("key") else first["loc"])
    if first["type"] == "missing":
        table_name = f"{where.partition(']')[0]}.{key}]"  # of a judge, of a tagger's model
        line = f"Add a table {table_name}." if key in ("judge", "instagger") else f"Add {key} = ... there."
        values = first["input"] if isinstance(first["input"], dict) else {}
        names = [name for name in (*values, *values.get("settings", ())) if isinstance(name, str)]
        if typo := difflib.get_close_matches(key, names, 1):
            line = f'It has "{shortened(typo[0], MOST_NAMED)}". Did you mean "{key}"?'
        return ZooterError(f'a key "{key}" in {where}', "none", line, f'{where} lacks the key "{key}".')
    if first["type"] == "refusal":
        expected, actual, next_step = facts["expected"], facts["found"], facts["next_step"]
    else:
        expected, actual, next_step = _requirement(first, facts)
    sentence = facts.get("sentence", "").replace("{where}", where)
    default = f"{key} in {where} must be {expected}, but is {actual}."
    return ZooterError(f"{expected} as {key} in {where}", actual, next_step, sentence or default)


def _requirement(error: ErrorDetails, facts: Mapping[str, Any]) -> tuple[str, str, str]:
    """What pydantic expected, what it got, and what to do."""
    value = error["input"]
    expected = REQUIREMENTS.get(error["type"], error["msg"]).format(**facts)
    if error["type"] == "literal_error" and isinstance(value, str):
        return expected, f'"{value}"', did_you_mean(value, re.findall(r"'(.*?)'", expected))
    return expected, shown(value), "Correct it."
