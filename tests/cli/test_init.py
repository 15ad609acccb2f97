"""`zooter init`: which models it takes, what it asks, and what is wrong."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from contextlib import suppress
from select import select

import pytest

from support.patience import PATIENCE
from zooter_core.base.paths import ROOT
from zooter_core.config.fleet import load_fleet
from zooter_core.fleet import discovery


@pytest.fixture(autouse=True)
def _nothing_else_runs(monkeypatch):
    monkeypatch.setattr(discovery, "usual_addresses", list)
    monkeypatch.setattr(discovery, "usual_folders", list)
    for variable in discovery.PROVIDERS:
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def server(scripted):
    scripted.models = ["small:1b", "big:70b"]
    return scripted


def test_all_models_of_a_server(zooter, server, tmp_path):
    folder = tmp_path / "my models"
    server.models += ["a name\x1b[2J"]
    code, out, err = zooter("init", "--pick", "all", "--out", folder, "--endpoint", server.url, fleet=None)
    assert code == 0
    assert load_fleet(folder).pool == ("small-1b", "big-70b")
    assert f"zooter demo --fleet '{folder}'" in out
    assert "big:70b" in err
    assert "skipped: a name" in err
    code, out, _ = zooter("init", "--pick", "all", "--out", folder, "--endpoint", server.url, fleet=None)
    assert code == 0
    assert "Already in the fleet: small-1b, big-70b." in out


def test_some_by_name(zooter, server, tmp_path):
    call = ("init", "--endpoint", server.url, "--pick", "big-70b", "--out", tmp_path / "a", "--json")
    code, out, _ = zooter(*call, fleet=None)
    assert code == 0
    assert json.loads(out)["candidates"] == ["big-70b"]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("--pick", "bgi-70b"), "big-70b"),
        ((), "--pick NAME"),
        (("--models", "nowhere"), "nowhere"),
        (("--endpoint", "ftp://x"), "http://localhost:8000/v1"),
    ],
)
def test_wrong_calls_leave_no_folder(refused, server, tmp_path, arguments, part):
    folder = tmp_path / "mine"
    assert part in refused(2, "init", "--out", folder, "--endpoint", server.url, *arguments, fleet=None)
    assert not folder.exists()


def test_nothing_to_find(refused, tmp_path):
    message = refused(2, "init", "--out", tmp_path / "a", "--endpoint", "http://127.0.0.1:1", fleet=None)
    assert "127.0.0.1:1" in message
    assert "--models DIR" in message


def test_a_long_list_elsewhere_is_not_taken_as_a_whole(zooter, server, tmp_path, monkeypatch):
    server.models = [f"m{number}" for number in range(30)]
    monkeypatch.setattr("zooter_core.cli.init.on_this_machine", lambda url: False)
    code, _, err = zooter("init", "--pick", "all", "--out", tmp_path / "a", "--endpoint", server.url, fleet=None)
    assert code == 2
    assert "--pick" in err


def test_a_providers_key_is_named_and_its_server_left_alone(zooter, server, tmp_path, monkeypatch):
    monkeypatch.setenv("GROQ_API_KEY", "secret-value")
    code, out, err = zooter("init", "--pick", "all", "--out", tmp_path / "a", "--endpoint", server.url, fleet=None)
    assert code == 0
    assert "GROQ_API_KEY is set" in err
    assert "secret-value" not in out + err + (tmp_path / "a" / "fleet.toml").read_text()


def test_a_key_for_a_server_is_named_in_the_fleet(zooter, server, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("BOX_KEY", "good-key")
    call = ("init", "--pick", "all", "--out", tmp_path / "a", "--endpoint", server.url, "--key-env", "BOX_KEY")
    assert zooter(*call, fleet=None)[0] == 0
    assert server.headers[0]["authorization"] == "Bearer good-key"
    first = load_fleet(tmp_path / "a").candidates[0].endpoint
    assert first.api_key_env == "BOX_KEY"


def test_a_key_in_place_of_its_variable_is_refused_and_written_nowhere(refused, server, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    server_and_key = ("--endpoint", "http://models.example", "--key-env", "sk-secret1")
    call = ("init", "--pick", "all", "--out", tmp_path / "a", *server_and_key)
    message = refused(2, *call, fleet=None)
    assert "--key-env" in message
    assert "sk-secret1" not in message
    assert not (tmp_path / "config").exists()


def test_the_arrow_keys_choose(server, tmp_path):
    """The second model is unmarked with the arrow key and the space bar; Enter takes the rest."""
    ours, theirs = pty.openpty()
    call = [sys.executable, "-m", "zooter_core.cli", "init", "--endpoint", server.url, "--out", str(tmp_path / "a")]
    home = {"HOME": str(tmp_path), "OLLAMA_HOST": "127.0.0.1:9", "TERM": "xterm"}
    process = subprocess.Popen(call, stdin=theirs, stdout=theirs, stderr=theirs, env=os.environ | home, cwd=ROOT)
    os.close(theirs)
    screen = b""
    try:
        while b"Enter takes" not in screen:
            assert select([ours], [], [], PATIENCE)[0], screen
            screen += os.read(ours, 4096)
        os.write(ours, b"\x1b[B \r")
        with suppress(OSError):  # the terminal is gone when the process is
            while part := os.read(ours, 4096):
                screen += part
        assert process.wait(PATIENCE) == 0, screen.decode(errors="replace")
    finally:
        process.kill()
        os.close(ours)
    assert load_fleet(tmp_path / "a").pool == ("small-1b",)
