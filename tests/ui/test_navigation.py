"""Which pages the navigation of the demo shows."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from support.patience import PATIENCE
from zooter_core.config.fleet import load_fleet
from zooter_core.learn.traffic import FILE, data_folder
from zooter_core.ui import resources

ROOT = Path(__file__).resolve().parents[2]
ALWAYS = ["Chat", "Compare", "Models", "Explorer", "Train", "Benchmark"]


def shown() -> list[str]:
    """The pages in the row of links, in a new session."""
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=PATIENCE).run()
    assert not page.exception
    return [link.proto.label for link in page.get("page_link")]


def test_traffic_is_in_the_navigation_where_there_is_traffic(
    tiny_fleet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "MODELS", tmp_path)
    monkeypatch.setenv("ZOOTER_FLEET", str(tiny_fleet))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert shown() == ALWAYS
    folder = data_folder(load_fleet(tiny_fleet))
    folder.mkdir(parents=True)
    (folder / FILE).touch()  # its content is the page's business
    assert shown() == [*ALWAYS[:3], "Traffic", *ALWAYS[3:]]


def test_a_fleet_that_cannot_be_read_has_a_navigation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fleet.toml").write_text("name = [")
    monkeypatch.setenv("ZOOTER_FLEET", str(tmp_path))
    assert shown() == ALWAYS
