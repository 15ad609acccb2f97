"""`zooter serve keys`, and when `zooter serve` asks for keys."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from support.invented_traffic import DAY, fill_week
from zooter_core.cli import serve
from zooter_core.config.fleet import Fleet
from zooter_core.config.labelling import RewardConfig
from zooter_core.learn.traffic import Traffic
from zooter_core.serve.keys import KeyRing


@pytest.fixture
def file(tmp_path):
    return tmp_path / "keys.json"


def test_a_key_is_shown_once(zooter, file):
    limits = ("--limit", "concurrent=4", "tokens-per-minute=100000", "--limit", "requests-per-minute=60")
    call = ("serve", "keys", "add", "phone", "--models", "one", "two", *limits, "--keys", file)
    code, out, err = zooter(*call, fleet=None)
    assert code == 0
    key = KeyRing(file).find(out.strip())
    assert (key.name, key.models, key.admin) == ("phone", ("one", "two"), False)
    assert (key.concurrent, key.requests_per_minute, key.tokens_per_minute) == (4, 60, 100_000)
    assert out.strip() not in err
    code, out, _ = zooter("serve", "keys", "list", "--keys", file, fleet=None)
    assert "phone" in out
    assert "zk-" not in out
    assert zooter("serve", "keys", "remove", "phone", "--keys", file, fleet=None)[0] == 0
    code, out, err = zooter("serve", "keys", "list", "--keys", file, fleet=None)
    assert (code, out) == (0, "")
    assert f"There are no keys in {file}" in err


@pytest.mark.parametrize(
    ("call", "part"),
    [
        (("add",), "the name of the key to add"),
        (("remove", "phone"), "There are no keys"),
        (("add", "My Phone"), "lower-case"),
        (("add", "phone", "--limit", "tokens=9"), "requests-per-minute=60"),
        (("add", "phone", "--limit", "concurrent=many"), "but found concurrent=many"),
        (("add", "phone", "--limit", "concurrent=1", "concurrent=2"), "each once"),
        (("list", "--limit", "concurrent=4"), "no --limit with `zooter serve keys list`"),
    ],
)
def test_wrong_calls(refused, file, call, part):
    assert part in refused(2, "serve", "keys", *call, "--keys", file, fleet=None)


def test_with_learn_it_says_how_long_the_sample_takes(tmp_path):
    fleet = Fleet("mine", tmp_path, (), reward=RewardConfig(kind="embedded"))
    assert 'mode = "single" of a judge' in serve._outlook(replace(fleet, reward=None), tmp_path)
    text = serve._outlook(fleet, tmp_path)
    assert "The first figures need 30 requests that every model has answered, 5% of those that are routed" in text
    assert "about 15 hours at 1,000 requests a day. `zooter learn` asks" in text
    with Traffic.open(tmp_path) as traffic:
        fill_week(traffic, n=140, share=0.1, begin=time.time() - 7 * DAY)
    assert "at today's 20 requests a day" in serve._outlook(fleet, tmp_path)
    with Traffic.open(tmp_path / "other") as traffic:
        fill_week(traffic, n=1000, begin=time.time() - 6.9 * DAY)
    assert serve._outlook(fleet, tmp_path / "other") == "`zooter report` says what routing is worth."


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (("--host", "0.0.0.0"), "zooter serve keys add NAME"),
        (("--certfile", "nowhere.pem"), "a certificate and its private key"),
        (("--proxy", "proxy.example.org"), "an IP address or a network for --proxy"),
        (("--proxy", "10.0.0.0/8"), "zooter serve keys add NAME"),
        (("--keys", "none.json"), "zooter serve keys add NAME --keys none.json"),  # on localhost too
    ],
)
def test_what_cannot_be_served(refused, tmp_path, monkeypatch, options, part):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert part in refused(2, "serve", *options)
