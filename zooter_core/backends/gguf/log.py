"""What llama.cpp wrote to its log before it failed."""

from contextlib import suppress
from pathlib import Path


def first_error(log: Path) -> str:
    """The first error that is written to the end of its line, without time and place; empty if there is none."""
    for line in _lines(log):
        _, mark, rest = line.partition(" E ")
        if line.endswith("\n") and (mark or "GGML_ASSERT" in line or "alloc" in line):
            return (rest.partition(": ")[2] or rest or line).strip()
    return ""


def last_line(log: Path) -> str:
    """The last line; empty if there is none."""
    return (_lines(log) or [""])[-1].strip()


def _lines(log: Path) -> list[str]:
    with suppress(OSError):
        return log.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    return []
