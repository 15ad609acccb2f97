"""API keys: what the file holds, who gets in, and what a key may do."""

from __future__ import annotations

import json
import stat

import pytest

from support.running_endpoint import QUERY
from zooter_core.errors import ZooterError
from zooter_core.serve.keys import Key, KeyRing, add_key, read_keys, remove_key


@pytest.fixture
def file(tmp_path):
    return tmp_path / "settings" / "keys.json"


def key(name: str = "phone", **limits) -> Key:
    return Key(name, "", 0.0, **limits)


def bearer(text: str) -> dict[str, str]:
    return {"authorization": f"Bearer {text}"}


def test_the_file_is_private_and_holds_no_key(file):
    text = add_key(file, key())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    secret = text.removeprefix("zk-phone-")
    assert len(secret) >= 43  # 256 bits
    assert secret not in file.read_text()
    assert KeyRing(file).find(text) == read_keys(file)["phone"]


@pytest.mark.parametrize(
    "wrong", ["", "zk-", "zk-phone-", "zk-other-x", "x", "zk-phone-\udcff", "zk-phone-" + "A" * 43]
)
def test_another_text_is_no_key(file, wrong):
    add_key(file, key())
    assert KeyRing(file).find(wrong) is None


def test_keys_that_are_added_and_removed_count_at_once(file):
    text = add_key(file, key())
    ring = KeyRing(file)
    other = add_key(file, key("laptop"))
    assert ring.find(other)
    remove_key(file, "phone")
    assert ring.find(text) is None


def test_a_file_that_breaks_leaves_the_keys_as_they_were(file):
    text = add_key(file, key())
    ring = KeyRing(file)
    file.write_text("{")
    assert ring.find(text)
    file.unlink()
    assert ring.find(text) is None


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"keys": [{"name": "x"}]}',
        '{"keys": [{"name": "x", "digest": "", "created": 0, "concurrent": "9"}]}',
    ],
)
def test_a_wrong_file_is_refused(file, content):
    file.parent.mkdir()
    file.write_text(content)
    with pytest.raises(ZooterError, match="a key file"):
        read_keys(file)


@pytest.mark.parametrize("name", ["", "Phone", "a-b", "x" * 41, "a b"])
def test_a_name_that_is_not_allowed(file, name):
    with pytest.raises(ZooterError, match="a name for the key"):
        add_key(file, key(name))


def test_a_name_is_given_once(file):
    add_key(file, key())
    with pytest.raises(ZooterError, match="a key named phone already"):
        add_key(file, key())


def test_without_a_key_only_health_answers(serve, file, scripted):
    add_key(file, key())
    endpoint = serve("good", options={"keys": file})
    for response in (
        endpoint.chat(),
        endpoint.chat(headers=bearer("zk-phone-wrong")),
        endpoint.client.get("/v1/models"),
        endpoint.client.get("/openapi.json"),
        endpoint.client.get("/nothing"),
    ):
        assert (response.status_code, response.json()["error"]["code"]) == (401, "invalid_api_key")
    assert endpoint.client.get("/health").status_code == 200
    assert scripted.bodies == []


def test_a_key_opens_in_both_headers_and_is_named(serve, file):
    text = add_key(file, key())
    endpoint = serve("good", options={"keys": file})
    for headers in (bearer(text), {"api-key": text}):
        assert endpoint.chat(headers=headers).status_code == 200
        assert endpoint.next_exchange().key == "phone"


def test_a_key_that_may_use_some_candidates(serve, file, scripted):
    text = add_key(file, key(models=("math",)))
    endpoint = serve("good", "good", options={"keys": file})
    call = {"headers": bearer(text)}
    assert endpoint.chat(**call).json()["model"] == "math"
    assert endpoint.chat(model="math", **call).json()["model"] == "math"
    assert endpoint.chat(models=["math", "chat"], **call).json()["model"] == "math"
    assert all("models" not in body for body in scripted.bodies)
    for body in ({"model": "chat"}, {"models": ["chat"]}):
        response = endpoint.chat(**body, **call)
        assert (response.status_code, response.json()["error"]["code"]) == (403, "model_not_allowed")
    names = [entry["id"] for entry in endpoint.client.get("/v1/models", **call).json()["data"]]
    assert names == ["auto", "auto-best", "rmr", "math"]
    question = {"messages": [{"role": "user", "content": QUERY}]}
    assert endpoint.client.post("/v1/route", json=question, **call).json()["candidate"] == "math"
    assert endpoint.client.post("/v1/route", json={"models": 7}, **call).status_code == 400


def test_only_an_admin_key_reaches_admin_routes(serve, file):
    text = add_key(file, key())
    endpoint = serve("good", options={"keys": file})
    response = endpoint.client.post("/admin/nothing", headers=bearer(text))
    assert (response.status_code, response.json()["error"]["code"]) == (403, "not_admin")


def test_the_file_lists_no_digest_of_the_name_alone(file):
    """Two keys of one name have nothing in common."""
    first = add_key(file, key())
    digest = json.loads(file.read_text())["keys"][0]["digest"]
    remove_key(file, "phone")
    assert add_key(file, key()) != first
    assert json.loads(file.read_text())["keys"][0]["digest"] != digest


@pytest.mark.parametrize(
    ("proxies", "client"), [(("127.0.0.1",), "203.0.113.7"), (("10.0.0.0/8",), "127.0.0.1"), ((), "127.0.0.1")]
)
def test_only_a_named_proxy_is_believed(serve, file, caplog, proxies, client):
    add_key(file, key())
    endpoint = serve("good", options={"keys": file, "proxies": proxies})
    endpoint.client.get("/v1/models", headers={"x-forwarded-for": "203.0.113.7"})
    assert f"refused from {client}:" in caplog.text
