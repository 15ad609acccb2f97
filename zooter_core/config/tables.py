"""The base of fleet.toml's tables, which are frozen dataclasses that pydantic checks, and the types of their values.

If a value is invalid, `load_fleet` raises a ZooterError that names file, table and key; a table that is created in
Python raises pydantic's ValidationError. Paths in the file are relative to the file; loaded tables have full paths.

Modules with tables do not use `from __future__ import annotations`: with it, pydantic evaluates every annotation again
in each subclass, which adds 5 ms to every start.
"""

import os
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, field, fields
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar, dataclass_transform

from pydantic import AfterValidator, ConfigDict, Field, StrictStr, ValidationError, ValidationInfo, model_validator
from pydantic.dataclasses import dataclass

from zooter_core.base.errors import FIX_PERMISSIONS, MOST_NAMED, ZooterError, did_you_mean, shortened
from zooter_core.base.gone import GONE
from zooter_core.base.terminal import wrong_name
from zooter_core.base.weights import PREFIX, check_package

SYNTAX_STEPS = {  # the beginning of tomllib's message -> what to do
    "Invalid value": 'Put texts in straight quotes, as in name = "math", and write true or false in lower case.',
    "Cannot ": "It is there already: remove one. Each model begins with [[candidate]], in two brackets.",
}
LARGEST = 2**63 - 1  # the largest integer in TOML; Python would accept larger ones


def read_toml(path: Path, text: str | None = None) -> dict[str, Any]:
    """The tables of a file, which may begin with a byte order mark.

    Args:
        text: the file's future content, which is read instead of the file.

    Raises:
        ZooterError: the file cannot be read, or is not TOML in UTF-8.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig") if text is None else text)
    except OSError as problem:
        raise ZooterError(f"a readable {path}", str(problem), FIX_PERMISSIONS) from problem
    except ValueError as problem:
        # The line itself is not shown, since it may hold a key.
        steps = (step for beginning, step in SYNTAX_STEPS.items() if str(problem).startswith(beginning))
        step = "Save the file as UTF-8." if isinstance(problem, UnicodeDecodeError) else "Fix that line."
        raise ZooterError(f"valid TOML in UTF-8 in {path}", str(problem), next(steps, step)) from problem


WholeNumber = Annotated[int, Field(strict=True, ge=-LARGEST, le=LARGEST)]
Limit = Annotated[WholeNumber, Field(ge=0)]
Count = Annotated[WholeNumber, Field(ge=1)]
NotNegative = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]

# Replacements for pydantic's messages that mention Python.
MESSAGES = {
    "dataclass_type": "It must be a table",
    "dict_type": "It must be a table",
    "bool_type": "It must be true or false",
}


def refusal(expected: str, actual: str, next_step: str = "") -> ValueError:
    """The error for a validator of one value. In errors of a whole table, {where} stands for the table and the file."""
    return ValueError(f"must be {expected}, but is {actual}. {next_step}".strip())


def _in_file(read: Callable[[str, Path], str]) -> AfterValidator:
    """A validator that resolves paths in the file's folder with `read`. Tables created in Python keep their paths."""

    def full(value: str, info: ValidationInfo) -> str:
        return read(value, info.context["folder"]) if info.context else value

    return AfterValidator(full)


def local_path(value: str, folder: Path) -> str:
    """The full path, whether or not it exists."""
    return os.path.normpath(folder / value)


def reference(value: str, folder: Path) -> str:
    """The full path of a file or folder beside fleet.toml; a hub id or `package:NAME` is unchanged.

    `adapters/math` and `owner/name` look alike: `adapters/math` is a path if the file's folder has a folder `adapters`.
    """
    if value.startswith(PREFIX):
        try:
            check_package(value)
        except ZooterError as problem:
            facts = problem.failure
            raise refusal(facts.expected, facts.found, facts.next_step) from problem
        return value
    if value.startswith((".", "/")) or os.path.exists(folder / value.partition("/")[0]):
        return existing(value, folder)
    return value


def existing(value: str, folder: Path) -> str:
    """The full path of a file or folder that must exist."""
    path = Path(local_path(value, folder))
    if path.exists():
        return str(path)
    near = [os.path.relpath(other, folder) for other in path.parent.glob("*")]
    hint = did_you_mean(value, near) if near else "Correct it, or put the file there."
    raise ValueError(f'is "{value}", but there is nothing at {path}. {hint}')


def _name(value: str) -> str:
    if wrong := wrong_name(value):
        raise refusal(*wrong)
    return value


Name = Annotated[StrictStr, AfterValidator(_name)]
LocalPath = Annotated[StrictStr, _in_file(local_path)]
Reference = Annotated[StrictStr, _in_file(reference)]
ExistingPath = Annotated[StrictStr, _in_file(existing)]


# Pydantic's errors must not show values, since they may be secrets.
CHECKS = ConfigDict(extra="forbid", defer_build=True, hide_input_in_errors=True)


@dataclass(frozen=True, config=CHECKS)
class Table:
    """The base of all tables."""

    hidden: ClassVar[Sequence[str]] = ()  # fields that are not keys of the table in the file
    title: ClassVar[str] = ""  # the table in messages, such as "[router]"

    @classmethod
    def file_keys(cls) -> list[str]:
        return [entry.name for entry in fields(cls) if entry.name not in cls.hidden]

    @classmethod
    def from_file(cls, values: dict[str, Any]) -> dict[str, Any]:
        """The fields for a table of the file. Raises ValueError for an unknown key."""
        for key in values:
            if key not in cls.file_keys():
                raise unknown_key(cls.title, key, cls.file_keys())
        return values

    def to_file(self) -> dict[str, Any]:
        """The table in the file's format, without default values."""
        values: dict[str, Any] = {}
        for entry in fields(self):
            value = getattr(self, entry.name)
            default = entry.default if entry.default_factory is MISSING else entry.default_factory()
            if entry.name not in self.hidden and value is not None and (entry.name == "kind" or value != default):
                values[entry.name] = value.to_file() if isinstance(value, Table) else value
        return values

    @model_validator(mode="before")
    @classmethod
    def _from_file(cls, values: Any) -> Any:
        return cls.from_file(values) if isinstance(values, dict) else values


def with_settings(values: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    """The fields for a plug-in's table: the keys that only the plug-in knows become `settings`."""
    settings = {key: values[key] for key in sorted(values) if key not in keys}
    return {key: value for key, value in values.items() if key in keys} | {"settings": settings}


@dataclass(frozen=True, config=CHECKS)
class PluginTable(Table):
    """A table of a kind that another package adds."""

    # The keys that only the plug-in knows, as they are in the file.
    settings: dict[str, Any] = field(default_factory=dict, hash=False, kw_only=True)

    hidden: ClassVar[Sequence[str]] = ("settings",)

    @classmethod
    def from_file(cls, values: dict[str, Any]) -> dict[str, Any]:
        return with_settings(values, cls.file_keys())

    def to_file(self) -> dict[str, Any]:
        return super().to_file() | self.settings


def unknown_key(title: str, key: str, keys: Sequence[str]) -> ValueError:
    if instead := GONE.get(f"{title} {key}"):
        return ValueError(f'{{where}} has the key "{key}", which was removed: {instead}')
    return ValueError(f'{{where}} has an unknown key "{shortened(key, MOST_NAMED)}". {did_you_mean(key, keys)}')


T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def table(title: str) -> Callable[[type[T]], type[T]]:
    """Make a class a frozen dataclass that pydantic checks. `title` is the table's name in messages: "[router]"."""

    def decorate(plain: type[T]) -> type[T]:
        checked: Any = dataclass(frozen=True, config=CHECKS)(plain)
        checked.title = title
        return checked

    return decorate


def error_in(problem: ValidationError, path: str) -> ZooterError:
    """The first of pydantic's errors in a fleet.toml as an error that names table and key."""
    error = problem.errors()[0]
    kind, value, (where, key) = error["type"], error["input"], _place(error["loc"], path)
    if kind == "missing":
        is_table = key in ("judge", "instagger")
        step = f"Add a table {where.partition(']')[0]}.{key}]." if is_table else f"Add {key} = ... there."
        return ZooterError.saying(f'{where} lacks the key "{key}".', step)
    if kind == "value_error":  # from a validator; the value may be a secret
        sentence = str(error["ctx"]["error"])
        if "{where}" in sentence:
            return ZooterError.saying(sentence.replace("{where}", _place((*error["loc"], ""), path)[0]))
        return ZooterError.saying(f"{key} in {where} {sentence}")
    hint = ""
    if kind == "literal_error" and isinstance(value, str):
        hint = did_you_mean(value, re.findall(r"'(.*?)'", error["ctx"]["expected"]))
    message = MESSAGES.get(kind, error["msg"]).replace("False, True", "false, true")  # as TOML writes them
    shown = "a table" if isinstance(value, dict) else "a list" if isinstance(value, list) else repr(value)
    return ZooterError.saying(f"{key} in {where} is {shown}. {message}.", hint)


def _place(loc: tuple[str | int, ...], path: str) -> tuple[str, str]:
    """The table of a value, such as `[[candidate]] 2 of PATH` or `[reward.judge] of PATH`, and its key.

    The key is "" for a table.
    """
    names = [str(part) for part in loc if part != "endpoint"]  # in the file, its keys are the candidate's
    tables = ""
    if loc[:1] == ("candidate",) and len(loc) > 1:
        tables, names = f"[[candidate]] {int(loc[1]) + 1}", [".".join(names[2:])]
    if len(names) > 1:
        tables += f"[{'.'.join(names[:-1])}]"
    return f"{tables} of {path}" if tables else path, names[-1] if names else ""
