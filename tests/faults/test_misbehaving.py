"""compare, check and run over an endpoint that misbehaves in every way of tests/support/scripted_server.py."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import endpoint_fleet
from support.run_folders import content
from support.scripted_models import Models
from support.scripted_server import Scripted, serving
from zooter_core.cli.main import main

pytest.importorskip("aiohttp", reason="the extra zooter[openai] is not installed")

TEXT = "Hello, I am a scripted model."
STATUSES = (400, 401, 403, 404, 408, 413, 418, 422, 429, 500, 502, 503, 504)
MODELS = (
    *("refused", "goods", *(f"http-{status}" for status in STATUSES)),
    *sorted(
        name.replace("_", "-")
        for name, play in vars(Models).items()
        if inspect.isfunction(play) and list(inspect.signature(play).parameters) == ["self", "body"]
    ),
)
# What these give is an answer, whole or cut off; all others give none, or half of one.
ANSWERING = (
    *(
        "echo",
        "good",
        "narrow",
        "seeded",
        "think",
        "unhurried",
        "unfinished",
        "half-line",
        "length",
        "ten-megabytes",
        "lingers",
    ),
    *("recovers", "wait-429", "twice-503"),
)


@pytest.fixture
def server() -> Iterator[Scripted]:
    with serving() as scripted:
        scripted.elsewhere = "http://example.test/v1/chat/completions"
        scripted.replies = {"fine": lambda query: f"{query} That is a long story."}
        yield scripted


@pytest.fixture
def far(fleet_copy: Path, server: Scripted, request: pytest.FixtureRequest) -> Path:
    """A fleet of the misbehaving model and one that does not."""
    models = {"a": request.param, "b": "fine"}
    endpoint_fleet.save(fleet_copy, server.url, models, router=True, hang_seconds=0.8)
    text = (fleet_copy / "fleet.toml").read_text()
    more = f"gap_seconds = {0.6 if request.param.startswith('hang-in-') else 20}\nmost_characters = 20_000\n"
    (fleet_copy / "fleet.toml").write_text(text.replace("connect_seconds = 20\n", f"connect_seconds = 5\n{more}"))
    return fleet_copy


def named(model: str):
    return pytest.param(model, model, id=model)


# With a status, a run goes through the lines that `compare` and `check` go through with all of them.
OF_A_RUN = [name for name in MODELS if not name.startswith("http-") or name in ("http-401", "http-404", "http-503")]
EVERY = pytest.mark.parametrize(("far", "model"), [named(model) for model in MODELS], indirect=["far"])


def output(capsys: pytest.CaptureFixture[str], *call: object) -> tuple[int, dict, str]:
    """A call with --json: its exit code, what it printed, and its messages."""
    capsys.readouterr()
    code = main([*map(str, call), "--json"])
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    return code, json.loads(out), err


@EVERY
def test_compare_ranks_the_other_and_tells_the_fault_once(capsys, far, model, server):
    code, result, err = output(capsys, "compare", "Hi", "--fleet", far)
    rows = {row["candidate"]: row for row in result["responses"]}
    assert code == 0
    assert (rows["b"]["text"], rows["b"]["error"]) == ("Hi That is a long story.", None)
    assert rows["b"]["rank"] == (1 if rows["a"]["rank"] is None else rows["b"]["rank"]) is not None
    error = rows["a"]["error"]
    if model in ANSWERING and model not in ("recovers", "wait-429", "twice-503"):
        assert error is None
    if error is not None:
        assert error.startswith("a at 127.0.0.1:")
        assert error.count(" failed: ") == 1
        assert rows["a"]["rank"] is None
    assert "zooter: " not in err


@EVERY
def test_check_tells_the_fault_and_goes_on_with_the_rest(capsys, far, model, server):
    code, result, err = output(capsys, "check", "--fleet", far)
    rows = {row["name"]: row for row in result["parts"]}
    assert set(rows) == {"a", "b", "scalar", "nearest", "router"}
    assert all(row["ok"] for name, row in rows.items() if name != "a")
    assert code == (0 if rows["a"]["ok"] else 1)
    if not rows["a"]["ok"]:
        assert rows["a"]["found"].startswith(("a at 127.0.0.1:", "Expected an answer of a,"))
        assert rows["a"]["found"].count(" failed: ") + rows["a"]["found"].count("Expected ") == 1
    assert "zooter: " not in err


@pytest.mark.parametrize(("far", "model"), [named(model) for model in OF_A_RUN], indirect=["far"])
def test_a_run_stops_with_one_message_and_goes_on_when_the_server_is_mended(called, far, model, server, tmp_path):
    queries = tmp_path / "queries.jsonl"
    lines = [{"id": f"q{n}", "query": f"What is {n} + {n}?"} for n in range(10)]
    queries.write_text("".join(json.dumps(line) + "\n" for line in lines))
    call = ["run", "--fleet", far, "--queries", queries, "--epochs", 2, "--holdout", 0.3, "--out"]
    code, message = called(*call, tmp_path / "run")
    assert code in (0, 1)
    before = (
        (tmp_path / "run" / "responses.jsonl").read_bytes() if (tmp_path / "run" / "responses.jsonl").exists() else b""
    )
    if code == 0:
        assert len(before.splitlines()) == 20
        return
    assert message.count(" failed: ") + message.count("Expected ") == 1
    assert "zooter check" in message or "Start the server" in message
    server.replies[model] = lambda query: f"{query} Fixed."
    if model == "refused":  # the server is there now
        text = (far / "fleet.toml").read_text()
        (far / "fleet.toml").write_text(text.replace(endpoint_fleet.NOWHERE, server.url))
    state = json.loads((tmp_path / "run" / "run.json").read_text())
    again = tmp_path / "run" if model != "refused" or "collect" not in state["steps"] else tmp_path / "new"
    # The steps behind it are those of any other run.
    rest = ["collect", "--run"] if again == tmp_path / "run" and model != "reset-in-the-middle" else call
    assert called(*rest, again) == (0, "")
    after = content(again)
    assert after["responses.jsonl"].startswith(before if again == tmp_path / "run" else b"")
    records = [json.loads(line) for line in after["responses.jsonl"].splitlines()]
    assert {(record["id"], record["candidate"]) for record in records} == {
        (line["id"], c) for line in lines for c in "ab"
    }
    assert all(record["error"] is None for record in records)
