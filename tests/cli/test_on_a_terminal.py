"""Every command on a real terminal, with hostile names, tags, answers and files."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from support import endpoint_fleet, tiny_models
from support.command_files import write_lines
from support.terminal_screen import CLEAR, HOSTILE, MARKUP, Screen, squeezed, terminal, typed
from zooter_core.base.terminal import visible

ROOT = Path(__file__).resolve().parents[2]
NAME = MARKUP  # a name has no control characters
POOL = (f"one {NAME}", "two [/red]", "three")
ANSWER = f"answer {HOSTILE} end"
TRAINING = ("--router-kind", "zooter", "--router-set", "epochs=1")  # the other kinds would be compared with each other


@pytest.fixture
def fleet(fleet_copy, scripted) -> Path:
    """Candidates with hostile names and answers, and hostile tags."""
    scripted.replies = {"hostile": lambda query: ANSWER}
    folder = endpoint_fleet.save(fleet_copy, scripted.url, dict.fromkeys(POOL, "hostile"), router=True)
    tags = [
        {"name": f"{kind} {HOSTILE}", "description": kind, "phrasings": texts}
        for kind, texts in (("a", tiny_models.QUERIES[::3]), ("b", tiny_models.QUERIES[1::3]))
    ]
    (folder / "tags.json").write_text(json.dumps({"vocabulary": "x", "tags": tags}))
    return folder


@pytest.fixture
def scores(tmp_path) -> Path:
    """A score file whose data sets, tags, candidates and queries are hostile."""
    path = tmp_path / "scores [/red].jsonl"
    path.parent.mkdir()
    lines = [
        {
            "query": f"{text} {HOSTILE}",
            "scores": {name: (n * 7 + 3 * k) % 5 for k, name in enumerate(POOL)},
            "dataset": f"{'xy'[n % 2]} {HOSTILE}",
            "tags": [f"t {HOSTILE}"],
        }
        for n, text in enumerate(tiny_models.QUERIES)
    ]
    return write_lines(path, lines)


@pytest.fixture
def queries(tmp_path) -> Path:
    lines = [
        {"query": f"{text} {HOSTILE}", "dataset": f"set {HOSTILE}", "tags": [f"t {HOSTILE}"]}
        for text in tiny_models.QUERIES
    ]
    return write_lines(tmp_path / "queries.jsonl", lines)


def test_ask_into_a_pipe_is_raw(fleet):
    screen = typed("ask", "What is 7?", "--fleet", fleet, piped=("stdout",))
    assert (screen.code, screen.out) == (0, f"{ANSWER}\n")
    assert CLEAR not in screen.err
    screen = typed("ask", "What is 7?", "--fleet", fleet, piped=("stderr",))
    assert visible(ANSWER) in screen.out
    assert CLEAR in screen.err


@pytest.mark.parametrize(
    ("call", "parts"),
    [
        ("ask QUERY", [ANSWER]),
        ("route QUERY --why", [POOL[0], "[/red][bold]b[/bold]"]),
        ("compare QUERY", [ANSWER]),
        ("compare QUERY --json", []),
        ("check", [POOL[0]]),
        ("queries --from QUERIES --limit 500 --out OUT", ["out [/red] :smile:.jsonl"]),
        ("evaluate --scores SCORES", [MARKUP]),
    ],
)
def test_a_command(fleet, queries, scores, tmp_path, call, parts):
    places = {"QUERY": f"What is 7? {HOSTILE}", "QUERIES": queries, "SCORES": scores}
    places["OUT"] = tmp_path / "out [/red] :smile:.jsonl"
    screen = typed(*(places.get(word, word) for word in call.split()), "--fleet", fleet)
    assert screen.code == 0, screen.err
    screen.check()
    shown = squeezed(screen.out + screen.err)
    assert [part for part in parts if squeezed(visible(part)) not in shown] == []
    if "--json" in call:
        shape = json.loads(screen.out)
        assert shape["query"] == places["QUERY"]
        assert {row["text"] for row in shape["responses"]} == {ANSWER}
        assert set(shape["route"]["probabilities"]) == set(POOL)


@pytest.mark.slow
def test_what_trains(fleet, queries, scores, tiny_fleet, tmp_path):
    router = tmp_path / "router [/red]"
    options = ("--encoder", tiny_fleet / "encoder", "--router-set", "epochs=2")
    calls = (
        ("distill", "--scores", scores, "--out", router, *options),
        ("evaluate", "--router", router, "--scores", scores, "--plot", tmp_path / "plot.html"),
        ("evaluate", "--scores", scores, "--sweep", "beta=0,1", "--fleet", tiny_fleet),
        ("run", "--queries", queries, "--out", tmp_path / "run [/red]", *TRAINING, "--fleet", fleet),
    )
    for call in calls:
        screen = typed(*call)
        assert screen.code == 0, screen.err
        screen.check()
    assert squeezed(visible(POOL[0])) in squeezed(screen.out)


def test_an_error(tiny_fleet):
    call = ("ask", "Hi", "--candidate", HOSTILE, "--fleet", tiny_fleet)
    screen = typed(*call)
    assert screen.code == 2
    screen.check()
    assert "zooter: " in screen.err
    assert CLEAR in typed(*call, piped=("stderr",)).err


@pytest.mark.parametrize("debug", [(), ("--debug",)])
def test_an_unexpected_error(tiny_fleet, monkeypatch, debug):
    def breaks(*arguments):
        raise RuntimeError(HOSTILE)

    monkeypatch.setattr("zooter_core.fleet.ensemble.Ensemble.route", breaks)
    screen = typed("route", "Hi", *debug, "--fleet", tiny_fleet)
    assert screen.code == 1
    assert ("Traceback" in screen.err) == bool(debug)
    assert visible(CLEAR) in screen.err
    assert CLEAR not in screen.err


@pytest.mark.slow
def test_as_a_program(fleet, programs):
    """In another process, whose consoles detect the terminal themselves."""
    output = bytearray()
    command = [programs / "zooter", "ask", f"What is 7? {HOSTILE}", "--fleet", str(fleet)]
    with terminal(output) as file:
        process = subprocess.run(command, stdout=file, stderr=file, cwd=ROOT, env={**os.environ, "TERM": "xterm"})
    screen = Screen(process.returncode, {"stdout": output, "stderr": bytearray()})
    assert screen.code == 0, screen.out
    assert visible(ANSWER) in screen.check()
    assert "\x1b[2m" in screen.out  # rich's own
    assert "Unclosed" not in screen.out  # the client of servers is closed at the end
