"""docs/faults.md says of each fault which test shows it: those tests exist, and the table can be read."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_each_fault_of_the_table_has_a_test():
    text = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
    rows = [
        line for line in text.splitlines() if line.startswith("| ") and not line.startswith(("| **", "| what goes"))
    ]
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    existing = set(re.findall(r"def (test_\w+)\(", tests))
    assert 60 < len(rows) <= 100
    assert [row for row in rows if not set(re.findall(r"`(test_\w+)`", row)) & existing] == []
