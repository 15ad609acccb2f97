"""docs/faults.md says of each fault which test shows it: those tests exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_test_that_the_table_names_exists():
    text = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith(("| **", "| fault"))]
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    existing = set(re.findall(r"def (test_\w+)\(", tests))
    named = [re.findall(r"`(test_\w+)`", row) for row in rows]
    assert len(rows) > 60
    assert all(named), "a row without a test"
    assert {name for names in named for name in names} - existing == set()


def test_every_fault_of_this_folder_is_in_the_table():
    text = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
    here = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    assert {name for name in re.findall(r"def (test_\w+)\(", here) if f"`{name}`" not in text} == {
        "test_every_test_that_the_table_names_exists",
        "test_every_fault_of_this_folder_is_in_the_table",
    }
