"""Run folders altered by hand, at random from a seed: a file deleted, cut, mixed up, filled with nonsense, replaced."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

from support.damaged_files import damaged
from support.run_folders import FILES

STATES = (*FILES, "distill")  # the step that is not finished
Change = Callable[[random.Random, Path], str]


def alter(seed: int, folder: Path, unfinished: str = "") -> str:
    """Alter run.json or the file of the step that is not finished; says what was done.

    A number in that file that was changed into another number is believed, so there only what makes a line wrong is
    tried.
    """
    chance = random.Random(seed)
    name = chance.choice([name for name in (unfinished, "run.json") if name])
    change = chance.choice((*ANY, *(OF_LINES if name == unfinished else (_damage, _damage))))
    return f"{name}: {change(chance, folder / name)}"


def _delete(chance: random.Random, path: Path) -> str:
    path.unlink()
    return "deleted"


def _cut(chance: random.Random, path: Path) -> str:
    data = path.read_bytes()
    size = chance.randrange(len(data))
    path.write_bytes(data[:size])
    return f"cut after {size} of {len(data)} bytes"


def _damage(chance: random.Random, path: Path) -> str:
    path.write_bytes(damaged(chance, path.read_text(encoding="utf-8")))
    return f"damaged: {path.read_bytes()[:60]!r}"


def _folder(chance: random.Random, path: Path) -> str:
    path.unlink()
    path.mkdir()
    return "a folder in its place"


def _link(chance: random.Random, path: Path) -> str:
    """A link to the same content, to nothing, to a folder, or to itself."""
    target = path.with_name(f"{path.name}.moved")
    kind = chance.choice(("same", "nothing", "folder", "loop"))
    path.rename(target) if kind == "same" else path.unlink()
    path.symlink_to({"same": target, "nothing": target, "folder": path.parent, "loop": path}[kind])
    return f"a link to {kind}"


def of_lines(change: Callable[[random.Random, list[bytes]], str]) -> Change:
    """A change of a file's lines."""

    def changed(chance: random.Random, path: Path) -> str:
        lines = path.read_bytes().splitlines(keepends=True)
        what = change(chance, lines)
        path.write_bytes(b"".join(lines))
        return what

    return changed


@of_lines
def _swap(chance: random.Random, lines: list[bytes]) -> str:
    one, other = chance.sample(range(len(lines)), 2)
    lines[one], lines[other] = lines[other], lines[one]
    return f"lines {one + 1} and {other + 1} swapped"


@of_lines
def _double(chance: random.Random, lines: list[bytes]) -> str:
    one = chance.randrange(len(lines))
    lines.insert(chance.randrange(len(lines) + 1), lines[one])
    return f"line {one + 1} twice"


@of_lines
def _drop(chance: random.Random, lines: list[bytes]) -> str:
    one = chance.randrange(len(lines))
    del lines[one]
    return f"line {one + 1} gone"


@of_lines
def _noise(chance: random.Random, lines: list[bytes]) -> str:
    line = chance.choice([b"\n", b"{}\n", b"[]\n", b"null\n", b"\xff\xfe\n", b"[" * 5000 + b"\n", b'{"id": "q01"}\n'])
    at = chance.randrange(len(lines) + 1)
    lines.insert(at, line)
    return f"{line[:20]!r} before line {at + 1}"


@of_lines
def _wrong_field(chance: random.Random, lines: list[bytes]) -> str:
    """What no record can be: a key gone, an object or a list where there is none."""
    one = chance.randrange(len(lines))
    record = json.loads(lines[one])
    key = chance.choice(sorted(record.keys() - {"first_token_seconds", "error"}))
    record[key] = chance.choice((None, {"x": []}, [[{}]], True))
    lines[one] = json.dumps(record, ensure_ascii=False).encode() + b"\n"
    return f"line {one + 1}: {key} = {record[key]}"


ANY: tuple[Change, ...] = (_delete, _cut, _folder, _link)
OF_LINES: tuple[Change, ...] = (_swap, _double, _drop, _noise, _wrong_field, _wrong_field, _wrong_field, _wrong_field)
