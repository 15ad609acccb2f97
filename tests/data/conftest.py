from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest


@pytest.fixture
def write(tmp_path: Path):
    def written(*lines: object, name: str = "scores.jsonl") -> Path:
        """A file of lines: texts and bytes as they stand, everything else as JSON."""
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        content = b"".join(line if isinstance(line, bytes) else as_text(line).encode() + b"\n" for line in lines)
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    def as_text(line: object) -> str:
        return line if isinstance(line, str) else json.dumps(line, ensure_ascii=False)

    return written
