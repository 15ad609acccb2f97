"""A file that is there whole or not at all."""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from zooter_core.errors import ZooterError


@contextmanager
def written_whole(path: Path) -> Iterator[TextIO]:
    """Write JSON lines aside and put them at `path` at the end; after an error or an interrupt nothing is left.

    Raises:
        ZooterError: at once, where such a file cannot be written.
    """
    if not path.name.endswith((".jsonl", ".jsonl.gz")):
        raise ZooterError("--out as a .jsonl or .jsonl.gz file", str(path), "Rename it.")
    partial = path.with_name(f"{path.name}.partial-{os.getpid()}")
    try:
        if path.is_dir():
            raise IsADirectoryError(f"{path} is a folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        raw = partial.open("wb")
    except OSError as problem:
        raise ZooterError(f"a place to write {path}", str(problem), "Give another --out.") from problem
    try:
        with raw:
            # Neither name nor time go into the gzip header, so that the same lines make the same bytes.
            packed = gzip.GzipFile("", "wb", fileobj=raw, mtime=0) if path.suffix == ".gz" else raw
            with io.TextIOWrapper(packed, encoding="utf-8", newline="\n") as file:
                yield file
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
