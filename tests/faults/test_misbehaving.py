"""compare, check and run over an endpoint that misbehaves in every way of tests/support/scripted_models.py."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from support import endpoint_fleet
from support.run_folders import content
from support.scripted_models import NAMES
from support.scripted_server import Scripted
from zooter_core.cli.main import main

# What these give is an answer, whole or cut off; all others give none, or half of one.
ANSWERING = {
    *("caches", "echo", "echo-key", "empty", "endless", "good"),
    *("half-line", "halves", "length", "lingers", "narrow", "no-images", "no-stream-options", "no-tools", "picky"),
    "seeded",
    *("reset-at-the-end", "ten-megabytes", "think", "tool-info", "unfinished", "unhurried", "zipped"),
}
STATUSES = (400, 401, 403, 404, 408, 413, 418, 422, 429, 500, 502, 503, 504)
MODELS = (
    *("refused", "goods", *(f"http-{status}" for status in STATUSES)),
    *NAMES,
)
# One of each kind, for `check`. Each fault on its own: tests/backends/endpoint/test_faults.py.
KINDS = (
    *("refused", "goods", "http-401", "http-503", "long-429", "hang-first", "hang-in-the-middle", "html"),
    *("reset-in-the-middle", "recovers", "broken-line", "filtered", "tool", "unfinished", "ten-megabytes"),
)
IN_A_RUN = (  # fewer, as a run takes longer
    *("refused", "http-401", "http-503", "long-429", "hang-first", "html", "reset-in-the-middle", "recovers"),
    *("broken-line", "filtered"),
)


@pytest.fixture
def server(scripted: Scripted) -> Scripted:
    scripted.elsewhere = "http://example.test/v1/chat/completions"
    scripted.replies = {"fine": lambda query: f"{query} That is a long story."}
    return scripted


def save(folder: Path, server: Scripted, *models: str) -> Path:
    """A fleet of misbehaving models and one that does not."""
    endpoint_fleet.save(folder, server.url, {name: name for name in (*models, "fine")}, router=True, hang_seconds=0.8)
    file = folder / "fleet.toml"

    def limited(entry: re.Match[str]) -> str:
        gap = 0.6 if entry[1].startswith("hang-in-") else 20
        return f"{entry[0]}gap_seconds = {gap}\n"

    file.write_text(re.sub(r'name = "(.*)"\nbackend = "openai"\n', limited, file.read_text()))
    return folder


def output(capsys: pytest.CaptureFixture[str], *call: object) -> tuple[int, dict]:
    """A call with --json: its exit code and what it printed."""
    capsys.readouterr()
    code = main([*map(str, call), "--json"])
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    assert "zooter: " not in err
    return code, json.loads(out)


def told_once(model: str, error: str) -> bool:
    begins = error.startswith((f"{model} at 127.0.0.1:", f"Expected an answer of {model},"))
    return begins and error.count(" failed: ") + error.count("Expected ") == 1


def test_compare_ranks_the_others_and_tells_each_fault_once(capsys, fleet_copy, server):
    code, result = output(capsys, "compare", "Hi", "--fleet", save(fleet_copy, server, *MODELS))
    assert code == 0
    rows = {row["candidate"]: row for row in result["responses"]}
    assert (rows["fine"]["text"], rows["fine"]["error"]) == ("Hi That is a long story.", None)
    faults = {name: row["error"] for name, row in rows.items() if row["error"] is not None}
    assert set(MODELS) - set(faults) == ANSWERING
    assert all(told_once(*fault) for fault in faults.items())
    assert {name for name, row in rows.items() if row["rank"] is None} == {*faults, "empty"}


def test_check_tells_each_fault_and_goes_on_with_the_rest(capsys, fleet_copy, server):
    code, result = output(capsys, "check", "--fleet", save(fleet_copy, server, *KINDS))
    assert code == 1
    rows = {row["name"]: row for row in result["parts"]}
    faults = {name: row["found"] for name, row in rows.items() if not row["ok"]}
    assert set(rows) == {*KINDS, "fine", "scalar", "nearest", "router"}
    assert set(KINDS) - set(faults) == ANSWERING & set(KINDS)
    assert all(told_once(*fault) for fault in faults.items())


@pytest.mark.parametrize("model", IN_A_RUN)
def test_a_run_stops_with_one_message_and_goes_on_when_the_server_is_mended(
    called, fleet_copy, server, tmp_path, model
):
    fleet = save(fleet_copy, server, model)
    queries, responses = tmp_path / "queries.jsonl", tmp_path / "run" / "responses.jsonl"
    lines = [{"id": f"q{n}", "query": f"What is {n} + {n}?"} for n in range(10)]
    queries.write_text("".join(json.dumps(line) + "\n" for line in lines))
    call = ["run", "--fleet", fleet, "--queries", queries, "--router-set", "epochs=2", "--holdout", 0.3, "--out"]
    code, message = called(*call, tmp_path / "run")
    before = responses.read_bytes() if responses.exists() else b""
    if code == 0:
        assert len(before.splitlines()) == 20
        return
    assert code == 1
    assert message.count(" failed: ") + message.count("Expected ") == 1
    assert "zooter check" in message or "Start the server" in message
    server.replies[model] = lambda query: f"{query} Fixed."
    if model == "refused":  # the server is there now
        text = (fleet / "fleet.toml").read_text()
        (fleet / "fleet.toml").write_text(text.replace(endpoint_fleet.NOWHERE, server.url))
    state = json.loads((tmp_path / "run" / "run.json").read_text())
    again = tmp_path / "run" if model != "refused" or "collect" not in state["steps"] else tmp_path / "new"
    # The steps behind it are those of any other run.
    rest = ["--until", "collect"] if again == tmp_path / "run" and model != "reset-in-the-middle" else []
    assert called(*call, again, *rest) == (0, "")
    after = content(again)
    assert after["responses.jsonl"].startswith(before if again == tmp_path / "run" else b"")
    records = [json.loads(line) for line in after["responses.jsonl"].splitlines()]
    assert {(record["id"], record["candidate"]) for record in records} == {
        (line["id"], name) for line in lines for name in (model, "fine")
    }
    assert all(record["error"] is None for record in records)
