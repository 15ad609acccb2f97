"""Hashes what a run depends on: settings of fleet.toml and the files that they name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from zooter_core.base.errors import ZooterError
from zooter_core.config.candidates import ENDPOINT, CandidateConfig
from zooter_core.config.labelling import HttpConfig
from zooter_core.config.tables import Table

FILES = ("model", "adapter", "vocabulary", "encoder", "path")  # keys that may name a file or folder
# Keys that affect display, price, access or placement, but not results.
OUTSIDE = {
    *("description", "skills", "routed_as", "usd_per_million_tokens"),
    *("api_key_env", "insecure"),
    *("usd_per_million_prompt_tokens", "usd_per_million_cached_tokens"),
    *("device_map", "memory", "connect_seconds", "first_token_seconds", "gap_seconds"),
    *("retries", "parallel", "rest_after", "rest_seconds", "answer_seconds", "judge", "second", "instagger"),
    *("threads", "gpu_layers"),
    *("context_tokens", "images", "tools", "json_mode"),
}
LARGE = 1 << 26  # bytes
MOST_FILES = 10_000  # in a model's folder


def fingerprint(tables: Sequence[Table], folder: Path) -> str:
    """The hash of some tables of a fleet. It does not change when the fleet's folder is moved.

    Raises:
        ZooterError: a folder that a table names contains more than MOST_FILES files and folders.
        OSError: a file cannot be read.
    """
    # Defaults are left out, so that a new key does not change old hashes.
    settings = [{key: value for key, value in sorted(one.to_file().items()) if key not in OUTSIDE} for one in tables]
    digest = hashlib.sha256(repr(settings).replace(str(folder), "").encode())
    names = {getattr(table, key, None) for table in tables if not named_by_server(table) for key in FILES}
    for path in sorted(Path(name) for name in names if name):
        for file in sorted(_entries(path) if path.is_dir() else [path]):
            if file.is_file() and file.suffix != ".md":
                digest.update(file.relative_to(path).as_posix().encode() + _content(file))
    return digest.hexdigest()


def named_by_server(table: Table) -> bool:
    """Whether `model` is a server's name and not a path, even if there is a folder with that name."""
    return isinstance(table, HttpConfig) or (isinstance(table, CandidateConfig) and table.backend == ENDPOINT)


def _entries(folder: Path) -> Iterator[Path]:
    for number, path in enumerate(folder.rglob("*")):
        if number == MOST_FILES:
            raise ZooterError(
                f"the folder of one model at {folder}",
                f"more than {MOST_FILES:,} files and folders",
                "Name the folder of the model itself in fleet.toml.",
            )
        yield path


def _content(file: Path) -> bytes:
    """The bytes that identify a file: its content, or if it has more than LARGE bytes, its size, beginning and end."""
    size = file.stat().st_size
    if size <= LARGE:
        return file.read_bytes()
    with file.open("rb") as content:
        first = content.read(LARGE // 64)
        content.seek(-LARGE // 64, 2)
        return str(size).encode() + first + content.read()
