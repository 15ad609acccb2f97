"""API keys: what the file holds, who gets in, and what a key may do."""

from __future__ import annotations

import json
import stat

import pytest

from support.running_endpoint import QUERY, bearer
from zooter_core.base.errors import ZooterError
from zooter_core.serve.access import NOT_FORWARDED
from zooter_core.serve.bodies import ChatRequest
from zooter_core.serve.keys import Key, KeyRing, add_key, read_keys, remove_key
from zooter_core.serve.storage import RequestIds

MESSAGES = [{"role": "user", "content": QUERY}]


@pytest.fixture
def file(tmp_path):
    return tmp_path / "settings" / "keys.json"


def key(name: str = "phone", **limits) -> Key:
    return Key(name, "", 0.0, **limits)


@pytest.mark.parametrize("name", ["phone", "team-a", "team_a", "ada.lovelace", "open-webui-2", "7"])
def test_the_file_is_private_and_holds_no_key(file, name):
    text = add_key(file, key(name))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    secret = text.removeprefix(f"zk-{name}-")
    assert len(secret) >= 43  # 256 bits
    assert secret not in file.read_text()
    assert KeyRing(file).find(text) == read_keys(file)[name]


@pytest.mark.parametrize(
    "wrong", ["", "zk-", "zk-phone-", "zk-other-x", "x", "zk-phone-\udcff", "zk-phone-" + "A" * 43]
)
def test_another_text_is_no_key(file, wrong):
    add_key(file, key())
    assert KeyRing(file).find(wrong) is None


def test_changes_of_the_file_count_at_once_unless_it_breaks(file):
    text = add_key(file, key())
    ring = KeyRing(file)
    other = add_key(file, key("laptop"))
    assert ring.find(other)
    remove_key(file, "phone")
    assert ring.find(text) is None
    again = add_key(file, key())  # two keys of one name have nothing in common
    assert ring.find(again)
    assert ring.find(text) is None
    file.write_text("{")
    assert ring.find(again)
    file.unlink()
    assert ring.find(again) is None


UNKNOWN_LIMIT = {"name": "x", "digest": "", "created": 0, "requests": 9}


@pytest.mark.parametrize("content", ["{", "[]", '{"keys": [{"name": "x"}]}', json.dumps({"keys": [UNKNOWN_LIMIT]})])
def test_a_wrong_file_is_refused(file, content):
    file.parent.mkdir()
    file.write_text(content)
    with pytest.raises(ZooterError, match="a key file"):
        read_keys(file)


@pytest.mark.parametrize("name", ["", "Phone", "-a", "x" * 41, "a b", "taken"])
def test_a_name_that_is_not_allowed_or_taken(file, name):
    add_key(file, key("taken"))
    with pytest.raises(ZooterError, match=r"a name for the key|a key named taken already"):
        add_key(file, key(name))


def test_without_a_key_only_health_answers(serve, file, scripted):
    mine = bearer(file)
    endpoint = serve("good", options={"keys": file})
    for response in (
        endpoint.chat(),
        endpoint.chat(headers={"authorization": "Bearer zk-phone-wrong"}),
        endpoint.client.get("/v1/models"),
        endpoint.client.get("/openapi.json"),
        endpoint.client.get("/nothing"),
    ):
        assert (response.status_code, response.json()["error"]["code"]) == (401, "invalid_api_key")
    assert endpoint.client.get("/health").status_code == 200
    assert scripted.bodies == []
    description = endpoint.client.get("/openapi.json", headers=mine).json()
    assert description["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    for headers in (mine, {"api-key": mine["authorization"].removeprefix("Bearer ")}):
        assert endpoint.chat(headers=headers).status_code == 200
        assert endpoint.next_exchange().sender.key == "phone"


def test_a_key_that_may_use_some_candidates(serve, file, scripted):
    call = {"headers": bearer(file, models=("math", "no_longer_there"))}
    gone = {"headers": bearer(file, "laptop", models=("no_longer_there",))}
    endpoint = serve("good", "good", options={"keys": file})
    assert endpoint.chat(**call).json()["model"] == "math"
    assert endpoint.chat(model="math", **call).json()["model"] == "math"
    assert endpoint.chat(models=["math", "chat"], **call).json()["model"] == "math"
    assert all("models" not in body for body in scripted.bodies)
    for body in ({"model": "chat", **call}, {"models": ["chat"], **call}, gone):
        response = endpoint.chat(**body)
        assert (response.status_code, response.json()["error"]["code"]) == (403, "model_not_allowed")
    assert "no_longer_there, which the fleet does not have" in response.json()["error"]["message"]
    names = [entry["id"] for entry in endpoint.client.get("/v1/models", **call).json()["data"]]
    assert names == ["auto", "auto-best", "rmr", "math"]
    question = {"messages": [{"role": "user", "content": QUERY}]}
    assert endpoint.client.post("/v1/route", json=question, **call).json()["candidate"] == "math"
    assert endpoint.client.post("/v1/route", json={"models": 7}, **call).status_code == 400
    assert endpoint.client.post("/v1/rerank", json={"query": QUERY, "documents": ["five"]}, **call).status_code == 200


@pytest.mark.parametrize(
    ("proxies", "client"), [(("127.0.0.1",), "203.0.113.7"), (("10.0.0.0/8",), "127.0.0.1"), ((), "127.0.0.1")]
)
def test_only_a_named_proxy_is_believed(serve, file, caplog, proxies, client):
    add_key(file, key())
    endpoint = serve("good", options={"keys": file, "proxies": proxies})
    endpoint.client.get("/v1/models", headers={"x-forwarded-for": "203.0.113.7"})
    assert f"refused from {client}:" in caplog.text


def test_fields_by_which_a_server_would_route_are_not_forwarded_for_a_key_of_some_candidates(serve, file, scripted):
    limited, every = bearer(file, "a", models=("math",)), bearer(file, "b")
    endpoint = serve("every-api", "every-api", options={"keys": file})
    routing = dict.fromkeys(NOT_FORWARDED - {"models"}, "x") | {"models": ["math"], "seed": 7}

    def post(path, headers, **body):
        return endpoint.client.post(f"/v1/{path}", headers=headers, json=routing | body)

    for model in ("math", "auto"):
        assert post("chat/completions", limited, messages=MESSAGES, model=model).status_code == 200
    assert post("responses", limited, model="math", input=QUERY).status_code == 200
    assert post("chat/completions", every, messages=MESSAGES, model="math").status_code == 200
    *narrowed, full = scripted.bodies
    assert [set(body) & {"seed", *NOT_FORWARDED} for body in narrowed] == [{"seed"}] * 3
    assert set(full) >= NOT_FORWARDED


def test_a_conversation_belongs_to_its_key(serve, file, scripted):
    """The first message, a given id, and the id of a response find nothing of another key."""
    mine, other = (bearer(file, name) for name in ("mine", "other"))
    endpoint = serve("every-api", "every-api", options={"keys": file})
    first, second = endpoint.order
    loop = [*MESSAGES, {"role": "assistant", "content": "x"}]  # the candidate goes on, whoever the router would choose
    for session in ({}, {"session_id": "guessed"}):
        for name, headers in (("mine", mine), ("other", other)):
            endpoint.server.gateway.sessions.of("mine").pin(
                ChatRequest({"messages": MESSAGES, **session}).session, second
            )
            body = {"messages": loop, **session}
            shown = endpoint.client.post("/v1/route", json=body, headers=headers).json()
            expected = (second, "tool_loop") if name == "mine" else (first, "router")
            assert (shown["candidate"], shown["reason"]) == expected
            assert endpoint.chat(loop, headers=headers, **session).json()["model"] == expected[0]
    items = {"model": second, "input": QUERY}
    begun = endpoint.client.post("/v1/responses", headers=mine, json=items).json()["id"]
    requests = len(scripted.bodies)
    for model in ("auto", second):
        body = {**items, "model": model, "previous_response_id": begun}
        refused = endpoint.client.post("/v1/responses", headers=other, json=body)
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "previous_response_not_found")
        assert len(scripted.bodies) == requests
    continued = endpoint.client.post("/v1/responses", headers=mine, json={**body, "model": "auto"})
    assert continued.headers["x-model-router-selected-model"] == second


def test_feedback_names_an_id_and_a_key_of_its_own(serve, file):
    mine, other = (bearer(file, name) for name in ("mine", "other"))
    endpoint = serve("good", options={"keys": file})
    request_id = endpoint.chat(headers=mine).headers["x-request-id"]

    def feedback(headers, name):
        body = {"request_id": name, "verdict": "good"}
        return endpoint.client.post("/v1/feedback", headers=headers, json=body)

    for headers, name in ((other, request_id), (mine, request_id[:-1] + "x"), (mine, "req-" + "0" * 48), (mine, "é")):
        response = feedback(headers, name)
        assert (response.status_code, response.json()["error"]["code"]) == (404, "request_not_found")
    assert feedback(mine, request_id).status_code == 200
    data = endpoint.server.settings.data
    (line,) = (data / "feedback.jsonl").read_text().splitlines()
    assert (json.loads(line)["request_id"], json.loads(line)["key"]) == (request_id, "mine")
    RequestIds(data).check(request_id, "mine")  # as after a restart, or at another replica
    assert stat.S_IMODE((data / "request-ids.key").stat().st_mode) == 0o600


def test_a_key_sees_its_own_figures(serve, file):
    mine, other, admin = bearer(file, "mine"), bearer(file, "other"), bearer(file, "admin", admin=True)
    endpoint = serve("good", options={"keys": file})
    for headers in (mine, mine, other):
        endpoint.chat(headers=headers)
        endpoint.next_exchange()
    counts = []
    for headers in (mine, other, admin):
        page = endpoint.client.get("/metrics", headers=headers).text
        counts.append([line.split()[-1] for line in page.splitlines() if line.startswith("zooter_requests_total")])
        assert ("zooter_breaker" in page) == (headers is admin)
    assert counts == [["2.0"], ["1.0"], ["3.0"]]
