from __future__ import annotations

import json

import pytest

from zooter_core.base.errors import ZooterError
from zooter_core.base.records import Decision
from zooter_core.cli.main import main
from zooter_core.data.formats.routerarena import export_routerarena

PROMPTS = [f"Question {n}: what is the sea, and what is {n}?" for n in range(70)]


def route(queries):
    """Even numbers go to `b`, others to `a`."""
    return [Decision.of(text, {"a": 0.6, "b": 0.7 if int(text.split()[-1][:-1]) % 2 == 0 else 0.3}) for text in queries]


@pytest.fixture
def arena(tmp_path):
    """A data set in RouterArena's form."""
    records = [
        {"global index": f"Set_{n}", "prompt_formatted": prompt, "prompt": "unformatted", "dataset": "Set"}
        for n, prompt in enumerate(PROMPTS)
    ]
    path = tmp_path / "router_data.json"
    path.write_text(json.dumps(records, indent=2))
    return path


def test_predictions_are_the_routers_choices(arena, tmp_path):
    counts = export_routerarena(route, arena, tmp_path / "out" / "zooter.json")
    entries = json.loads((tmp_path / "out" / "zooter.json").read_text())
    assert [entry["prediction"] for entry in entries] == ["b", "a"] * 35
    assert [entry["prompt"] for entry in entries] == PROMPTS
    assert [entry["global index"] for entry in entries] == [f"Set_{n}" for n in range(70)]
    assert all(entry["global_index"] == entry["global index"] for entry in entries)
    assert {entry["generated_result"] for entry in entries} == {None}
    assert counts == {"a": 35, "b": 35}
    assert list(counts) == ["a", "b"]


def test_a_queries_file_will_do_too(tmp_path):
    path = tmp_path / "queries.jsonl"
    path.write_text("".join(json.dumps({"id": f"q{n}", "query": text}) + "\n" for n, text in enumerate(PROMPTS[:3])))
    export_routerarena(route, path, tmp_path / "out.json")
    assert [entry["global_index"] for entry in json.loads((tmp_path / "out.json").read_text())] == ["q0", "q1", "q2"]


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([{"prompt": "x"}], '"global index" in'),
        ([{"global index": "a"}], '"prompt" as a text'),
        ([{"global index": "a", "prompt": "1?"}, {"global index": "a", "prompt": "2?"}], "different indices"),
        ([], "at least one query"),
    ],
)
def test_wrong_records_are_refused_and_nothing_is_left(tmp_path, records, message):
    path = tmp_path / "data.json"
    path.write_text(json.dumps(records))
    with pytest.raises(ZooterError, match=message):
        export_routerarena(route, path, tmp_path / "out.json")
    assert {file.name for file in tmp_path.iterdir()} == {"data.json"}


@pytest.mark.slow
def test_export_as_a_command(tiny_fleet, arena, tmp_path, capsys):
    """Slow: the router is exported to ONNX first. It alone runs the command."""
    call = ["export", "routerarena", "--router", str(tiny_fleet / "router"), "--queries", str(arena)]
    assert main([*call, "--out", str(tmp_path / "o.json")]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "70 predictions in" in err
    assert main(["export", "routerarean", *call[2:], "--out", "x"]) == 2
