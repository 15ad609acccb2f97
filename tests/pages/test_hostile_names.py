"""A candidate, tags and queries with Markdown in their names: every page shows them as they are written."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from google.protobuf.message import Message
from streamlit.testing.v1 import AppTest

from support import tiny_models
from support.app_pages import Open, ask, compare, let_manage, press
from support.invented_traffic import add_days
from support.sample_report import report
from zooter_core.base.records import Query
from zooter_core.config.fleet import load_fleet
from zooter_core.data.scores import Scores
from zooter_core.learn.traffic import data_folder
from zooter_core.router.neighbours import Neighbours

NAME, PART = "**zz** [y](http://z.example) $a$ :red[b] :smile: <i>|", "**zz**"  # clipped, it still begins so
PAGES = ("chat", "compare", "models", "traffic", "explorer", "train", "benchmark")
# Fields of Streamlit's messages that are no Markdown: keys, what was typed, options of lists, charts, alternatives.
AS_TYPED = re.compile(
    r"(?:^|\.)(?:id|\w*_id|key|value|values|default|options|spec|alt|url|data|file_name|icon|hash|form_id)$"
)
CODE = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)", re.DOTALL)


@pytest.fixture
def hostile_fleet(fleet_copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny fleet whose first model has that name, with traffic, a report and training queries."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    let_manage(monkeypatch, "*")
    old, new = json.dumps(tiny_models.POOL[0]), json.dumps(NAME)
    for path in (fleet_copy / "fleet.toml", fleet_copy / "router" / "config.json"):
        path.write_text(
            path.read_text().replace(f"name = {old}", f"name = {new}").replace(old, new, path.suffix == ".json")
        )
    pool = load_fleet(fleet_copy).pool
    figures = json.dumps(report()).replace('"a"', new).replace('"b"', json.dumps(pool[1]))
    (fleet_copy / "report.json").write_text(figures)
    queries = tuple(Query(str(n), f"{text} {NAME}", NAME, (NAME,)) for n, text in enumerate(tiny_models.QUERIES))
    shares = np.full((len(queries), len(pool)), 1 / len(pool))
    vectors = np.eye(len(queries), 32, dtype=np.float32)
    Neighbours.of(Scores(queries, pool, shares), vectors, shares, shares, texts=True).save(fleet_copy / "router")
    add_days(data_folder(load_fleet(fleet_copy)), pool)
    return fleet_copy


def texts(message: Message, place: str = "") -> Iterator[tuple[str, str]]:
    """All texts in an element, with the names of their fields."""
    for field, value in message.ListFields():
        name = f"{place}.{field.name}"
        for one in value if field.is_repeated else [value]:
            if isinstance(one, Message):
                yield from texts(one, name)
            elif isinstance(one, str):
                yield name, one


def as_markdown(page: AppTest) -> list[str]:
    """Where the name stands in Markdown outside of code."""
    shown = [entry for element in _elements(page) for entry in texts(element)]
    assert shown
    return [f"{name}: {text}" for name, text in shown if not AS_TYPED.search(name) and PART in CODE.sub("", text)]


def _elements(page: AppTest) -> Iterator[Message]:
    for block in page._tree:
        proto = getattr(block, "proto", None)
        if isinstance(proto, Message) and type(block).__name__ not in ("Text", "Code", "Json"):
            yield proto


def test_a_name_with_markdown_is_shown_as_it_is_written(open_page: Open, hostile_fleet: Path) -> None:
    pages = {name: open_page(name, hostile_fleet) for name in PAGES}
    assert {name: as_markdown(page) for name, page in pages.items()} == {name: [] for name in PAGES}
    chat = press(ask(pages["chat"], "What is 1 + 1?"), "Why")
    assert as_markdown(chat) == []
    arena = compare(pages["compare"], "What is 1 + 1?")
    voted = next(button for button in arena.button if button.label.endswith("is best")).click().run()
    assert as_markdown(voted) == []
