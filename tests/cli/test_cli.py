from __future__ import annotations

import io
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import tiny

from zooter_core import __version__
from zooter_core.cli.main import main
from zooter_core.router.kinds import KINDS

POOL = ("base", "one", "two")
ROOT = Path(__file__).resolve().parents[2]
SEA = "What is the sea?"


@pytest.fixture
def zooter(capsys, tiny_fleet, monkeypatch):
    """Calls the command line; gives its exit code, stdout and stderr. No call may show a traceback."""
    monkeypatch.setenv("COLUMNS", "200")

    def called(*arguments: object, fleet: Path | None = tiny_fleet):
        capsys.readouterr()
        code = main([*map(str, arguments), *(["--fleet", str(fleet)] if fleet else [])])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    return called


@pytest.fixture
def refused(zooter):
    """A call that must fail with a code, nothing on stdout and one message; gives the message."""

    def called(code: int, *arguments: object, **options):
        found, out, err = zooter(*arguments, **options)
        assert (found, out) == (code, ""), err
        message = err.strip().splitlines()[-1]
        assert message.startswith("zooter: ")
        return message

    return called


def write_lines(path: Path, lines) -> Path:
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def queries(tmp_path_factory) -> Path:
    lines = [{"id": f"q{n}", "query": text, "source": f"s{n % 2}"} for n, text in enumerate(tiny.QUERIES[:12])]
    return write_lines(tmp_path_factory.mktemp("queries") / "queries.jsonl", lines)


@pytest.fixture(scope="module")
def scores(tmp_path_factory) -> Path:
    lines = [
        {
            "id": str(n),
            "query": text,
            "dataset": "xy"[n % 2],
            "scores": {"two": n % 3, "base": n % 5, "one": 1.5},
            "tags": ["t"],
        }
        for n, text in enumerate(tiny.QUERIES[:10])
    ]
    return write_lines(tmp_path_factory.mktemp("scores") / "scores.jsonl", lines)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, tiny_fleet, queries) -> Path:
    """A run made by `zooter run`; not to be changed."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    call = ["run", "--queries", queries, "--out", folder, "--epochs", 2, "--holdout", 0.5, "--fleet", tiny_fleet]
    assert main(list(map(str, call))) == 0
    return folder


@pytest.fixture
def run_copy(whole, tmp_path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "run"))


def is_decision(shape: dict, query: str) -> bool:
    assert {"query", "probabilities", "tags", "candidate", "margin"} <= set(shape)
    ordered = sorted(shape["probabilities"].values(), reverse=True)
    assert shape["query"] == query
    assert tuple(shape["probabilities"]) == POOL
    assert sum(ordered) == pytest.approx(1, abs=1e-5)
    assert shape["probabilities"][shape["candidate"]] == ordered[0]
    assert shape["margin"] == pytest.approx(ordered[0] - ordered[1], abs=2e-6)
    assert all({"name", "score"} <= set(tag) for tag in shape["tags"])
    return True


# The call itself


def test_quick_answers_load_nothing_heavy():
    code = """
import sys
from zooter_core.cli.main import main
def tell(*arguments):
    try:
        return main(list(arguments))
    except SystemExit as ended:
        return ended.code
codes = [tell("--help"), tell("run", "--help"), tell("--version"), tell("rout"), tell("route", "q", "--fleet", "/none")]
heavy = [name for name in ("torch", "transformers", "streamlit", "plotly") if name in sys.modules]
print("found", codes, heavy)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert ended.stdout.splitlines()[-1] == "found [0, 0, 0, 2, 2] []"


def test_as_a_program(tiny_fleet):
    """Results alone on stdout, so that another program can read them."""
    command = [sys.executable, "-m", "zooter_core.cli", "route", SEA, "--json", "--fleet", str(tiny_fleet)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert is_decision(json.loads(ended.stdout), SEA)
    assert ended.stderr == ""


def test_no_librarys_bars_between_the_lines(scores, tmp_path, tiny_fleet):
    """In processes of their own: what keeps the libraries quiet holds for a whole process."""

    def told(*arguments: object) -> str:
        command = [sys.executable, "-m", "zooter_core.cli", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stderr

    wide, narrow, encoder = tmp_path / "wide", tmp_path / "narrow", tiny_fleet / "encoder"
    said = told("distill", "--scores", scores, "--out", wide, "--encoder", encoder, "--epochs", 1)
    said += told("extend", "--router", wide, "--without", "two", "--out", narrow)
    assert "is in" in said
    assert "it/s" not in said


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_reader_who_has_read_enough_is_no_failure(tiny_fleet, form):
    """As in `zooter route - | head`: the pipe is closed before the first line comes."""
    command = [sys.executable, "-m", "zooter_core.cli", "route", SEA, *form, "--fleet", str(tiny_fleet)]
    piped = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert piped.stdout is not None
    assert piped.stderr is not None
    piped.stdout.close()
    told = piped.stderr.read()
    piped.stderr.close()
    assert (piped.wait(), told) == (0, "")


@pytest.mark.parametrize("step", ["distill", "score"])
def test_half_a_call_is_not_called_none(refused, step):
    option = {"distill": "--scores", "score": "--responses"}[step]
    assert "but found only one of the two." in refused(2, step, option, "some.jsonl")
    assert "but found neither." in refused(2, step)


def test_help_names_every_command(capsys):
    from zooter_core.cli import COMMANDS

    assert main([]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in COMMANDS)


@pytest.mark.parametrize(
    "command",
    ["demo", "ask", "route", "compare", "check", "run", "collect", "score", "tag", "label", "queries", "extend"],
)
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"zooter {command}" in capsys.readouterr().out


def test_version(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"zooter {__version__}\n"


def test_unknown_command_is_told_with_the_known_ones(refused):
    message = refused(2, "rout", "x", fleet=None)
    assert "'rout'" in message
    assert "'route'" in message
    assert "zooter --help" in message


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["route"], "query"),
        (["route", "q", "--jsn"], "--jsn"),
        (["run", "--queries", "q.jsonl"], "--out"),
        (["run", "--queries", "q.jsonl", "--out", "d", "--beta", "much"], "--beta"),
        (["evaluate", "--router", "d"], "--scores"),
        (["score"], "--run DIR"),
        (["score", "--responses", "r.jsonl"], "--run DIR"),
        (["distill"], "--run DIR"),
        (["distill", "--scores", "s.jsonl"], "--run DIR"),
        (["distill", "--scores", "s.jsonl", "--out", "d", "--tagger", "best"], "--tagger"),
    ],
)
def test_wrong_call_is_exit_2(refused, arguments, named):
    assert named in refused(2, *arguments, fleet=None)


def test_debug_without_a_command_is_exit_2(capsys):
    assert main(["--debug"]) == 2


def test_debug_shows_where_an_error_came_from(tmp_path, capsys):
    for call in (["route", "q", "--debug"], ["--debug", "route", "q"]):
        assert main([*call, "--fleet", str(tmp_path)]) == 2
        err = capsys.readouterr().err
        assert "Traceback (most recent call last)" in err
        assert "in load_fleet" in err
        assert err.splitlines()[-1].startswith("zooter: Expected a fleet folder")


def test_an_error_nobody_foresaw_is_one_line(refused, monkeypatch):
    from zooter_core.ensemble import Ensemble

    def breaks(self, messages):
        raise RuntimeError("out of luck")

    monkeypatch.setattr(Ensemble, "route", breaks)
    message = refused(1, "route", SEA)
    assert "RuntimeError: out of luck" in message
    assert "--debug" in message


def test_interrupted_by_the_user(zooter, monkeypatch):
    from zooter_core.ensemble import Ensemble

    def interrupted(self, messages):
        raise KeyboardInterrupt

    monkeypatch.setattr(Ensemble, "route", interrupted)
    code, _, err = zooter("route", SEA)
    assert code == 130
    assert "stopped" in err


# route


def test_route_json(zooter):
    code, out, err = zooter("route", SEA, "--json")
    assert (code, err) == (0, "")
    assert is_decision(json.loads(out), SEA)


def test_route_table(zooter):
    code, out, _ = zooter("route", SEA)
    assert code == 0
    assert all(name in out for name in (*POOL, SEA, "tags:", "chosen:"))


def test_route_says_why(zooter):
    code, out, _ = zooter("route", SEA, "--why")
    assert code == 0
    assert "words for" in out
    code, out, _ = zooter("route", SEA, "--why", "--json")
    why = json.loads(out)["why"]
    assert [piece["text"] for piece in why["pieces"]] == SEA.split()
    assert why["neighbours"] == []  # this router's folder keeps none


def test_a_distilled_router_knows_like_queries(zooter, run_copy, fleet_copy, tmp_path):
    """As a user's own: its router folder, made with --keep-texts, is put into the fleet."""
    state = json.loads((run_copy / "run.json").read_text())
    del state["steps"]["distill"], state["seals"]["distill"]
    (run_copy / "run.json").write_text(json.dumps(state))
    assert zooter("distill", "--run", run_copy, "--epochs", 2, "--keep-texts", fleet=fleet_copy)[0] == 0
    shutil.copytree(run_copy / "router", fleet_copy / "router", dirs_exist_ok=True)
    query = records(run_copy / "queries.jsonl")[0]["text"]
    code, out, _ = zooter("route", query, "--why", "--json", fleet=fleet_copy)
    assert code == 0
    near = json.loads(out)["why"]["neighbours"]
    assert near
    assert all(row["text"] and set(row["label"]) == set(POOL) for row in near)
    rewards = {record["id"]: record["rewards"] for record in records(run_copy / "rewards.jsonl")}
    for row in near:
        assert row["rewards"] == pytest.approx(rewards[row["id"]], abs=0.02)  # kept in half precision
    shown = zooter("route", query, "--why", fleet=fleet_copy)[1]
    assert "like it" in shown
    assert "and rewards" in shown


def test_route_shows_a_query_with_markup_as_it_is(zooter):
    _, out, _ = zooter("route", "What is [bold]a list[/bold] [/]?")
    assert "What is [bold]a list[/bold] [/]?" in " ".join(out.split())


@pytest.fixture
def stdin(monkeypatch):
    return lambda text: monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_route_reads_lines_and_json_lines_from_stdin(zooter, stdin):
    stdin(f'{SEA}\n\n  \n{{"id": 7, "query": "杯子 ☕"}}\n[1, 2] is a list\n')
    code, out, _ = zooter("route", "-", "--json")
    assert code == 0
    lines = out.splitlines()
    for line, query in zip(lines, [SEA, "杯子 ☕", "[1, 2] is a list"], strict=True):
        assert is_decision(json.loads(line), query)
    assert "杯子 ☕" in lines[1]


def test_route_of_an_empty_stdin_is_nothing(zooter, stdin):
    stdin("")
    assert zooter("route", "-", "--json")[:2] == (0, "")


@pytest.mark.parametrize(
    "line",
    [
        '{"query": ',
        '{"text": "x"}',
        '{"query": 5}',
        '{"query": ["x"]}',
        '{"query": ' + "[" * 100_000,
        '{"query": ' + "9" * 5000 + "}",
    ],
    ids=lambda line: line[:20],
)
def test_wrong_line_of_stdin_is_named(zooter, stdin, line):
    stdin(f"{SEA}\n{line}\n")
    code, out, err = zooter("route", "-", "--json")
    assert code == 2
    assert len(out.splitlines()) == 1
    assert "line 2 of stdin" in err


@pytest.mark.parametrize("command", ["route", "ask", "compare"])
@pytest.mark.parametrize("query", ["", "   "])
def test_empty_query_is_exit_2(refused, command, query):
    assert "an empty text" in refused(2, command, query)


@pytest.mark.parametrize("command", ["route", "ask", "compare"])
def test_huge_query_is_exit_2(refused, command):
    message = refused(2, command, "a" * 100_000)
    assert "100,000" in message
    assert len(message) < 300


def test_query_that_is_no_text_is_exit_2(refused):
    """What the shell hands over for bytes that are not UTF-8."""
    refused(2, "route", b"caf\xe9".decode("utf-8", "surrogateescape"))


# A fleet that is wrong


def change(folder: Path, old: str, new: str) -> Path:
    path = folder / "fleet.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    return folder


def test_misspelt_key_is_exit_2(refused, fleet_copy):
    message = refused(2, "route", SEA, fleet=change(fleet_copy, "max_new_tokens", "max_new_token"))
    assert 'Did you mean "max_new_tokens"?' in message


def test_missing_adapter_is_exit_2(refused, fleet_copy):
    shutil.rmtree(fleet_copy / "adapters" / "one")
    assert str(fleet_copy / "adapters" / "one") in refused(2, "route", SEA, fleet=fleet_copy)


def test_missing_fleet_is_exit_2(refused, tmp_path):
    assert str(tmp_path) in refused(2, "check", fleet=tmp_path)


def test_missing_router_is_exit_2(refused, fleet_copy):
    shutil.rmtree(fleet_copy / "router")
    assert str(fleet_copy / "router") in refused(2, "route", SEA, fleet=fleet_copy)


def test_corrupt_router_is_exit_1(refused, fleet_copy):
    (fleet_copy / "router" / "model.safetensors").write_bytes(b"broken")
    assert "a whole router in" in refused(1, "route", SEA, fleet=fleet_copy)


def damage(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).write_bytes(b"broken")
    return folder


ADAPTER = "adapters/one/adapter_model.safetensors"


# demo


@pytest.fixture
def started(monkeypatch):
    """What `zooter demo` would become, instead of becoming it."""
    monkeypatch.chdir(Path.cwd())  # the command changes folder; this one comes back
    calls: list[tuple] = []
    monkeypatch.setattr(os, "execve", lambda *call: calls.append(call))
    return calls


def test_busy_port_is_exit_2(refused, started):
    with socket.create_server(("localhost", 0)) as busy:
        port = busy.getsockname()[1]
        message = refused(2, "demo", "--no-browser", "--port", port)
    assert f"port {port} to be free" in message
    assert f"--port {port + 1}" in message
    assert not started


def test_a_demo_without_a_router_is_exit_2(refused, started, fleet_copy):
    text = (fleet_copy / "fleet.toml").read_text()
    (fleet_copy / "fleet.toml").write_text(text[: text.index("[router]")] + text[text.index("[reward]") :])
    message = refused(2, "demo", "--no-browser", fleet=fleet_copy)
    assert message.startswith(
        "zooter: Expected a [router] table in fleet.toml of tiny, but found none. Train one first"
    )
    assert not started


@pytest.mark.parametrize("port", ["99999", "-1", "http"])
def test_impossible_port_is_exit_2(refused, started, port):
    refused(2, "demo", f"--port={port}")
    assert not started


def test_demo_starts_the_app_with_its_fleet(zooter, started, tiny_fleet):
    with socket.create_server(("localhost", 0)) as probe:
        port = probe.getsockname()[1]
    code, _, err = zooter("demo", "--port", port, "--no-browser")
    ((_, command, environment),) = started
    assert code == 0
    assert command[1:3] == ["-m", "zooter_core.ui"]
    assert str(port) in command
    assert environment["ZOOTER_FLEET"] == str(tiny_fleet)
    assert f"http://localhost:{port}" in err


def free_port() -> int:
    with socket.create_server(("localhost", 0)) as probe:
        return int(probe.getsockname()[1])


def test_demo_carries_hosts_sites_and_address_to_the_server(zooter, started, monkeypatch):
    monkeypatch.setenv("ZOOTER_EMBED_FROM", "http://Localhost:3000/")
    call = ("--allow-host", "Demo.Example.org.", "--allow-host", "[::2]", "--address", "127.0.0.1")
    assert zooter("demo", "--port", free_port(), *call)[0] == 0
    ((_, _, environment),) = started
    assert environment["ZOOTER_ALLOW_HOST"] == "demo.example.org ::2"
    assert environment["ZOOTER_EMBED_FROM"] == "http://localhost:3000"
    assert environment["STREAMLIT_SERVER_ADDRESS"] == "127.0.0.1"


@pytest.mark.parametrize(
    ("address", "shown", "open_to_others"),
    [(None, "localhost", False), ("127.0.0.1", "127.0.0.1", False), ("0.0.0.0", "localhost", True)],
)
def test_demo_says_where_it_is_and_who_can_reach_it(zooter, started, monkeypatch, address, shown, open_to_others):
    monkeypatch.delenv("STREAMLIT_SERVER_ADDRESS", raising=False)
    port = free_port()
    _, _, err = zooter("demo", "--port", port, *(("--address", address) if address else ()))
    ((_, _, environment),) = started
    assert environment.get("STREAMLIT_SERVER_ADDRESS") == address
    assert f"http://{shown}:{port}" in err
    assert ("Other machines can reach it" in err) is open_to_others


@pytest.mark.parametrize(
    ("option", "value", "named"),
    [
        ("--allow-host", "http://demo.example.org", "a host name or an IP address for --allow-host"),
        ("--allow-host", "demo.example.org:80", "a host name or an IP address for --allow-host"),
        ("--allow-host", "", "a host name or an IP address for --allow-host"),
        ("--allow-host", "*", "a host name or an IP address for --allow-host"),
        ("--embed-from", "www.example.org", "an origin (scheme, host and port of a site) for --embed-from"),
        ("--embed-from", "https://www.example.org/page", "an origin"),
        ("--embed-from", "*", "an origin"),
        ("--address", "", "argument --address: an empty text"),
        ("--address", "192.0.2.1", "an address of this machine for --address, but found 192.0.2.1"),
    ],
)
def test_demo_refuses_hosts_and_sites_that_are_none(refused, started, option, value, named):
    assert named in refused(2, "demo", f"{option}={value}")
    assert not started


def test_demo_refuses_a_wrong_host_in_the_environment(refused, started, monkeypatch):
    monkeypatch.setenv("ZOOTER_ALLOW_HOST", "http://a")
    assert "a host name or an IP address for ZOOTER_ALLOW_HOST" in refused(2, "demo")
    assert not started


def test_demo_of_a_wrong_fleet_ends_at_once(refused, started, fleet_copy):
    refused(2, "demo", fleet=change(fleet_copy, "[router]", "[ruoter]"))
    assert not started


# ask, compare, check


def test_ask_streams_the_answer_of_the_chosen_candidate(zooter):
    chosen = json.loads(zooter("route", SEA, "--json")[1])["candidate"]
    code, out, err = zooter("ask", SEA, "--temperature", 0)
    assert code == 0
    assert f"->  {chosen}" in err
    assert out.strip() == zooter("ask", SEA, "--temperature", 0, "--candidate", chosen)[1].strip() != ""


def test_ask_another_candidate(zooter):
    answers = {name: zooter("ask", SEA, "--temperature", 0, "--candidate", name)[1] for name in POOL}
    assert len(set(answers.values())) == 3


def test_ask_up_to_a_number_of_tokens(zooter):
    short, longer = (zooter("ask", SEA, "--temperature", 0, "--max-new-tokens", n)[1] for n in (2, 6))
    assert longer.startswith(short.strip())
    assert len(longer) > len(short)


def test_ask_an_unknown_candidate_is_exit_2(zooter):
    code, out, err = zooter("ask", SEA, "--candidate", "tow")
    assert (code, out) == (2, "")
    assert 'Did you mean "two"?' in err


@pytest.mark.parametrize("wrong", [["--temperature", "-0.5"], ["--max-new-tokens", "0"]])
def test_generation_settings_out_of_range_are_exit_2(zooter, wrong):
    code, _, err = zooter("ask", SEA, *wrong)
    assert code == 2
    assert wrong[0].strip("-").replace("-", "_") in err


def test_ask_a_candidate_that_fails_is_exit_1(zooter, fleet_copy):
    code, _, err = zooter("ask", SEA, "--candidate", "one", fleet=damage(fleet_copy, ADAPTER))
    assert code == 1
    assert "zooter: Expected a LoRA adapter for one at one." in err


def test_compare_json_is_in_rank_order(zooter):
    code, out, _ = zooter("compare", SEA, "--json")
    shape = json.loads(out)
    assert code == 0
    assert {"query", "responses", "route"} <= set(shape)
    assert shape["query"] == SEA
    assert is_decision(shape["route"], SEA)
    responses = shape["responses"]
    assert {r["candidate"] for r in responses} == set(POOL)
    for response in responses:
        assert {"candidate", "text", "reward", "rank", "seconds", "tokens", "error"} <= set(response)
        assert (response["error"], response["tokens"]) == (None, 8)
    assert [r["rank"] for r in responses] == [1, 2, 3]
    rewards = [r["reward"] for r in responses]
    assert rewards == sorted(rewards, reverse=True)


def test_compare_shows_each_candidate(zooter):
    code, out, _ = zooter("compare", SEA)
    assert code == 0
    assert out.count("reward ") == 3
    assert out.count("the router's choice") == 1


def test_compare_with_a_failed_candidate(zooter, fleet_copy):
    code, out, _ = zooter("compare", SEA, "--json", fleet=damage(fleet_copy, ADAPTER))
    *ranked, failed = json.loads(out)["responses"]
    assert code == 0
    assert [r["rank"] for r in ranked] == [1, 2]
    assert (failed["candidate"], failed["rank"], failed["reward"]) == ("one", None, None)
    assert "a LoRA adapter for one" in failed["error"]


def test_compare_when_every_candidate_fails_is_exit_1(zooter, fleet_copy):
    code, out, _ = zooter("compare", SEA, "--json", fleet=damage(fleet_copy, "base/model.safetensors"))
    assert code == 1
    assert [r["rank"] for r in json.loads(out)["responses"]] == [None] * 3


def test_check_json(zooter):
    code, out, _ = zooter("check", "--json")
    shape = json.loads(out)
    assert (code, shape["fleet"]) == (0, "tiny")
    assert [(row["part"], row["name"]) for row in shape["parts"]] == [
        *(("candidate", name) for name in POOL),
        ("reward model", "scalar"),
        ("tagger", "nearest"),
        ("router", "router"),
    ]
    assert all(row["ok"] and row["seconds"] >= 0 and row["found"] for row in shape["parts"])


def test_check_shows_all_names_in_a_narrow_window(zooter, monkeypatch):
    monkeypatch.setenv("COLUMNS", "70")
    out = zooter("check")[1]
    assert all(part in out for part in ("candidate", "reward model", "tagger", "router"))


def test_check_tells_all_that_is_broken_at_once(zooter, fleet_copy):
    damage(fleet_copy, ADAPTER, "reward/model.safetensors", "router/model.safetensors")
    code, out, _ = zooter("check", "--json", fleet=fleet_copy)
    assert code == 1
    failed = {row["name"]: row["found"] for row in json.loads(out)["parts"] if not row["ok"]}
    assert set(failed) == {"one", "scalar", "router"}
    assert zooter("check", fleet=fleet_copy)[1].count("failed") == 3


# queries


@pytest.fixture(scope="module")
def untagged(tmp_path_factory) -> Path:
    lines = [{"query": text, "source": f"s{n % 2}"} for n, text in enumerate([*tiny.QUERIES, "WHAT IS THE SEA"])]
    return write_lines(tmp_path_factory.mktemp("untagged") / "queries.jsonl", lines)


def test_queries_json_with_the_fleets_tags(zooter, untagged, tmp_path):
    other = write_lines(tmp_path / "bench.jsonl", [{"query": "Write about the sea"}])
    call = ["queries", "--from", untagged, "--n", 8, "--out", tmp_path / "out.jsonl", "--exclude", other, "--json"]
    code, out, err = zooter(*call, "--tag-at-most", 20)
    shape = json.loads(out)
    assert (code, err) == (0, "")
    assert (shape["n"], shape["read"], shape["tags"]["queries"]) == (8, 41, 20)
    assert shape["excluded"] == {str(other): {"count": 1, "examples": ["7"]}}
    assert {name: row["kept"] for name, row in shape["sources"].items()} == {"s0": 4, "s1": 4}
    lines = records(tmp_path / "out.jsonl")
    assert all(set(line) == {"id", "query", "dataset", "tags"} for line in lines)
    assert {tag for line in lines for tag in line["tags"]} <= {entry["name"] for entry in tiny.VOCABULARY["tags"]}
    assert len({line["id"] for line in lines}) == 8
    again = (tmp_path / "out.jsonl").read_bytes()
    assert zooter(*call, "--tag-at-most", 20)[1] == out
    assert (tmp_path / "out.jsonl").read_bytes() == again


def test_queries_that_were_made_make_a_run(zooter, untagged, tmp_path):
    assert zooter("queries", "--from", untagged, "--n", 4, "--out", tmp_path / "out.jsonl")[0] == 0
    assert zooter("collect", "--queries", tmp_path / "out.jsonl", "--run", tmp_path / "run")[0] == 0


def test_queries_table(zooter, untagged, tmp_path):
    code, out, err = zooter("queries", "--from", untagged, "--n", 100, "--out", tmp_path / "out.jsonl")
    assert code == 0
    assert all(word in out for word in ("source", "s0", "s1", "left out:", "near repeats", "the fleet's tags"))
    assert "100 queries were asked for" in err


def test_queries_with_given_tags_need_no_fleet(zooter, tmp_path):
    source = write_lines(tmp_path / "q.jsonl", [{"query": text, "tags": ["t"]} for text in tiny.QUERIES])
    code, out, _ = zooter("queries", "--from", source, "--n", 4, "--out", tmp_path / "out.jsonl", fleet=None)
    assert code == 0
    assert "given tags" in out


def test_queries_with_given_tags_load_no_model(tmp_path):
    source = write_lines(tmp_path / "q.jsonl", [{"query": text, "tags": ["t"]} for text in tiny.QUERIES])
    code = f"""
import sys
from zooter_core.cli.main import main
assert main(["queries", "--from", {str(source)!r}, "--n", "4", "--out", {str(tmp_path / "out.jsonl")!r}]) == 0
print([name for name in ("torch", "transformers", "streamlit", "plotly") if name in sys.modules])
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert ended.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("change_of", "named"),
    [
        (["--n", 0], "--n of at least 1"),
        (["--near", 2], "--near above 0"),
        (["--ngram", 0], "--ngram of at least 1"),
        (["--out", "out.txt"], "--out as a .jsonl"),
        (["--exclude", "none.jsonl"], "no file at none.jsonl"),
        (["--tagger", "given"], '"tags" in'),
        (["--fleet", "nowhere"], "a fleet folder"),
    ],
)
def test_queries_of_a_wrong_call_are_exit_2(refused, untagged, tmp_path, change_of, named):
    call = ["queries", "--from", untagged, "--n", 4, "--out", tmp_path / "out.jsonl", *change_of]
    assert named in refused(2, *call, fleet=None)
    assert list(tmp_path.iterdir()) == []


# The pipeline


def records(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_run_makes_a_run_folder(whole):
    files = {path.name for path in whole.iterdir()}
    assert {"run.json", "queries.jsonl", "responses.jsonl", "rewards.jsonl", "tags.jsonl"} <= files
    assert {"labels.jsonl", "router", "report.json"} <= files
    assert len(records(whole / "labels.jsonl")) == 12


def test_run_again_shows_the_same_report_and_exports_scores(zooter, run_copy, queries, tmp_path, whole):
    call = ["run", "--queries", queries, "--out", run_copy, "--epochs", 2, "--holdout", 0.5]
    code, out, _ = zooter(*call, "--scores", tmp_path / "scores.jsonl")
    assert code == 0
    assert "rewards of the candidates" in out
    assert "regret of router" in out
    assert (run_copy / "labels.jsonl").read_bytes() == (whole / "labels.jsonl").read_bytes()
    assert list(records(tmp_path / "scores.jsonl")[0]["scores"]) == list(POOL)


@pytest.mark.parametrize(
    ("change", "named"),
    [(["--beta", 0.5], "beta"), (["--tau", 2], "tau"), (["--temperature", 0], "temperature"), (["--seed", 3], "seed")],
)
def test_run_again_with_a_changed_setting_is_exit_2(refused, run_copy, queries, change, named):
    call = ["run", "--queries", queries, "--out", run_copy, "--epochs", 2, "--holdout", 0.5, *change]
    assert f"the setting {named} = " in refused(2, *call)


def test_steps_one_by_one_equal_a_run(zooter, whole, queries, tmp_path, tiny_fleet):
    folder = tmp_path / "run"
    assert zooter("collect", "--run", folder, "--queries", queries)[0] == 0
    for step in ("score", "tag"):
        assert zooter(step, "--run", folder, fleet=None)[0] == 0  # the run knows its fleet
    assert zooter("label", "--run", folder, "--holdout", 0.5, fleet=None)[0] == 0
    encoder = tiny_fleet / "encoder"
    assert zooter("distill", "--run", folder, "--epochs", 2, "--encoder", encoder, fleet=None)[0] == 0
    for name in ("labels.jsonl", "report.json", "router/model.safetensors"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes()


def test_distill_again_takes_the_fleets_encoder(zooter, run_copy):
    assert zooter("distill", "--run", run_copy, "--epochs", 2, fleet=None)[0] == 0


def test_run_takes_the_fleets_seed(zooter, fleet_copy, queries, tmp_path):
    change(fleet_copy, "temperature = 0.7", "temperature = 0.7\nseed = 5")
    call = ["run", "--queries", queries, "--out", tmp_path / "run", "--epochs", 1]
    assert zooter(*call, fleet=fleet_copy)[0] == 0
    assert json.loads((tmp_path / "run" / "run.json").read_text())["steps"]["collect"]["seed"] == 5


@pytest.mark.parametrize(
    "wrong",
    [
        ["--beta", 2],
        ["--tau", 0],
        ["--normalise", "zscor"],
        ["--holdout", 1.5],
    ],
)
def test_wrong_label_settings_can_be_mended(zooter, run_copy, wrong):
    state = json.loads((run_copy / "run.json").read_text())
    for part in ("steps", "seals"):
        del state[part]["label"]
    (run_copy / "run.json").write_text(json.dumps(state))
    assert zooter("label", "--run", run_copy, *wrong, fleet=None)[0] == 2
    assert zooter("label", "--run", run_copy, "--holdout", 0.5, fleet=None)[0] == 0


def test_step_of_no_run_is_exit_2(refused, tmp_path):
    for step in ("score", "tag", "label", "distill", "collect"):
        assert "a run folder at" in refused(2, step, "--run", tmp_path / "none", fleet=None)


def test_step_before_its_turn_is_exit_2(zooter, run_copy):
    state = json.loads((run_copy / "run.json").read_text())
    for step in ("collect", "score"):
        del state["seals"][step]
    (run_copy / "run.json").write_text(json.dumps(state))
    code, _, err = zooter("score", "--run", run_copy, fleet=None)
    assert code == 2
    assert "zooter collect --run" in err


def test_run_with_wrong_queries_is_exit_2_and_makes_nothing(refused, tmp_path):
    wrong = write_lines(tmp_path / "queries.jsonl", [{"query": "first"}, {"query": ""}])
    assert f"{wrong}, line 2" in refused(2, "run", "--queries", wrong, "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_run_in_use_is_exit_2(zooter, run_copy):
    from zooter_core.data.runs import Run

    with Run(run_copy):
        code, _, err = zooter("label", "--run", run_copy, fleet=None)
    assert code == 2
    assert "another process at work in it" in err


def test_evaluate_json(zooter, tiny_fleet, scores):
    code, out, err = zooter("evaluate", "--router", tiny_fleet / "router", "--scores", scores, "--json", fleet=None)
    shape = json.loads(out)
    assert (code, err) == (0, "")
    assert {"n", "datasets", "average", "mtr", "uplift"} <= set(shape)
    assert (shape["n"], list(shape["datasets"])) == (10, ["x", "y"])
    assert set(shape["mtr"]) == set(shape["uplift"]) == {"router", *POOL, "oracle"}
    for row in shape["datasets"].values():
        assert {"n", "chosen", "regret", "oracle", "random", "best_single", "candidates"} <= set(row)
        assert row["regret"] == pytest.approx(row["oracle"] - row["chosen"])
    assert {"chosen", "regret", "oracle", "random", "best_single"} <= set(shape["average"])


def test_evaluate_tables(zooter, tiny_fleet, scores):
    code, out, _ = zooter("evaluate", "--router", tiny_fleet / "router", "--scores", scores, fleet=None)
    assert code == 0
    assert all(word in out for word in ("data set", "MTR", "regret of router", "oracle"))


def test_evaluate_prints_table_one_for_several_data_sets(zooter, tiny_fleet, scores, answered):
    """A row a method with what `--json` says of it, data set by data set; RMR where responses are ranked."""
    call = ["evaluate", "--fleet", tiny_fleet, "--scores", answered, "--rmr"]
    code, out, _ = zooter(*call, "--json", fleet=None)
    assert code == 0
    figures = json.loads(out)
    rows = figures["datasets"].values()
    assert all(row["random"] <= row["oracle"] and row["rmr"] <= row["oracle"] for row in rows)
    code, out, _ = zooter(*call, fleet=None)
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in out.splitlines() if line.startswith("│")]
    table = {row[0]: row[1:] for row in cells if len(row) == 8}
    best = figures["average"]["best_single"]["candidate"]
    assert list(table)[: len(POOL) + 1] == ["two", "base", "one", f"BMA ({best})"]
    assert list(table)[4:] == ["router", "RMR", "oracle", "regret of router"]
    assert table[f"BMA ({best})"] == table[best]
    for name, key in (("router", "chosen"), ("RMR", "rmr"), ("oracle", "oracle"), ("regret of router", "regret")):
        assert table[name][:2] == [f"{row[key]:.3f}" for row in rows]
    assert table["RMR"][3:5] == [f"{figures['mtr']['rmr']:.2f}", f"{figures['uplift']['rmr']:.0%}"]
    assert table["two"][:2] == [f"{row['candidates']['two']:.3f}" for row in rows]
    one = write_lines(answered.parent / "one.jsonl", [line for line in records(scores) if line["dataset"] == "x"])
    out = zooter("evaluate", "--fleet", tiny_fleet, "--scores", one, fleet=None)[1]
    assert "BMA" not in out
    assert "%Uplift of one call" in out


def test_evaluate_needs_a_router_or_a_fleet_with_one(refused, tiny_fleet, fleet_copy, scores):
    call = ["evaluate", "--scores", scores]
    assert "but found neither" in refused(2, *call, fleet=None)
    assert "but found both" in refused(2, *call, "--router", tiny_fleet / "router", fleet=tiny_fleet)
    assert "--fleet with --rmr" in refused(2, *call, "--rmr", "--router", tiny_fleet / "router", fleet=None)
    assert "responses of all candidates to the query 0, for --rmr" in refused(2, *call, "--rmr", fleet=tiny_fleet)
    change(fleet_copy, '[router]\npath = "router"\nruntime', "#")
    assert "a [router] table" in refused(2, *call, fleet=fleet_copy)


def test_evaluate_over_another_pool_is_exit_2(refused, tiny_fleet, tmp_path):
    other = write_lines(tmp_path / "scores.jsonl", [{"query": "q", "scores": {"a": 1, "b": 2}}])
    message = refused(2, "evaluate", "--router", tiny_fleet / "router", "--scores", other, fleet=None)
    assert "one for base, one, two" in message


def test_evaluate_beside_what_was_learned_from(zooter, tiny_fleet, scores):
    call = ["evaluate", "--router", tiny_fleet / "router", "--scores", scores, "--learned-from", scores]
    code, out, _ = zooter(*call, "--json", fleet=None)
    assert code == 0
    found = json.loads(out)["baselines"]
    assert set(found) == {"random", "best single", "majority", "best a data set", "knn"}
    assert not any(row["hindsight"] for row in found.values())
    code, out, _ = zooter(*call, fleet=None)
    assert "knn" in out
    assert "ECE" in out


@pytest.fixture
def answered(scores, tmp_path) -> Path:
    """The score file with the responses of all candidates."""
    lines = [line | {"responses": {name: f"{name} says {line['query']}" for name in POOL}} for line in records(scores)]
    return write_lines(tmp_path / "answered.jsonl", lines)


@pytest.fixture
def priced(fleet_copy) -> Path:
    """The tiny fleet with prices: base is dear, one is free."""
    for name, price in (("base", 4.0), ("one", 0), ("two", 1)):
        change(fleet_copy, f'name = "{name}"\n', f'name = "{name}"\nusd_per_million_tokens = {price}\n')
    return fleet_copy


def test_evaluate_select(zooter, tiny_fleet, scores):
    call = ["evaluate", "--router", tiny_fleet / "router", "--scores", scores]
    plain = json.loads(zooter(*call, "--json", fleet=None)[1])
    code, out, err = zooter(*call, "--select", "--json", fleet=None)
    shape = json.loads(out)
    assert (code, err) == (0, "")
    found = shape.pop("selection")
    assert shape == plain
    assert {(row["trigger"], row["k"]) for row in found["curves"]} == {
        (name, k) for name in ("margin", "entropy", "utility", "disagreement") for k in (2, 3)
    }
    for row in found["curves"]:
        assert {"area", "area_random", "gain", "interval", "beats_random"} <= set(row)
        assert (row["points"][0]["calls"], row["points"][-1]["calls"]) == (1, row["k"])
        assert row["points"][0]["score"] == pytest.approx(shape["mean"]["chosen"])
        if row["k"] == 3:  # the whole pool
            assert row["points"][-1]["score"] == pytest.approx(shape["mean"]["oracle"])
    assert {"trigger", "beats_random"} <= set(found["best"])
    assert "judge" not in found


def test_evaluate_select_with_a_judge_prices_and_a_plot(zooter, tiny_fleet, answered, priced, tmp_path):
    call = ["evaluate", "--router", tiny_fleet / "router", "--scores", answered, "--select"]
    call += ["--judge-fleet", tiny_fleet, "--prices", priced, "--willingness", 0.5, "--plot", tmp_path / "plot.html"]
    code, out, _ = zooter(*call, "--json", fleet=None)
    assert code == 0
    shape = json.loads(out)
    found, trade = shape["selection"], shape["trade"]
    oracle, judge = found["curves"][0]["points"], found["judge"]["curves"][0]["points"]
    assert oracle[0] == judge[0]
    assert oracle[-1]["score"] >= judge[-1]["score"]
    assert oracle[-1]["dollars"] > oracle[0]["dollars"] == pytest.approx(trade["at_0"]["dollars"])
    assert (trade["willingness"], trade["at_0"]["score"]) == (0.5, pytest.approx(shape["mean"]["chosen"]))
    assert trade["price"] <= trade["at_0"]["price"]
    page = (tmp_path / "plot.html").read_text(encoding="utf-8")
    assert all(word in page for word in ("dollars a thousand queries", "margin, k = 2", "random, k = 3", "by reward"))
    assert "cdn." not in page.split("<body>")[0]
    code, out, _ = zooter(*call, fleet=None)
    assert code == 0
    assert all(word in out for word in ("best by score", "best by reward", "best for k = 2", "at a willingness of 0.5"))


def test_evaluate_counts_the_tokens_of_responses_or_assumes_them(zooter, tiny_fleet, scores, answered, priced):
    """Without responses each has the same number of tokens, so that dollars go with the price."""
    call = ["evaluate", "--router", tiny_fleet / "router", "--prices", priced, "--json", "--scores"]
    assumed = json.loads(zooter(*call, scores, fleet=None)[1])["trade"]
    assert assumed["dollars"] == pytest.approx(assumed["price"] * 300 / 1000)
    told = json.loads(zooter(*call, scores, "--tokens", 50, fleet=None)[1])["trade"]
    assert told["dollars"] == pytest.approx(assumed["price"] * 50 / 1000)
    counted = json.loads(zooter(*call, answered, fleet=None)[1])["trade"]
    assert 0 < counted["dollars"] < assumed["dollars"]
    assert counted["price"] == assumed["price"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--plot", "plot.png", "--select"], "ends in .html"),
        (["--plot", "plot.html"], "--select with --plot"),
        (["--judge-fleet", "FLEET"], "--select with --judge-fleet"),
        (["--select", "--judge-fleet", "FLEET"], "the responses of all candidates to the query 0"),
        (["--willingness", 0.5], "--prices with --willingness"),
        (["--willingness", -1], "a willingness of 0 or above"),
        (["--tokens", 5], "--prices with --tokens"),
        (["--prices", "FLEET", "--tokens", 0], "--tokens of at least 1"),
        (["--prices", "FLEET"], "a price of every candidate"),
        (["--prices", "nowhere"], "a fleet folder"),
    ],
)
def test_evaluate_of_what_cannot_be_is_exit_2(refused, tiny_fleet, scores, arguments, named):
    given = [tiny_fleet if part == "FLEET" else part for part in arguments]
    assert named in refused(2, "evaluate", "--router", tiny_fleet / "router", "--scores", scores, *given, fleet=None)


def test_route_with_prices_traded_in(zooter, refused, priced):
    plain = json.loads(zooter("route", SEA, "--json", fleet=priced)[1])
    same = json.loads(zooter("route", SEA, "--json", "--willingness", 0, fleet=priced)[1])
    assert same == plain
    traded = json.loads(zooter("route", SEA, "--json", "--willingness", 5, fleet=priced)[1])
    assert (traded["candidate"], traded["probabilities"]) == ("one", plain["probabilities"])
    assert traded["utilities"]["base"] == pytest.approx(plain["probabilities"]["base"] - 5)
    assert "utility" in zooter("route", SEA, "--willingness", 5, fleet=priced)[1]
    assert "a willingness of 0 or above" in refused(2, "route", SEA, "--willingness", -1, fleet=priced)
    for command in ("route", "ask"):
        assert "a price of every candidate" in refused(2, command, SEA, "--willingness", 1)


@pytest.mark.parametrize("tagger", ["auto", "given", "clusters", "none", "fleet"])
def test_distill_from_score_files(zooter, scores, tmp_path, tiny_fleet, tagger):
    out = tmp_path / "router"
    call = ["distill", "--scores", scores, "--out", out, "--encoder", tiny_fleet / "encoder", "--epochs", 2]
    code, _, err = zooter(*call, "--tagger", tagger)
    assert code == 0
    assert "A router for two, base, one is in" in err
    assert zooter("evaluate", "--router", out, "--scores", scores, "--json", fleet=None)[0] == 0


@pytest.mark.parametrize("kind", KINDS)
def test_distill_each_router_kind(zooter, scores, tmp_path, tiny_fleet, kind):
    out = tmp_path / "router"
    call = ["distill", "--scores", scores, "--out", out, "--encoder", tiny_fleet / "encoder", "--router-kind", kind]
    assert zooter(*call)[0] == 0
    assert json.loads((out / "config.json").read_text())["kind"] == kind
    assert zooter("evaluate", "--router", out, "--scores", scores, "--json", fleet=None)[0] == 0


def test_distill_with_the_encoder_itself(zooter, scores, tmp_path, tiny_fleet):
    out = tmp_path / "router"
    call = ["distill", "--scores", scores, "--out", out, "--encoder", tiny_fleet / "encoder", "--finetune", "last"]
    assert zooter(*call, "--epochs", 1)[0] == 0
    assert (out / "encoder" / "model.safetensors").is_file()
    code, shown, _ = zooter("evaluate", "--router", out, "--scores", scores, "--robust", "--json", fleet=None)
    assert code == 0
    assert set(json.loads(shown)["robustness"]) == {"n", "edits", "mean", "pairs", "paraphrases"}
    assert "survive a paraphrase" in zooter("evaluate", "--router", out, "--scores", scores, "--robust", fleet=None)[1]


def test_distill_takes_settings_of_the_kind(zooter, scores, tmp_path, tiny_fleet):
    out = tmp_path / "router"
    call = ["distill", "--scores", scores, "--out", out, "--encoder", tiny_fleet / "encoder", "--router-kind", "knn"]
    assert zooter(*call, "--router-set", "k=3", "temperature=0.5")[0] == 0
    assert json.loads((out / "config.json").read_text())["settings"] == {"k": 3, "temperature": 0.5, "rows": 10}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--router-kind", "knnn"], 'Did you mean "knn"?'),
        (["--router-kind", "knn", "--router-set", "kk=3"], 'Did you mean "k"?'),
        (["--router-kind", "knn", "--router-set", "k"], "NAME=NUMBER"),
        (["--router-kind", "knn", "--epochs", 3], "a setting of the router kind knn"),
        (["--router-kind", "knn", "--beta", 0.3], "no label settings for the router kind knn"),
        (["--router-kind", "mf", "--tagger", "fleet"], "no label settings for the router kind mf"),
        (["--epochs", 0], "epochs as a whole number of at least 1"),
    ],
)
def test_distill_with_wrong_settings_of_the_router_is_exit_2(refused, scores, tmp_path, arguments, message):
    assert message in refused(2, "distill", "--scores", scores, "--out", tmp_path / "router", *arguments)
    assert not (tmp_path / "router").exists()


def test_distill_from_a_wrong_score_file_is_exit_2(zooter, tmp_path, tiny_fleet):
    wrong = write_lines(tmp_path / "scores.jsonl", [{"query": "q", "scores": {"a": 1, "b": "2"}}])
    code, _, err = zooter("distill", "--scores", wrong, "--out", tmp_path / "router", fleet=None)
    assert code == 2
    assert f"{wrong}, line 1" in err
    assert not (tmp_path / "router").exists()


def test_score_responses_that_exist(zooter, tmp_path):
    lines = [{"id": str(n), "query": SEA, "responses": {"x": "wide", "y": f"blue {n}"}} for n in range(3)]
    source = write_lines(tmp_path / "responses.jsonl", lines)
    code, out, err = zooter("score", "--responses", source, "--out", tmp_path / "scores.jsonl")
    assert (code, out) == (0, "")
    assert "3 lines in" in err
    assert [list(line["scores"]) for line in records(tmp_path / "scores.jsonl")] == [["x", "y"]] * 3


def test_score_of_wrong_responses_is_exit_2(refused, tmp_path):
    wrong = write_lines(tmp_path / "responses.jsonl", [{"query": SEA, "responses": {"x": 5}}])
    message = refused(2, "score", "--responses", wrong, "--out", tmp_path / "out.jsonl")
    assert '"responses" as an object of texts' in message


def test_several_samples_a_candidate(zooter, queries, tmp_path):
    code, _, _ = zooter("collect", "--queries", queries, "--run", tmp_path / "run", "--samples", 2)
    assert code == 0
    found = records(tmp_path / "run" / "responses.jsonl")
    assert {(r["id"], r["candidate"], r["sample"]) for r in found} == {
        (f"q{n}", name, sample) for n in range(12) for name in POOL for sample in (0, 1)
    }
    assert zooter("score", "--run", tmp_path / "run")[0] == 0
    for line in records(tmp_path / "run" / "rewards.jsonl"):
        for name in POOL:
            assert line["rewards"][name] == pytest.approx(sum(line["samples"][name]) / 2, abs=1e-5)


def test_no_sample_is_exit_2(refused, queries, tmp_path):
    assert "--samples 1" in refused(2, "collect", "--queries", queries, "--run", tmp_path / "run", "--samples", 0)


# extend


@pytest.fixture(scope="module")
def wide(tmp_path_factory) -> Path:
    """Scores of the tiny fleet's candidates and of one more."""
    lines = [
        {"query": text, "scores": {"new": n % 4, "two": n % 3, "base": n % 5, "one": 1.5}, "tags": ["t"]}
        for n, text in enumerate(tiny.QUERIES)
    ]
    return write_lines(tmp_path_factory.mktemp("wide") / "scores.jsonl", lines)


def test_extend_json(zooter, tiny_fleet, wide, tmp_path):
    call = [
        "extend",
        "--router",
        tiny_fleet / "router",
        "--scores",
        wide,
        "--candidate",
        "new",
        "--out",
        tmp_path / "r",
    ]
    code, out, _ = zooter(*call, "--curve", "20,30", "--beta", 0.2, "--json", fleet=None)
    shape = json.loads(out)
    assert code == 0
    assert (shape["candidates"], shape["added"], shape["n"], shape["kind"]) == ([*POOL, "new"], "new", 40, "zooter")
    assert shape["labels"] == {"beta": 0.2, "tau": 0.3, "normalise": "spread"}
    assert shape["temperature"] > 0
    assert [row["n"] for row in shape["curve"]["rows"]] == [20, 30]
    assert json.loads((tmp_path / "r" / "report.json").read_text()) == shape
    assert zooter("evaluate", "--router", tmp_path / "r", "--scores", wide, "--json", fleet=None)[0] == 0


def test_extend_table_and_back(zooter, tiny_fleet, wide, tmp_path):
    wider, back = tmp_path / "wider", tmp_path / "back"
    call = ["extend", "--router", tiny_fleet / "router", "--scores", wide, "--candidate", "new", "--out", wider]
    code, out, err = zooter(*call, "--curve", "20", fleet=None)
    assert code == 0
    assert all(word in out for word in ("new added", "from scratch", "the old router", "oracle"))
    assert "does not say how its labels were made" in err
    assert "new from 40 queries" in err
    code, out, err = zooter("extend", "--router", wider, "--without", "new", "--out", back, fleet=None)
    assert (code, out) == (0, "")
    assert "A router for base, one, two is in" in err
    assert (back / "model.safetensors").read_bytes() == (tiny_fleet / "router" / "model.safetensors").read_bytes()
    code, out, _ = zooter("extend", "--router", wider, "--without", "base", "--out", back, "--json", fleet=None)
    assert json.loads(out) == {"router": str(back), "candidates": ["one", "two", "new"], "removed": "base"}


def test_extend_takes_the_label_settings_of_the_router(zooter, scores, wide, tmp_path, tiny_fleet):
    call = ["distill", "--scores", scores, "--encoder", tiny_fleet / "encoder", "--epochs", 1, "--tau", 0.7]
    assert zooter(*call, "--out", tmp_path / "router")[0] == 0
    call = [
        "extend",
        "--router",
        tmp_path / "router",
        "--scores",
        wide,
        "--candidate",
        "new",
        "--out",
        tmp_path / "wide",
    ]
    code, out, err = zooter(*call, "--json", fleet=None)
    assert (code, "does not say" in err) == (0, False)
    assert json.loads(out)["labels"] == {"beta": 0.0, "tau": 0.7, "normalise": "spread"}
    assert json.loads((tmp_path / "wide" / "config.json").read_text())["labels"]["tau"] == 0.7


def test_a_runs_router_knows_its_label_settings(whole):
    assert json.loads((whole / "router" / "config.json").read_text())["labels"] == {
        "beta": 0.3, "tau": 1.0, "normalise": "none"
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["knn", "mf"])
def test_extend_another_kind(zooter, refused, scores, wide, tmp_path, tiny_fleet, kind):
    router, encoder = tmp_path / "router", tiny_fleet / "encoder"
    assert zooter("distill", "--scores", scores, "--out", router, "--encoder", encoder, "--router-kind", kind)[0] == 0
    call = ["extend", "--router", router, "--scores", wide, "--candidate", "new", "--out", tmp_path / "wide"]
    assert "no label settings for the router kind" in refused(2, *call, "--beta", 0.3, fleet=None)
    if kind == "knn":
        code, out, _ = zooter(*call, "--json", fleet=None)
        assert (code, json.loads(out)["labels"], json.loads(out)["penalty"]) == (0, None, None)
    else:
        assert "a router of a kind that can be extended" in refused(2, *call, fleet=None)
        assert not (tmp_path / "wide").exists()


@pytest.mark.parametrize(
    ("change_of", "named"),
    [
        (["--candidate", "base"], "a candidate that the router does not have"),
        (["--candidate", "nwe"], 'Did you mean "new"?'),
        (["--candidate", "new", "--without", "base"], "--without NAME"),
        (["--candidate", "new", "--curve", "50"], "--curve as numbers from 20 to 32"),
        (["--candidate", "new", "--curve", "many"], "--curve as numbers"),
        (["--candidate", "new", "--tau", "0"], "a temperature tau > 0"),
        ([], "--candidate NAME with --scores"),
    ],
)
def test_extend_of_a_wrong_call_is_exit_2(refused, tiny_fleet, wide, tmp_path, change_of, named):
    call = ["extend", "--router", tiny_fleet / "router", "--scores", wide, "--out", tmp_path / "r", *change_of]
    assert named in refused(2, *call, fleet=None)
    assert not (tmp_path / "r").exists()


def test_extend_keeps_the_old_router(refused, tiny_fleet):
    router = tiny_fleet / "router"
    assert "another folder" in refused(2, "extend", "--router", router, "--without", "one", "--out", router, fleet=None)


def test_extend_with_files_that_lack_an_old_candidate_is_exit_2(refused, tiny_fleet, tmp_path):
    lines = [{"query": text, "scores": {"new": 1, "two": 0, "one": 2}} for text in tiny.QUERIES]
    narrow = write_lines(tmp_path / "narrow.jsonl", lines)
    call = [
        "extend",
        "--router",
        tiny_fleet / "router",
        "--scores",
        narrow,
        "--candidate",
        "new",
        "--out",
        tmp_path / "r",
    ]
    assert "none of base" in refused(2, *call, fleet=None)


# sweep


def test_sweep_json_and_table(zooter, scores):
    call = ["sweep", "--scores", scores, "--beta", "0,1", "--folds", 2, "--seeds", 1, "--tagger", "given"]
    code, out, _ = zooter(*call, "--json")
    assert code == 0
    figures = json.loads(out)
    assert [row["beta"] for row in figures["rows"]] == [0.0, 1.0]
    code, out, _ = zooter(*call)
    assert code == 0
    assert "beta" in out


def test_sweep_of_tau_with_a_plot(zooter, scores, tmp_path):
    plot = tmp_path / "sweep.html"
    call = ["sweep", "--scores", scores, "--beta", "0.3", "--tau", "0.1,1", "--folds", 2, "--seeds", 1, "--plot", plot]
    code, out, _ = zooter(*call, "--json")
    assert code == 0
    assert [row["tau"] for row in json.loads(out)["rows"]] == [0.1, 1.0]
    page = plot.read_text(encoding="utf-8")
    assert "share of the plain label" in page
    assert "cdn." not in page.split("<body>")[0]


def test_sweep_leaves_its_figures_in_a_file(zooter, scores, tmp_path):
    out_file = tmp_path / "new" / "sweep.json"
    call = ["sweep", "--scores", scores, "--beta", "0,1", "--folds", 2, "--seeds", 1, "--out", out_file]
    code, out, _ = zooter(*call, "--json")
    assert code == 0
    assert json.loads(out_file.read_text()) == json.loads(out)
    assert [path.name for path in out_file.parent.iterdir()] == ["sweep.json"]  # nothing half written beside it


def test_a_sweep_that_could_not_be_written_is_refused_before_the_work(refused, scores, tmp_path):
    assert "is a folder" in refused(2, "sweep", "--scores", scores, "--out", tmp_path)
    (tmp_path / "file").write_text("")
    place = tmp_path / "file" / "sweep.json"
    assert f"a place to write {place}" in refused(2, "sweep", "--scores", scores, "--out", place)


def test_a_plot_of_another_kind_is_exit_2(refused, scores, tmp_path):
    call = ["sweep", "--scores", scores, "--beta", "0.3", "--folds", 2, "--seeds", 1, "--plot", tmp_path / "sweep.png"]
    assert "ends in .html" in refused(2, *call)


@pytest.mark.parametrize("betas", ["2", "0,-1", "much", ""])
def test_sweep_of_impossible_betas_is_exit_2(refused, scores, betas):
    assert "beta" in refused(2, "sweep", "--scores", scores, "--beta", betas)


@pytest.fixture
def comparing(fleet_copy) -> Path:
    """The tiny fleet with a tiny PairRM for a reward model."""
    import checkpoints

    checkpoints.save_pairrm(fleet_copy / "pairrm")
    path = fleet_copy / "fleet.toml"
    old = '[reward]\nkind = "scalar"\nmodel = "reward"\nmax_tokens = 128\n'
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, '[reward]\nkind = "pairwise"\nmodel = "pairrm"\n'))
    return fleet_copy


def test_check_says_what_comparing_costs(zooter, comparing):
    code, out, _ = zooter("check", "--json", fleet=comparing)
    row = next(part for part in json.loads(out)["parts"] if part["part"] == "reward model")
    assert (code, row["ok"], row["name"]) == (0, True, "pairwise")
    assert row["found"].endswith("; 6 comparisons a query of 3 responses")


def test_compare_with_a_comparing_reward_model(zooter, comparing):
    code, out, _ = zooter("compare", SEA, "--json", fleet=comparing)
    found = json.loads(out)["responses"]
    assert code == 0
    assert [item["rank"] for item in found] == [1, 2, 3]
    assert sum(item["reward"] for item in found) == pytest.approx(0, abs=1e-4)


def test_run_with_a_comparing_reward_model(zooter, comparing, queries, tmp_path):
    code, _, err = zooter("run", "--queries", queries, "--out", tmp_path / "run", "--samples", 2, fleet=comparing)
    assert code == 0
    assert "6 responses a query make 30 comparisons" in err
    for record in records(tmp_path / "run" / "rewards.jsonl"):
        assert sum(record["rewards"].values()) == pytest.approx(0, abs=1e-4)


class NoNumber:
    """A reward model that has no number for one text."""

    def __init__(self, *texts):
        self.texts = texts

    def score(self, pairs):
        return [float("nan") if text in self.texts or not self.texts else float(len(text)) for _, text in pairs]


def test_score_names_the_queries_that_it_sets_aside(zooter, tmp_path, monkeypatch):
    monkeypatch.setattr("zooter_core.ensemble.Ensemble.reward_model", NoNumber("3 3"))
    lines = [{"id": f"r{n}", "query": SEA, "responses": {"x": f"{n} {n}", "y": "[bold]no"}} for n in range(5)]
    source = write_lines(tmp_path / "responses.jsonl", lines)
    code, out, err = zooter("score", "--responses", source, "--out", tmp_path / "scores.jsonl")
    assert (code, out) == (0, "")
    assert "4 lines in" in err
    assert "1 query is set aside, without rewards:" in err
    assert "r3: the reward is nan" in err
    assert [line["id"] for line in records(tmp_path / "scores.jsonl")] == ["r0", "r1", "r2", "r4"]


def test_compare_shows_the_responses_where_there_is_no_reward(zooter, monkeypatch):
    monkeypatch.setattr("zooter_core.ensemble.Ensemble.reward_model", NoNumber())
    code, out, err = zooter("compare", SEA, "--json")
    found = json.loads(out)["responses"]
    assert code == 1
    assert [(item["rank"], item["reward"]) for item in found] == [(None, None)] * 3
    assert all(item["text"] for item in found)
    assert "a reward for the responses" in err
    assert "no reward" in zooter("compare", SEA)[1]


def test_evaluate_with_a_judge_that_has_no_number_for_some(zooter, tiny_fleet, scores, answered, monkeypatch):
    monkeypatch.setattr(
        "zooter_core.ensemble.Ensemble.reward_model", NoNumber(f"one says {records(answered)[0]['query']}")
    )
    call = [
        "evaluate",
        "--router",
        tiny_fleet / "router",
        "--scores",
        answered,
        "--select",
        "--judge-fleet",
        tiny_fleet,
    ]
    code, out, err = zooter(*call, "--json", fleet=None)
    assert code == 0
    assert "1 query is set aside" in err
    assert json.loads(out)["selection"]["judge"]
