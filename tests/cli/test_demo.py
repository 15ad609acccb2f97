from __future__ import annotations

import os
import runpy
import signal
import socket
import subprocess
import sys
import urllib.request
from contextlib import suppress

import pytest

from support.patience import PATIENCE, wait_until
from support.ports import free_port


@pytest.fixture
def servers(monkeypatch):
    """The options and environments of the web server, which does not start."""
    calls: list[tuple[list[str], dict[str, str]]] = []
    monkeypatch.setattr(sys, "argv", sys.argv)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.setattr(runpy, "run_module", lambda name, run_name: calls.append((sys.argv[1:], dict(os.environ))))
    return calls


def test_the_server_gets_the_fleet(zooter, servers, tiny_fleet, monkeypatch):
    monkeypatch.delenv("STREAMLIT_SERVER_ADDRESS", raising=False)
    port = free_port()
    code, _, err = zooter("demo", "--port", port, "--no-browser")
    ((options, environment),) = servers
    assert code == 0
    assert options == ["--server.port", str(port), "--server.headless", "true", "--", "--manage", "*"]
    assert environment["ZOOTER_FLEET"] == str(tiny_fleet)
    assert "STREAMLIT_SERVER_ADDRESS" not in environment
    assert f"http://localhost:{port}" in err
    assert "Other machines can also reach the demo" not in err


def test_the_server_gets_hosts_sites_and_address(zooter, servers, monkeypatch):
    monkeypatch.setenv("ZOOTER_ALLOWED_ORIGIN", "http://Localhost:3000/")
    call = ("--allowed-host", "Demo.Example.org.", "--allowed-host", "[::2]", "--host", "127.0.0.1")
    assert zooter("demo", "--port", free_port(), *call)[0] == 0
    ((_, environment),) = servers
    assert environment["ZOOTER_ALLOWED_HOST"] == "demo.example.org ::2"
    assert environment["ZOOTER_ALLOWED_ORIGIN"] == "http://localhost:3000"
    assert environment["STREAMLIT_SERVER_ADDRESS"] == "127.0.0.1"


def answers(address):
    with suppress(OSError), urllib.request.urlopen(f"{address}/_stcore/health", timeout=PATIENCE):
        return True
    return False


@pytest.mark.slow
def test_from_any_folder_it_prints_its_address_alone(tmp_path):
    port = free_port()
    address = f"http://localhost:{port}"
    call = [sys.executable, "-m", "zooter_core.cli", "demo", "--no-browser", "--port", str(port)]
    with subprocess.Popen(call, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        wait_until(lambda: answers(address))
        process.send_signal(signal.SIGINT)
        lines = process.communicate(timeout=PATIENCE)[0].splitlines()
    assert lines == [f"The demo of the fleet embedded is at {address} (Ctrl-C stops it)."]


def test_a_busy_port_is_exit_2(refused, servers):
    with socket.create_server(("localhost", 0)) as busy:
        port = busy.getsockname()[1]
        message = refused(2, "demo", "--no-browser", "--port", port)
    assert f"port {port} to be free" in message
    assert "such as --port" in message
    assert not servers


@pytest.mark.parametrize(
    ("option", "value", "part"),
    [
        ("--allowed-host", "http://demo.example.org", "for --allowed-host"),
        ("--allowed-origin", "www.example.org", "for --allowed-origin"),
        ("--manage", "models.example.org:99999", "a host, or a host and a port, for --manage"),
        ("--host", "192.0.2.1", "192.0.2.1"),
    ],
)
def test_impossible_values_are_exit_2(refused, servers, option, value, part):
    assert part in refused(2, "demo", f"{option}={value}")
    assert not servers


@pytest.mark.parametrize("more", [(), ("--manage", "models.example.org", "[::1]:9000")])
def test_on_an_open_address_models_change_only_by_leave(zooter, servers, more):
    code, _, err = zooter("demo", "--no-browser", "--port", free_port(), "--host", "0.0.0.0", *more)
    ((options, environment),) = servers
    assert (code, environment["STREAMLIT_SERVER_ADDRESS"]) == (0, "0.0.0.0")
    assert "Other machines can also reach the demo" in err
    assert options[4:] == (["--", *more] if more else [])
