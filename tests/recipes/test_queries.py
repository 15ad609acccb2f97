from __future__ import annotations

from pathlib import Path

import pytest

from recipes.embedded import queries
from recipes.embedded.queries import FURTHER, OF_PROJECT, SOURCES, sample


def of_others(folder: Path) -> dict[str, list[str]]:
    return {name: [f"{name} {n}" for n in range(200)] for name in SOURCES if name not in OF_PROJECT}


def test_further_queries_leave_the_others_what_they_were(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(queries, "of_data_sets", of_others)
    lines = sample(tmp_path, 1.0, 0)
    monkeypatch.setattr(queries, "FURTHER", {})
    without = sample(tmp_path, 1.0, 0)
    assert [line for line in lines if line in without] == without
    assert len(without) == sum(SOURCES.values())
    assert len(lines) == len(without) + sum(FURTHER.values())
    assert len({line["query"] for line in lines}) == len({line["id"] for line in lines}) == len(lines)


def test_a_share_takes_some_of_every_source(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(queries, "of_data_sets", of_others)
    few = sample(tmp_path, 0.02, 0)
    assert {line["dataset"] for line in few} == set(SOURCES)
    assert len(few) < 60
