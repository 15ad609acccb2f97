"""Changes to a fleet.toml: candidates are added, removed, renamed and set, and what its owner wrote stays as it is.

tomlkit keeps comments and order. Every change is read back as a fleet before it replaces the file, and the file as it
was stays beside it as fleet.toml.bak.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit import TOMLDocument
from tomlkit.items import AoT, Table

from zooter_core.base.errors import ZooterError, did_you_mean
from zooter_core.base.files import atomic, check_file, locked, writing
from zooter_core.config.fleet import Fleet, load_fleet
from zooter_core.config.tables import read_toml

FLEET, BACKUP, LOCK = "fleet.toml", "fleet.toml.bak", ".fleet.toml.lock"
LOCK_SECONDS = 10.0
TABLE = re.compile(r"\s*\[\[?[^\[\]]*\]\]?\s*(#.*)?")  # a header of one
ABOVE = "zooter-above:"  # begins a comment that belongs above the header before it
Keys = Mapping[str, Any]  # of a table; a value None removes the key

HEADER = """\
# The models that Zooter routes between, one [[candidate]] each. docs/your-models.md explains every key.
# `zooter demo --fleet DIR` opens a chat with them, and `zooter serve --fleet DIR` puts one address in front of them.
"""
NO_ROUTER = """\
# Without a [router], a starting router chooses by what is published about the models, or by their names.
# `zooter exam --fleet DIR` lets them answer questions, trains a router on the answers and enters it here.
"""


@contextmanager
def editing(folder: Path) -> Iterator[TOMLDocument]:
    """The fleet.toml of a folder, to be changed in the block; a new one if there is none.

    Nothing is written unless the changed file is a valid fleet. One process at a time may change it.

    Raises:
        ZooterError: the file is no TOML, the change makes no valid fleet, or the folder cannot be written.
    """
    path = (folder / FLEET).resolve()  # a link to it stays one
    with writing(path):
        folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / LOCK, str(path), LOCK_SECONDS):
        check_file(path)
        before = ""
        if path.is_file():
            read_toml(path)  # says what is wrong with it
            before = path.read_bytes().decode("utf-8-sig")
        body, end = _pinned(before.replace("\r\n", "\n"))
        document = tomlkit.parse(body)
        yield document
        text = _unpinned(tomlkit.dumps(document)) + end
        text = text.replace("\n", "\r\n") if "\r\n" in before else text
        if text == before:
            return
        load_fleet(folder / FLEET, text)  # a file that cannot be read must not replace one that can
        with writing(path):
            if before:
                shutil.copy(path, folder / BACKUP)
            with atomic(path) as partial:
                partial.write_text(text, encoding="utf-8", newline="")
                if before:
                    shutil.copymode(path, partial)


def _pinned(text: str) -> tuple[str, str]:
    """The file as tomlkit shall read it, and the comments at its end, which belong to no table.

    tomlkit would give comments above a header to the table before it, so they are put below the header, marked.
    """
    lines: list[str] = []
    for line in text.split("\n"):
        if TABLE.fullmatch(line):
            above = lines[_notes(lines) :]
            del lines[len(lines) - len(above) :]
            lines += [line, *(f"# {ABOVE}{note}" for note in above)]
        else:
            lines.append(line)
    end = lines[_notes(lines) :]
    if not any(map(str.strip, end)) or end[0]:
        return "\n".join(lines), ""
    return "\n".join([*lines[: len(lines) - len(end)], ""]), "\n".join(end)


def _notes(lines: Sequence[str]) -> int:
    """Where the blank lines and comments at the end begin. Comments right below a key, before a blank line, stay."""
    start = len(lines)
    while start and re.match(rf"\s*(#(?! {ABOVE})|$)", lines[start - 1]):
        start -= 1
    return start + next((place for place, line in enumerate(lines[start:]) if not line.strip()), 0)


def _unpinned(text: str) -> str:
    """A file with every comment in its place again."""
    lines: list[str] = []
    header = table = 0
    for line in text.split("\n"):
        if line.startswith(f"# {ABOVE}"):
            note = line.removeprefix(f"# {ABOVE}")
            if note or table > header or not table or lines[table - 1]:  # tomlkit may have put a blank line there
                lines.insert(table, note)
                table += 1
        else:
            header = table = len(lines)
            lines.append(line)
    return "\n".join(lines)


def add_candidates(folder: Path, candidates: Sequence[Keys], others: Keys | None = None) -> None:
    """Append candidates to a folder's fleet.toml. A new file gets a name and comments too.

    Args:
        candidates: the keys of a `[[candidate]]` each. A key `comment` becomes a comment above it.
        others: tables that the file gets if it has none of the name, such as `reward`.

    Raises:
        ZooterError: as `editing`, or a name is there already.
    """
    with editing(folder) as document:
        if "name" not in document:
            if not document.as_string().strip():
                for line in HEADER.replace("DIR", folder.resolve().name).splitlines():
                    document.add(tomlkit.comment(line.removeprefix("# ")))
                document.add(tomlkit.nl())
            document.add("name", folder.resolve().name)
            document.add(tomlkit.nl())
            for line in NO_ROUTER.replace("DIR", folder.resolve().name).splitlines():
                document.add(tomlkit.comment(line.removeprefix("# ")))
            document.add(tomlkit.nl())
        for key, values in (others or {}).items():
            if key not in document:
                document.add(key, _table(values).add(tomlkit.nl()))
        if "candidate" not in document:
            document.add("candidate", tomlkit.aot())
        entries = _candidates(document)
        for values in candidates:
            entries.append(_table(values))


def remove_candidate(folder: Path, name: str) -> None:
    """Remove a candidate. Raises as `editing`, or if there is no such candidate, or no other."""
    with editing(folder) as document:
        entries = _candidates(document)
        entries.remove(_find(entries, name))
        if not entries:
            del document["candidate"]


def change_candidate(folder: Path, name: str, keys: Keys) -> None:
    """Set keys of a candidate, which may rename it. Raises as `editing`, or if there is no such candidate."""
    with editing(folder) as document:
        entry = _find(_candidates(document), name)
        for key, value in keys.items():
            if value is None:
                entry.pop(key, None)
            else:
                entry[key] = value


def set_table(folder: Path, table: str, keys: Keys) -> None:
    """Set keys of a table such as `router`, which is added before the candidates if it is not there."""
    with editing(folder) as document:
        _set(document, table, keys)


def set_router(folder: Path, path: str, names: Sequence[str]) -> None:
    """Name a new router, which knows candidates by `names`.

    A candidate that it knows by its own name is no longer `routed_as` what another router called it. One that it does
    not know, such as one that came later, is routed to by its profile. Raises as `editing`.
    """
    with editing(folder) as document:
        entries = _candidates(document)
        for entry in entries:
            if entry.get("name") in names:
                entry.pop("routed_as", None)
        complete = all(entry.get("routed_as", entry.get("name")) in names for entry in entries)
        _set(document, "router", {"path": path} if complete else {"path": path, "others": "profile"})


def _set(document: TOMLDocument, table: str, keys: Keys) -> None:
    if table in document:
        for key, value in keys.items():
            document[table][key] = value
        return
    candidates = document.pop("candidate")
    document.add(table, _table(keys))
    document.add("candidate", candidates)


def _table(values: Keys) -> Table:
    """A table of TOML. Tables inside it come last."""
    table = tomlkit.table().add(tomlkit.comment(ABOVE))
    for line in (values.get("comment") or "").splitlines():
        table.add(tomlkit.comment(line))
    for key, value in sorted(values.items(), key=lambda item: isinstance(item[1], Mapping)):
        if key != "comment" and value is not None:
            table.add(key, _inline(value) if isinstance(value, Mapping) and key not in ("judge", "second") else value)
    return table


def _inline(values: Keys) -> Any:
    table = tomlkit.inline_table()
    table.update(values)
    return table


def _candidates(document: TOMLDocument) -> AoT:
    entries = document.get("candidate")
    if not isinstance(entries, AoT):
        raise ZooterError("[[candidate]] tables in fleet.toml", "another form", "Write each as [[candidate]].")
    return entries


def _find(entries: AoT, name: str) -> Any:
    names = [entry.get("name") for entry in entries]
    if name not in names:
        raise ZooterError("a candidate in fleet.toml", f'"{name}"', did_you_mean(name, [str(n) for n in names]))
    return entries[names.index(name)]


def free_name(name: str, taken: Sequence[str]) -> str:
    """A name that no candidate has: `name`, or `name-2` and so on."""
    names = (name if number == 1 else f"{name}-{number}" for number in range(1, len(taken) + 2))
    return next(one for one in names if one not in taken)


def fleet_or_none(folder: Path) -> Fleet | None:
    """The fleet in a folder; None where there is none yet."""
    return load_fleet(folder) if (folder / FLEET).is_file() else None
