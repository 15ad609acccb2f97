"""How much memory is left in a container."""

from __future__ import annotations

import math
from pathlib import Path

import psutil
import pytest

from zooter_core.backends import memory


def write(root: Path, names: tuple[str, str, str], limit: str, cached: str) -> None:
    (root / names[0]).parent.mkdir(exist_ok=True)
    for name, text in zip(names, (limit, "300", f"anon 100\n{cached} 50\n"), strict=True):
        (root / name).write_text(text)


@pytest.mark.parametrize(
    ("version", "cached"), [(0, "inactive_file"), (1, "inactive_file 7\ntotal_inactive_file")], ids=["2", "1"]
)
def test_a_container_has_what_is_left_of_its_limit(tmp_path, monkeypatch, version, cached):
    """1,000 bytes, of which 300 are in use, and 50 of these are cached files."""
    write(tmp_path, memory.LIMITS[version], "1000\n", cached)
    assert memory.measure_container(tmp_path) == (1000, 750)
    monkeypatch.setattr(memory, "measure_container", lambda: (1000.0, 750.0))
    assert (memory.total("cpu"), memory.free("cpu")) == (1000, 750)
    assert memory.room("cpu", {}, None) == 700  # without the margin, which is a share of the limit


@pytest.mark.parametrize("limit", ["max", "unreadable"])
def test_without_a_limit_the_machine_counts(tmp_path, limit):
    write(tmp_path, memory.LIMITS[0], limit, "inactive_file")
    assert memory.measure_container(tmp_path) == (math.inf, math.inf)
    assert memory.measure_container(tmp_path / "none") == (math.inf, math.inf)
    assert memory.total("cpu") == psutil.virtual_memory().total
