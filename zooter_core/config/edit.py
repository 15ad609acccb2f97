"""Changes to a fleet.toml: candidates are added, removed, renamed and set, and what its owner wrote stays as it is.

tomlkit keeps comments and order. Every change is read back as a fleet before it replaces the file, and the file as it
was stays beside it as fleet.toml.bak.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import tomlkit
from tomlkit import TOMLDocument
from tomlkit.container import Container
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AoT, Table

from zooter_core.base.errors import ZooterError, check_text, did_you_mean, first_line, one_line
from zooter_core.base.files import atomic, check_file, inside, locked, writing
from zooter_core.config.fleet import Fleet, load_fleet, real_file
from zooter_core.config.serve import is_virtual
from zooter_core.config.tables import read_toml

FLEET, BACKUP, LOCK = "fleet.toml", "fleet.toml.bak", ".fleet.toml.lock"
LOCK_SECONDS = 10.0
TOKEN = re.compile(  # a text of TOML, a comment or a bracket
    r'''"""(?:[^"\\]|\\.|"{1,2}(?!"))*"{3,5}|"(?:[^"\\\n]|\\.)*"'''
    r"""|'''(?:[^']|'{1,2}(?!'))*'{3,5}|'[^'\n]*'"""
    r"|#[^\n]*|[][{}]",
    re.DOTALL,
)
NOTE = re.compile(r"[ \t]*(#|$)")
Keys = Mapping[str, Any]  # of a table; a value None removes the key

HEADER = """\
The models that Zooter routes between, one [[candidate]] each. docs/your-models.md explains every key.
`zooter demo --fleet DIR` opens a chat with them, and `zooter serve --fleet DIR` puts one address in front of them.
"""
NO_ROUTER = """\
Without a [router], a starting router chooses by what is published about the models, or by their names.
`zooter exam --fleet DIR` lets them answer questions, trains a router on the answers, and enters it here
if it is better.
"""


@contextmanager
def editing(folder: Path) -> Iterator[TOMLDocument]:
    """The fleet.toml of a folder, to be changed in the block; a new one if there is none.

    Nothing is written unless the changed file is a valid fleet, and holds what the document holds and no more. One
    process at a time may change it.

    Raises:
        ZooterError: the file is no TOML, the change makes no valid fleet, or the folder cannot be written or has a link
            in the place of a file that is.
    """
    path, backup = real_file(folder / FLEET), inside(folder, BACKUP)  # a link inside the folder stays one
    with writing(path):
        folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / LOCK, str(path), LOCK_SECONDS):
        check_file(path)
        before = ""
        if path.is_file():
            read_toml(path)  # says what is wrong with it
            before = path.read_bytes().decode("utf-8-sig")
        body, headers, end = _apart(before.replace("\r\n", "\n"))
        try:
            document = tomlkit.parse(body)
        except (TOMLKitError, RecursionError) as problem:  # of what tomllib reads and tomlkit does not
            step = "Write it in a simpler form."
            raise ZooterError(f"TOML that can be changed in {path}", first_line(problem), step) from problem
        yield document
        text = _together(document, headers) + end
        text = text.replace("\n", "\r\n") if "\r\n" in before else text
        if text == before:
            return
        check_text(text, str(path))
        load_fleet(folder / FLEET, text)  # a file that cannot be read must not replace one that can
        if read_toml(path, text) != document.unwrap():
            step = "Nothing was written. Change the file by hand."
            raise ZooterError(f"the same tables in the new {path} as were meant", "other ones", step)
        with writing(path):
            if before:
                shutil.copy(path, backup)
            with atomic(path) as partial:
                partial.write_text(text, encoding="utf-8", newline="")
                if before:
                    shutil.copymode(path, partial)


class Header(NamedTuple):
    """What a table's header has beside its name: the blank lines and comments above it, and its own comment."""

    above: str
    comment: str


def _apart(text: str) -> tuple[str, list[Header], str]:
    """The file as tomlkit shall read it, what was taken from its headers, and the comments at its end.

    tomlkit would give comments above a header to the table before it, and those at the end to the last one. So they
    are taken out, and the comment of a header is its number in the list for as long as tomlkit has the file.
    """
    rows: list[tuple[str, str]] = []
    headers: list[Header] = []
    for line, outline in zip(text.split("\n"), _outline(text).split("\n"), strict=True):
        if outline.lstrip(" \t").startswith("["):
            start = _notes(rows)
            comment = "".join(outline.partition("#")[1:])
            headers.append(Header("".join(f"{note}\n" for note, _ in rows[start:]), comment))
            del rows[start:]
            line = f"{line.removesuffix(comment)}#{len(headers) - 1}"
        rows.append((line, outline))
    start = _notes(rows)
    end = [line for line, _ in rows[start:]]
    if not any(map(str.strip, end)) or end[0]:
        return "\n".join(line for line, _ in rows), headers, ""
    return "\n".join([*(line for line, _ in rows[:start]), ""]), headers, "\n".join(end)


def _outline(text: str) -> str:
    """The lines of a file, of which headers alone begin with a bracket, and comments with #, whatever texts hold."""
    depth = 0

    def hidden(match: re.Match[str]) -> str:
        nonlocal depth
        token = match[0]
        depth += (token in "[{") - (token in "]}")
        if token[0] in "\"'":
            return "x" + "\nx" * token.count("\n")
        return "x" if token in "[{" and depth > 1 else token

    return TOKEN.sub(hidden, text)


def _notes(rows: Sequence[tuple[str, str]]) -> int:
    """Where the blank lines and comments at the end begin. Comments right below a key, before a blank line, stay."""
    start = len(rows)
    while start and NOTE.match(rows[start - 1][1]):
        start -= 1
    return start + next((place for place, (line, _) in enumerate(rows[start:]) if not line.strip()), 0)


def _together(document: TOMLDocument, headers: Sequence[Header]) -> str:
    """A file with every comment in its place again. A new table has a blank line above it."""
    for table in _tables(document):
        trivia = table.trivia
        header = headers[int(trivia.comment[1:])] if trivia.comment else Header("\n", "")
        above, indent = header.above, trivia.indent.lstrip("\n")
        if indent != trivia.indent:  # tomlkit has put a blank line there
            above = "\n" + above.lstrip("\n")
        trivia.indent, trivia.comment = above + indent, header.comment
    return tomlkit.dumps(document)


def _tables(container: Container) -> Iterator[Table]:
    """The tables in a container that have a header, and those in its tables."""
    for _, item in container.body:
        for table in item.body if isinstance(item, AoT) else [item]:
            if isinstance(table, Table):
                if not table.is_super_table():
                    yield table
                yield from _tables(table.value)


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
            name = one_line(folder.resolve().name) or "fleet"
            notes = [text.replace("DIR", shlex.quote(name)).splitlines() for text in (HEADER, NO_ROUTER)]
            if not document.as_string().strip():
                for line in notes[0]:
                    document.add(tomlkit.comment(line))
                document.add(tomlkit.nl())
            document.add("name", name)
            document.add(tomlkit.nl())
            for line in notes[1]:
                document.add(tomlkit.comment(line))
        for key, values in (others or {}).items():
            if key not in document:
                document.add(key, _table(values))
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


def remove_router(folder: Path) -> None:
    """Name no router any more; what `[router]` says of prices stays. Raises as `editing`."""
    with editing(folder) as document:
        for key in [key for key in document.get("router", {}) if key != "willingness"]:
            del document["router"][key]
        if not document.get("router", True):
            del document["router"]


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
    table = tomlkit.table()
    for line in (values.get("comment") or "").splitlines():
        table.add(tomlkit.comment(one_line(line)))
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


def free_name(name: str, taken: Collection[str]) -> str:
    """A name that no candidate has, and the endpoint neither: `name`, or `name-2` and so on."""
    names = (name if number == 1 else f"{name}-{number}" for number in range(1, len(taken) + 3))
    return next(one for one in names if one not in taken and not is_virtual(one))


def fleet_or_none(folder: Path) -> Fleet | None:
    """The fleet in a folder; None where there is none yet."""
    return load_fleet(folder) if (folder / FLEET).is_file() else None
