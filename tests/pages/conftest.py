from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def open_page(tiny_fleet: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., AppTest]:
    """Opens a page over the tiny fleet (or another folder), loaded."""

    def opened(page: str, fleet: Path = tiny_fleet) -> AppTest:
        monkeypatch.setenv("ZOOTER_FLEET", str(fleet))
        return AppTest.from_file(str(ROOT / "pages" / f"{page}.py"), default_timeout=60).run()

    return opened


@pytest.fixture
def slow_fleet(tiny_fleet: Path, tmp_path: Path) -> Path:
    """The tiny fleet, never at an end of its own: it writes until the token limit, which takes seconds."""
    for entry in tiny_fleet.iterdir():
        if entry.name != "fleet.toml":
            (tmp_path / entry.name).symlink_to(entry)
    text = (tiny_fleet / "fleet.toml").read_text().replace("max_new_tokens = 8", "max_new_tokens = 470")
    (tmp_path / "fleet.toml").write_text(text)
    return tmp_path
