"""Paths in fleet.toml. They are relative to the file; what is read from it has full paths."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, StrictStr, ValidationInfo

from zooter_core.base.errors import ZooterError, did_you_mean
from zooter_core.base.files import impossible
from zooter_core.base.weights import PREFIX, check_package
from zooter_core.config.tables import refusal


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


LocalPath = Annotated[StrictStr, AfterValidator(local_path)]
Reference = Annotated[StrictStr, AfterValidator(reference)]
ExistingPath = Annotated[StrictStr, AfterValidator(existing)]
