"""The call itself: help, wrong calls, errors and exit codes, whatever the command."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import subprocess
import sys
import warnings
from itertools import pairwise

import pytest

from support.command_files import ROOT, SEA, damage
from zooter_core import __version__
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


def run_calls(*calls: list[object], modules: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """A process that makes calls; its last line has their exit codes and those of the modules that it loaded."""
    command = [sys.executable, "-c", CALLS, json.dumps([list(map(str, call)) for call in calls]), *modules]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)


def codes_and_modules(*calls: list[object], modules: tuple[str, ...]) -> object:
    return json.loads(run_calls(*calls, modules=modules).stdout.splitlines()[-1])


def test_the_list_of_commands_loads_no_command():
    modules = [f"zooter_core.cli.{name.replace(' ', '_')}" for name in COMMANDS]
    modules += ["pydantic", "numpy", "rich", "filelock", *HEAVY]
    assert codes_and_modules(["--help"], [], modules=tuple(modules)) == [[0, 0], []]


def test_help_takes_less_than_a_third_of_a_second():
    """Of the processor, whatever else runs beside it; the best of three."""

    def processor_seconds() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    marks = [processor_seconds()]
    for _ in range(3):
        run_calls(["--help"])
        marks.append(processor_seconds())
    assert min(end - start for start, end in pairwise(marks)) < 0.3


def test_help_of_a_command_and_a_fleet_that_is_not_there_load_nothing_heavy():
    calls = [*([name, "--help"] for name in COMMANDS), ["route", "q", "--fleet", "/none"]]
    assert codes_and_modules(*calls, modules=HEAVY) == [[0] * len(COMMANDS) + [2], []]


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
    assert process.stdout is not None
    process.stdout.close()
    with process:
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert process.returncode == 0


def test_help_names_every_command(capsys):
    assert main([]) == 0
    listing = capsys.readouterr().out
    assert main(["--help"]) == main(["-h"]) == 0
    assert capsys.readouterr().out == listing * 2
    words = " ".join(listing.split())
    assert all(f"{name} {summary}" in words for name, summary in COMMANDS.items())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command, capsys):
    assert main([command, "--help"]) == 0
    out = capsys.readouterr().out
    assert f"Usage: zooter {command} " in out
    assert COMMANDS[command] in " ".join(out.split())


def test_every_suite_is_in_the_help_of_bench(capsys):
    from zooter_core.evaluation.suites import SUITES

    main(["bench", "--help"])
    shown = " ".join(capsys.readouterr().out.split()).replace("- ", "-")  # a name may be broken at its dash
    assert ", ".join(SUITES) in shown


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


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"zooter {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["rout", "x"], ["rout", 'Did you mean "route"?', "`zooter --help`"]),
        (["route", "q", "--jsn"], ["--jsn", "Possible options: --json", "`zooter route --help`"]),
        (["traffic"], ["`zooter traffic` is gone: use `zooter learn import PATH`", "`zooter learn forget`"]),
        (["learn", "import"], ["PATH"]),
        (["learn", "stop"], ["'ACTION': 'stop' is not one of"]),
        (["serve", "keys"], ["Choose from: add, list, remove."]),
        (["--debug"], ["Missing command"]),
        (["route"], ["QUERY"]),
        (["route", "q", "r"], ["r"]),
        (["route", "q", "--fleet"], ["--fleet", "requires an argument"]),
        (["route", "-5 + 3 = ?"], ["-5", "Put -- before a query that begins with a dash"]),
        (["run", "--queries", "q.jsonl"], ["--out"]),
        (["run", "--queries", "q.jsonl", "--out", "d", "--beta", "much"], ["--beta"]),
        (["distill", "--scores", "s.jsonl", "--out", "d", "--seed", "-1"], ["--seed", "equal to 0"]),
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


@pytest.mark.parametrize("query", ["-5 + 3 = ?", "- a list", "--debug"])
def test_after_two_dashes_everything_is_a_value(capsys, tiny_fleet, query):
    assert main(["route", "--json", "--fleet", str(tiny_fleet), "--", query]) == 0
    assert json.loads(capsys.readouterr().out)["query"] == query


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
    assert code == 130
    assert "stopped" in err


# A fleet that is wrong


@pytest.mark.parametrize("part", ["adapters/one", "router", "fleet.toml"])
def test_a_missing_part_is_exit_2_and_named(refused, fleet_copy, part):
    path = fleet_copy / part
    path.unlink() if path.is_file() else shutil.rmtree(path)
    assert str(path if path.suffix == "" else path.parent) in refused(2, "route", SEA, fleet=fleet_copy)


def test_a_corrupt_router_is_exit_1(refused, fleet_copy):
    damage(fleet_copy, "router/model.safetensors")
    assert str(fleet_copy / "router") in refused(1, "route", SEA, fleet=fleet_copy)


# A query that is wrong


@pytest.mark.parametrize("command", ["route", "ask", "compare"])
def test_an_empty_or_huge_query_is_exit_2(refused, command):
    assert "empty" in refused(2, command, "   ")
    message = refused(2, command, "a" * 100_000)
    assert "100,000" in message
    assert len(message) < 300


def test_a_query_that_is_no_text_is_exit_2(refused):
    """What the shell hands over for bytes that are not UTF-8."""
    assert "UTF-8" in refused(2, "route", b"caf\xe9".decode("utf-8", "surrogateescape"))
