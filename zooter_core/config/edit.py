"""Changes to a fleet.toml: candidates are added, removed, renamed and set, and what its owner wrote stays as it is.

A file is cut into its tables. tomlkit changes the keys of one and keeps their comments; all others stay letter by
letter. Every change is read back as a fleet before it replaces the file, and the file as it was stays beside it as
fleet.toml.bak.
"""

from __future__ import annotations

import re
import shlex
import shutil
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path
from typing import Any

import tomlkit

from zooter_core.base.errors import ZooterError, did_you_mean, one_line
from zooter_core.base.files import atomic, check_file, inside, locked, writing
from zooter_core.config.fleet import Fleet, load_fleet, real_file
from zooter_core.config.serve import is_virtual
from zooter_core.config.tables import read_toml

FLEET, BACKUP, LOCK = "fleet.toml", "fleet.toml.bak", ".fleet.toml.lock"
CANDIDATE = "candidate"
LOCK_SECONDS = 10.0
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


@dataclass(eq=False)
class Section:
    """A table of the file, as its lines."""

    above: list[str] = field(default_factory=list)  # the blank lines and comments above its header
    header: str = ""  # empty for the keys at the beginning, and for the comments at the end
    keys: list[str] = field(default_factory=list)  # the lines below the header

    @property
    def name(self) -> tuple[str, ...]:
        """The names in its header: `("candidate", "skills")` for `[candidate.skills]`."""
        return _names(tomllib.loads(self.header))

    @property
    def values(self) -> dict[str, Any]:
        return tomllib.loads("\n".join(self.keys))

    def set(self, keys: Keys) -> None:
        """Set keys. New ones come last."""
        document = tomlkit.parse("\n".join([*self.keys, ""]))
        for key, value in keys.items():
            if value is None:
                document.pop(key, None)
            else:
                document[key] = tomlkit.inline_table() | dict(value) if isinstance(value, Mapping) else value
        text = tomlkit.dumps(document)
        if tomllib.loads(text) != document.unwrap():
            step = "Nothing was written. Change the file by hand."
            raise ZooterError(f"the same keys in the new {FLEET} as were meant", "other ones", step)
        self.keys = text.split("\n")[:-1]


@contextmanager
def editing(folder: Path) -> Iterator[list[Section]]:
    """The tables of a folder's fleet.toml, to be changed in the block; a new file if there is none.

    Nothing is written unless the changed file is a valid fleet. One process at a time may change it.

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
        sections = _sections(before.replace("\r\n", "\n"))
        yield sections
        text = _text(sections)
        text = text.replace("\n", "\r\n") if "\r\n" in before else text
        if text == before:
            return
        load_fleet(folder / FLEET, text)  # a file that cannot be read must not replace one that can
        with writing(path):
            if before:
                shutil.copy(path, backup)
            with atomic(path) as partial:
                partial.write_text(text, encoding="utf-8", newline="")
                if before:
                    shutil.copymode(path, partial)


def _sections(text: str) -> list[Section]:
    """A file in parts: the keys at its beginning, its tables, and the blank lines and comments at its end."""
    sections = [Section()]
    rows: list[str] = []
    for line in [*text.split("\n"), None]:
        if line is not None and not (line.lstrip(" \t").startswith("[") and _is_complete(rows)):
            rows.append(line)
            continue
        start = _notes(rows)
        sections[-1].keys = rows[:start]
        sections.append(Section(rows[start:], line or ""))
        rows = []
    return sections


def _is_complete(rows: Sequence[str]) -> bool:
    """Whether the lines end outside of a string or an array that goes on in the next line."""
    try:
        tomllib.loads("\n".join(rows))
    except ValueError:
        return False
    return True


def _names(table: Any) -> tuple[str, ...]:
    """The keys of tables that are inside each other."""
    table = table[0] if isinstance(table, list) else table
    return next(((name, *_names(inner)) for name, inner in table.items()), ())


def _text(sections: Sequence[Section]) -> str:
    lines = [line for one in sections for line in (*one.above, *([one.header] if one.header else ()), *one.keys)]
    return "\n".join(lines)


def _notes(rows: Sequence[str]) -> int:
    """The row where what belongs to the next table begins: the comments at the end, from a blank line on."""
    start = len(rows)
    while start and NOTE.match(rows[start - 1]):
        start -= 1
    while not _is_complete(rows[:start]):  # the end of a text may look like a comment
        start += 1
    return start + next((place for place, line in enumerate(rows[start:]) if not line.strip()), 0)


def add_candidates(folder: Path, candidates: Sequence[Keys], others: Keys | None = None) -> None:
    """Append candidates to a folder's fleet.toml. A new file gets a name and comments too.

    Args:
        candidates: the keys of a `[[candidate]]` each. A key `comment` becomes a comment above it.
        others: tables that the file gets if it has none of the name, such as `reward`.

    Raises:
        ZooterError: as `editing`, or a name is there already.
    """
    with editing(folder) as sections:
        first = sections[0]
        if "name" not in first.values:
            name = one_line(folder.resolve().name) or "fleet"
            header, no_router = (_comments(text.replace("DIR", shlex.quote(name))) for text in (HEADER, NO_ROUTER))
            if not _text(sections).strip():
                first.keys = [*header, ""]
            first.set({"name": name})
            first.keys += ["", *no_router]
        for table, keys in (others or {}).items():
            if not _tables(sections, table):
                _set(sections, table, keys)
        _tables(sections, CANDIDATE)  # refuses another form of them
        for keys in candidates:
            sections[-1:-1] = _new(f"[[{CANDIDATE}]]", keys)


def remove_candidate(folder: Path, name: str) -> None:
    """Remove a candidate. Raises as `editing`, or if there is no such candidate, or no other."""
    with editing(folder) as sections:
        start = sections.index(_candidate(sections, name))
        del sections[start]
        while len(sections[start].name) > 1 and sections[start].name[0] == CANDIDATE:  # [candidate.skills]
            del sections[start]


def change_candidate(folder: Path, name: str, keys: Keys) -> None:
    """Set keys of a candidate, which may rename it. Raises as `editing`, or if there is no such candidate."""
    with editing(folder) as sections:
        _candidate(sections, name).set(keys)


def set_table(folder: Path, table: str, keys: Keys) -> None:
    """Set keys of a table such as `router`, which is added before the candidates if it is not there."""
    with editing(folder) as sections:
        _set(sections, table, keys)


def set_router(folder: Path, path: str, names: Sequence[str]) -> None:
    """Name a new router, which knows candidates by `names`.

    A candidate that it knows by its own name is no longer `routed_as` what another router called it. One that it does
    not know, such as one that came later, is routed to by its profile. Raises as `editing`.
    """
    with editing(folder) as sections:
        candidates = _tables(sections, CANDIDATE)
        for candidate in candidates:
            if candidate.values.get("name") in names:
                candidate.set({"routed_as": None})
        routed_as = [values.get("routed_as", values.get("name")) for values in (one.values for one in candidates)]
        complete = set(routed_as) <= set(names)
        _set(sections, "router", {"path": path} if complete else {"path": path, "others": "profile"})


def remove_router(folder: Path) -> None:
    """Name no router any more; what `[router]` says of prices stays. Raises as `editing`."""
    with editing(folder) as sections:
        for router in _tables(sections, "router"):
            router.set(dict.fromkeys(router.values.keys() - {"willingness"}))
            if not router.values:
                sections.remove(router)


def _tables(sections: Sequence[Section], name: str) -> list[Section]:
    """The tables of a name.

    Raises:
        ZooterError: the file has it as a value, such as `NAME = { ... }`.
    """
    if name in sections[0].values:
        form = f"[[{name}]]" if name == CANDIDATE else f"[{name}]"
        raise ZooterError(f"{form} tables in {FLEET}", "another form", f"Write each as {form}.")
    return [section for section in sections if section.name == (name,)]


def _candidate(sections: Sequence[Section], name: str) -> Section:
    candidates = {str(section.values.get("name")): section for section in _tables(sections, CANDIDATE)}
    if name not in candidates:
        raise ZooterError(f"a candidate in {FLEET}", f'"{name}"', did_you_mean(name, candidates))
    return candidates[name]


def _set(sections: list[Section], table: str, keys: Keys) -> None:
    if tables := _tables(sections, table):
        tables[0].set(keys)
        return
    place = next((number for number, one in enumerate(sections) if one.name[:1] == (CANDIDATE,)), len(sections) - 1)
    sections[place:place] = _new(f"[{table}]", keys)


def _new(header: str, values: Keys) -> list[Section]:
    """A new table, with a blank line above it; its key `comment` becomes a comment. A judge is a table of its own."""
    table = Section([""], header, _comments(values.get("comment") or ""))
    inner = {key: value for key, value in values.items() if key in ("judge", "second") and value is not None}
    table.set({key: value for key, value in values.items() if key not in (*inner, "comment")})
    return [table, *(part for key, more in inner.items() for part in _new(f"{header[:-1]}.{key}]", more))]


def _comments(text: str) -> list[str]:
    return [f"# {one_line(line)}" for line in text.splitlines()]


def free_name(name: str, taken: Collection[str]) -> str:
    """A name that no candidate has, and the endpoint neither: `name`, or `name-2` and so on."""
    names = chain([name], (f"{name}-{number}" for number in count(2)))
    return next(one for one in names if one not in taken and not is_virtual(one))


def fleet_or_none(folder: Path) -> Fleet | None:
    """The fleet in a folder; None where there is none yet."""
    return load_fleet(folder) if (folder / FLEET).is_file() else None
