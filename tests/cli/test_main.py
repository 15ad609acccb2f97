"""The call itself: help, wrong calls, errors and exit codes, whatever the command."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
import warnings

import pytest

from support import tiny_models
from support.command_files import ROOT, SEA, damage, write_lines
from zooter_core.base.records import Decision
from zooter_core.cli import COMMANDS
from zooter_core.cli.main import main

CALLS = """
import json, sys
from zooter_core.cli.main import main
codes = [main(call) for call in json.loads(sys.argv[1])]
print(json.dumps([codes, [name for name in sys.argv[2:] if name in sys.modules]]))
"""
HEAVY = ("torch", "transformers", "streamlit")


def test_a_warning_of_ours_is_a_line_without_code():
    assert main(["--version"]) == 0
    assert warnings.formatwarning("It is off.", UserWarning, sys.modules[main.__module__].__file__, 7) == (
        "zooter: It is off.\n"
    )
    assert "UserWarning: It is off." in warnings.formatwarning("It is off.", UserWarning, json.__file__, 7)


def codes_and_modules(*calls: list[object], modules: tuple[str, ...] = ()) -> object:
    """The exit codes of calls in a process of their own, and those of the modules that it loaded."""
    command = [sys.executable, "-c", CALLS, json.dumps([list(map(str, call)) for call in calls]), *modules]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return json.loads(ended.stdout.splitlines()[-1])


def test_the_list_of_commands_loads_no_command():
    modules = [f"zooter_core.cli.{name.replace(' ', '_')}" for name in COMMANDS]
    modules += ["pydantic", "numpy", "rich", "filelock", *HEAVY]
    assert codes_and_modules(["--help"], [], modules=tuple(modules)) == [[0, 0], []]


@pytest.mark.slow
def test_help_of_a_command_given_tags_and_a_fleet_that_is_not_there_load_nothing_heavy(tmp_path):
    source = write_lines(tmp_path / "q.jsonl", [{"query": text, "tags": ["t"]} for text in tiny_models.QUERIES])
    queries = ["queries", "--from", source, "--limit", 4, "--out", tmp_path / "out.jsonl"]  # without a fleet
    calls = [*([name, "--help"] for name in COMMANDS), queries, ["route", "q", "--fleet", "/none"]]
    assert codes_and_modules(*calls, modules=HEAVY) == [[0] * (len(COMMANDS) + 1) + [2], []]


def test_routing_loads_no_module_that_it_does_without():
    modules = ("arithmetic.sums", "data.scores", "fleet.starting", "method.selection", "router.explain")
    ours = tuple(f"zooter_core.{name}" for name in modules)
    assert codes_and_modules(["route", "q", "--fleet", "/none"], modules=ours) == [[2], []]


@pytest.mark.slow
def test_results_alone_are_on_stdout_and_no_bars_of_libraries_on_stderr(scores, tmp_path, tiny_fleet, programs):
    router, encoder = tmp_path / "router", tiny_fleet / "encoder"
    distill = ["distill", "--scores", scores, "--out", router, "--encoder", encoder, "--router-kind", "kmeans"]
    evaluate = ["evaluate", "--router", router, "--scores", scores, "--json"]
    first, second = (
        subprocess.run([programs / "zooter", *map(str, call)], capture_output=True, text=True, check=True, cwd=ROOT)
        for call in (distill, evaluate)
    )
    assert first.stdout == ""
    assert json.loads(second.stdout)["n"] == 10
    assert f"is in {router}." in first.stderr
    assert "it/s" not in first.stderr + second.stderr


@pytest.fixture
def light_fleet(fleet_copy):
    """A fleet that routes without a tagger."""
    file = fleet_copy / "fleet.toml"
    text = re.sub(r"\[tagger\].*\[generation\]", "[generation]", file.read_text(), flags=re.DOTALL)
    file.write_text(text)
    return fleet_copy


@pytest.mark.slow
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_reader_who_has_read_enough_is_no_failure(light_fleet, form):
    """As in `zooter route - | head`: the pipe is closed before the first line comes."""
    command = [sys.executable, "-m", "zooter_core.cli", "route", SEA, *form, "--fleet", str(light_fleet)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    process.stdout.close()
    with process:
        assert process.stderr.read() == ""
    assert process.returncode == 0


def test_help_names_every_command(capsys):
    assert main([]) == 0
    listing = capsys.readouterr().out
    assert main(["--help"]) == main(["-h"]) == 0
    assert capsys.readouterr().out == listing * 2
    words = " ".join(listing.split())
    assert all(f"{name} {summary}" in words for name, summary in COMMANDS.items())


@pytest.mark.parametrize(
    ("already", "turns"), [({}, "10000"), ({"GOMP_SPINCOUNT": "5"}, "5"), ({"OMP_WAIT_POLICY": "active"}, None)]
)
def test_threads_of_pytorch_do_not_keep_cores_from_others_unless_told_otherwise(monkeypatch, already, turns):
    """docs/notebook/runtimes.md#batches-on-a-processor has the figures."""
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.setenv(name, "")  # so that it is as before after the test
        monkeypatch.delenv(name)
    for name, value in already.items():
        monkeypatch.setenv(name, value)
    main(["--version"])
    assert os.environ.get("GOMP_SPINCOUNT") == turns


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["rout", "x"], ["rout", 'Did you mean "route"?', "`zooter --help`"]),
        (["route", "q", "--jsn"], ["--jsn", "Possible options: --json", "`zooter route --help`"]),
        (["serve", "keys"], ["Choose from: add, list, remove."]),
        (["serve", "keys", "ad"], ["'ACTION': 'ad' is not one of 'add'"]),
        (["bench", "--from", "a.jsonl", "gsm8k", "--out", "s.jsonl"], ["'SUITE'. Put it before the options."]),
        (["route", "-5 + 3 = ?"], ["-5", "Put -- before a query that begins with a dash"]),
        (["score", "--run", "/none"], ["a run folder at"]),
        (["distill", "--run", "/none"], ["a run folder at"]),
        (["score"], ["--run DIR", "neither"]),
        (["score", "--responses", "r.jsonl"], ["--run DIR", "only one of the two"]),
        (["distill", "--scores", "s.jsonl"], ["--run DIR", "only one of the two"]),
        (["score", "--run", "r", "--out", "o.jsonl"], ["no --out with --run"]),
        (["distill", "--run", "r", "--scores", "s.jsonl"], ["no --scores with --run"]),
        (["run", "--queries", "q.jsonl", "--out", "d", "--until", "distill"], ["--until", "label"]),
        (["serve", "keys", "list", "--admin"], ["no --admin with `zooter serve keys list`"]),
    ],
    ids=" ".join,
)
def test_a_wrong_call_is_exit_2_and_names_the_right_one(refused, arguments, parts):
    message = refused(2, *arguments, fleet=None)
    assert [part for part in parts if part not in message] == []


@pytest.mark.slow
@pytest.mark.parametrize("form", ["--scores FILE FILE", "--scores FILE --scores FILE", "--scores=FILE FILE"])
def test_an_option_may_have_several_values(zooter, tiny_fleet, scores, form):
    files = form.replace("FILE", str(scores)).split()
    code, out, _ = zooter("evaluate", "--router", tiny_fleet / "router", *files, "--json", fleet=None)
    assert (code, json.loads(out)["n"]) == (0, 20)


def test_after_two_dashes_everything_is_a_value(capsys, tiny_fleet):
    assert main(["route", "--json", "--fleet", str(tiny_fleet), "--", "--debug"]) == 0
    assert json.loads(capsys.readouterr().out)["query"] == "--debug"


def test_debug_shows_where_an_error_came_from(tmp_path, capsys):
    for call in (["route", "q", "--debug"], ["--debug", "route", "q"]):
        assert main([*call, "--fleet", str(tmp_path)]) == 2
        err = capsys.readouterr().err
        assert "Traceback (most recent call last)" in err
        assert "in load_fleet" in err
        assert err.splitlines()[-1].startswith("zooter: ")


def test_an_unexpected_error_is_one_line(refused, monkeypatch):
    def breaks(*arguments):
        raise RuntimeError("out of luck")

    monkeypatch.setattr("zooter_core.fleet.ensemble.Ensemble.route", breaks)
    message = refused(1, "route", SEA)
    assert "RuntimeError: out of luck" in message
    assert "--debug" in message


def test_interrupted_by_the_user(zooter, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("zooter_core.fleet.ensemble.Ensemble.route", interrupted)
    code, _, err = zooter("route", SEA)
    assert (code, err.splitlines()[-1]) == (130, "zooter: stopped.")
    monkeypatch.setattr("zooter_core.data.scores.read_scores", interrupted)
    err = zooter("evaluate", "--scores", "s.jsonl", "--router", "r")[2]
    assert err.endswith("stopped. Finished work is saved; run the command again to continue.\n")


def test_a_corrupt_router_is_exit_1_and_none_is_exit_2(refused, fleet_copy):
    damage(fleet_copy, "router/model.safetensors")
    assert str(fleet_copy / "router") in refused(1, "route", SEA, fleet=fleet_copy)
    shutil.rmtree(fleet_copy / "router")
    assert str(fleet_copy / "router") in refused(2, "route", SEA, fleet=fleet_copy)


@pytest.mark.parametrize("command", ["route", "ask", "compare"])
def test_an_empty_or_huge_query_is_exit_2(refused, command):
    assert "empty" in refused(2, command, "   ")
    message = refused(2, command, "a" * 100_000)
    assert "100,000" in message
    assert len(message) < 300


def test_a_query_that_is_no_text_is_exit_2(refused):
    """What the shell hands over for bytes that are not UTF-8."""
    assert "UTF-8" in refused(2, "route", b"caf\xe9".decode("utf-8", "surrogateescape"))


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (("route", "q", "--fleet", ""), "--fleet"),
        (("route", "q", "--fleet="), "--fleet"),
        (("evaluate", "--scores", "a.jsonl", ""), "--scores"),
        (("ask", ""), "an argument"),
    ],
)
def test_an_empty_value_is_named(refused, call, name):
    """As of a variable of the shell that is not set. As a path, it would be this folder."""
    assert f"The value of {name} is empty" in refused(2, *call, fleet=None)


@pytest.mark.parametrize(
    "call",
    [
        ("run", "--out", "NEW", "--queries", "FILE", "--scores", "FILE"),
        ("score", "--responses", "FILE", "--out", "FILE"),
        ("queries", "--limit", "3", "--from", "FILE", "--out", "FILE"),
        ("bench", "gsm8k", "--from", "FILE", "--out", "FILE"),
    ],
    ids=lambda call: call[0],
)
def test_what_is_read_is_not_written_over(refused, answered, tmp_path, call):
    before = answered.read_bytes()
    places = {"FILE": answered, "NEW": tmp_path / "new"}
    message = refused(2, *(places.get(word, word) for word in call))
    assert "an output file other than the input files" in message
    assert (answered.read_bytes(), list(tmp_path.iterdir())) == (before, [answered])


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"\xff\xfe\x00\x01", "line 1 of stdin"),
        (b"fine\n" * 5000 + b"caf\xe9\n", "line 5001 of stdin"),
    ],
    ids=["at once", "late"],
)
def test_stdin_that_is_not_text(zooter, monkeypatch, content, named):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))
    monkeypatch.setattr(
        "zooter_core.fleet.ensemble.Ensemble.route", lambda self, query, willingness: Decision.of(query, {"a": 1.0})
    )
    code, _, err = zooter("route", "-", "--json")
    assert (code, named in err) == (2, True)
    assert len(err) < 1000
