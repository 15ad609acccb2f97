"""`zooter serve keys`, and when `zooter serve` asks for keys."""

from __future__ import annotations

import os
import socket

import pytest

from zooter_core.serve.keys import KeyRing


@pytest.fixture
def file(tmp_path):
    return tmp_path / "keys.json"


def test_a_key_is_shown_once(zooter, file):
    code, out, err = zooter("serve", "keys", "add", "phone", "--models", "one", "two", "--keys", file, fleet=None)
    assert code == 0
    key = KeyRing(file).find(out.strip())
    assert key is not None
    assert (key.name, key.models, key.admin) == ("phone", ("one", "two"), False)
    assert out.strip() not in err
    code, out, _ = zooter("serve", "keys", "list", "--keys", file, fleet=None)
    assert "phone" in out
    assert "zk-" not in out
    assert zooter("serve", "keys", "remove", "phone", "--keys", file, fleet=None)[0] == 0
    assert "phone" not in zooter("serve", "keys", "list", "--keys", file, fleet=None)[1]


@pytest.mark.parametrize(
    ("call", "part"),
    [
        (("add",), "the name of the key to add"),
        (("remove", "phone"), "There are no keys"),
        (("add", "My Phone"), "lower-case"),
        (("show",), "show"),
    ],
)
def test_wrong_calls(refused, file, call, part):
    assert part in refused(2, "serve", "keys", *call, "--keys", file, fleet=None)


def test_another_address_needs_a_key(refused, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    message = refused(2, "serve", "--host", "0.0.0.0")
    assert "zooter serve keys add NAME" in message
    assert str(tmp_path / "zooter" / "keys.json") in message


def test_a_named_file_needs_a_key_on_localhost_too(refused, file):
    assert f"zooter serve keys add NAME --keys {file}" in refused(2, "serve", "--keys", file)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (("--certfile", "nowhere.pem"), "a certificate and its private key"),
        (("--keyfile", "key.pem"), "--certfile"),
        (("--proxy", "proxy.example.org"), "an IP address or a network for --proxy"),
        (("--proxy", "10.0.0.0/8"), "zooter serve keys add NAME"),
    ],
)
def test_what_cannot_be_served(refused, tmp_path, monkeypatch, options, part):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert part in refused(2, "serve", *options)


def test_what_is_no_listening_socket_is_refused(refused, tmp_path):
    for make in (lambda: socket.socket().detach(), lambda: os.open(tmp_path, os.O_RDONLY)):
        assert "a listening TCP socket" in refused(2, "serve", "--fd", make())
