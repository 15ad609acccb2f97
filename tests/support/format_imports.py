"""Imports of benchmark files, as the tests of the formats call them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from zooter_core.base.errors import ZooterError
from zooter_core.data.formats import Options, import_file
from zooter_core.data.scores import read_scores, read_texts


def imported(name: str, *paths: Path, annotator: str | None = None) -> tuple[list[dict], Options]:
    """The lines of the score file, which is read as any score file is where it has scores."""
    options, out = Options(annotator), paths[0].parent / "out.jsonl"
    count = import_file(name, paths, out, options)
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").split("\n")[:-1]]
    assert len(lines) == count
    if "scores" in lines[0]:
        assert len(read_scores([out]).queries) == count
        read_texts([out])
    assert not list(out.parent.glob("*.partial"))
    return lines, options


def refusal(name: str, *paths: Path, annotator: str | None = None) -> str:
    """The message of an import that must fail, and leaves nothing."""
    out = paths[0].parent / "refused" / "out.jsonl"
    with pytest.raises(ZooterError) as caught:
        import_file(name, paths, out, Options(annotator))
    assert not out.parent.exists() or not list(out.parent.iterdir())
    return str(caught.value)


def write(path: Path, shape: object, **how) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(shape, **how), encoding="utf-8")
    return path
