from __future__ import annotations

from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import ElementTree

from support import endpoint_fleet
from support.app_pages import QUERY, Open, Over, link_fleet
from support.patience import PATIENCE
from support.scripted_server import Scripted
from zooter_core.ui import resources

ROOT = Path(__file__).resolve().parents[2]
st.get_option("server.address")  # reads .streamlit/config.toml once, before a test changes the folder


@pytest.fixture(autouse=True)
def no_exceptions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a test opens or clicks, no exception is on the page afterwards."""
    run = ElementTree.run

    def checked(tree: ElementTree, **options: float | None) -> AppTest:
        page = run(tree, **options)
        assert not page.exception
        return page

    monkeypatch.setattr(ElementTree, "run", checked)


@pytest.fixture
def open_page(tiny_fleet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Opens a page over the tiny fleet (or another folder), loaded, with a history of the test's own."""
    monkeypatch.setenv("ZOOTER_HISTORY", str(tmp_path / "own" / "history.db"))
    monkeypatch.setattr(resources, "PAUSE", 0)

    def open_one(page: str, fleet: Path = tiny_fleet, **address: str) -> AppTest:
        monkeypatch.setenv("ZOOTER_FLEET", str(fleet))
        page_test = AppTest.from_file(str(ROOT / "pages" / f"{page}.py"), default_timeout=PATIENCE)
        for name, value in address.items():
            page_test.query_params[name] = value
        return page_test.run()

    return open_one


@pytest.fixture
def slow_fleet(tiny_fleet: Path, tmp_path: Path) -> Path:
    """The tiny fleet, never at an end of its own: it writes until the token limit, which takes seconds."""
    file = link_fleet(tiny_fleet, tmp_path) / "fleet.toml"
    file.write_text(file.read_text().replace("max_new_tokens = 8", "max_new_tokens = 470"))
    return tmp_path


@pytest.fixture
def over(open_page: Open, fleet_copy: Path, scripted: Scripted) -> Over:
    """Opens a page over candidates with these models, the likeliest for QUERY first; gives their names too."""

    def opened(*models: str, page: str = "chat", **address: str) -> tuple[AppTest, tuple[str, ...]]:
        order = endpoint_fleet.save_by_order(fleet_copy, scripted.url, QUERY, models)
        resources.forget(fleet_copy)
        return open_page(page, fleet_copy, **address), order

    return opened
