"""The shape of run.json, and the seals that show whether a finished step's files and settings are unchanged."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from zooter_core.base.errors import WorkError
from zooter_core.base.strict_json import dump_json

PART = 1 << 20  # bytes read at once


def check_shape(state: Any) -> None:
    """Check the shape of the content of a run.json; a ValueError names the part that is wrong."""
    if not isinstance(state, dict):
        raise ValueError("no JSON object")
    for part in ("steps", "seals", "open"):
        entries = state.get(part, {} if part == "open" else None)
        if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
            raise ValueError(f'"{part}" is not an object of objects')
    if not isinstance(state.get("fleet", ""), str):
        raise ValueError('"fleet" is not a text')
    pool = state["steps"].get("start", {}).get("pool", ["any"])
    names = isinstance(pool, list) and all(isinstance(name, str) for name in pool)
    if not names or not pool or len(set(pool)) < len(pool):
        raise ValueError('"pool" is not a list of different names')
    for step, seal in state["seals"].items():
        if not _is_seal(seal):
            raise ValueError(f'the seal of the step "{step}" is incomplete')


def _is_seal(seal: Mapping[str, Any]) -> bool:
    hashes = seal.get("router", {})
    if not isinstance(hashes, dict):
        return False
    texts = (seal.get("file"), seal.get("sha256"), seal.get("settings_sha256"), *hashes.values())
    return all(isinstance(text, str) for text in texts) and all(map(_inside, (seal["file"], *hashes)))


def _inside(name: str) -> bool:
    path = PurePosixPath(name)
    return "\0" not in name and bool(path.parts) and not path.is_absolute() and ".." not in path.parts


def seal_of(folder: Path, file: str, settings: Any, router: Path | None = None) -> dict[str, Any]:
    """The seal of a finished step: the record count and hash of its file, and the hash of its settings.

    Args:
        router: a router's folder inside `folder`, whose files are sealed too.
    """
    lines, digest = 0, hashlib.sha256()
    with (folder / file).open("rb") as content:
        while part := content.read(PART):
            lines += part.count(b"\n")
            digest.update(part)
    seal: dict[str, Any] = {"file": file, "records": lines, "sha256": digest.hexdigest()}
    seal["settings_sha256"] = _hash_of(settings)
    if router is not None:
        files = sorted(path for path in router.rglob("*") if path.is_file())
        seal["router"] = {path.relative_to(folder).as_posix(): sha256_of(path) for path in files}
    return seal


def check_seals(folder: Path, state: Mapping[str, Any], router: str) -> None:
    """Refuse a run in which a file or a setting has changed since its step was finished.

    Args:
        router: the name of the router's folder.
    """
    for step, seal in state["seals"].items():
        if change := _change(folder, seal):
            remake = f"Delete {folder / router} and start again to make it again, or start a new run."
            raise WorkError(
                f"{change[0]} as it was when the step {step} was finished",
                change[1],
                remake if step == "distill" else "Restore a copy, or start a new run.",
            )
        if seal["settings_sha256"] != _hash_of(state["steps"].get(step)):
            raise WorkError(
                f"the settings of the step {step} in {folder / 'run.json'} as they were when it was finished",
                "they changed since",
                "Restore a copy of the file, or start a new run.",
            )


def _hash_of(settings: Any) -> str:
    return hashlib.sha256(dump_json(settings, sort_keys=True).encode()).hexdigest()


def _change(folder: Path, seal: Mapping[str, Any]) -> tuple[Path, str] | None:
    """The first sealed file that has changed, and how; None if there is none."""
    for name, wanted in {seal["file"]: seal["sha256"], **seal.get("router", {})}.items():
        path = folder / name
        try:
            if sha256_of(path) != wanted:
                return path, "it changed since"
        except OSError as problem:
            return path, str(problem)
    return None


def sha256_of(path: Path) -> str:
    """The hash of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
