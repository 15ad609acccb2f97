"""Metrics, readiness, and loading the fleet anew while requests are being answered, also when the learner wants it."""

from __future__ import annotations

import shutil
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from prometheus_client.parser import text_string_to_metric_families

from support.command_files import replace_text
from support.patience import wait_until
from support.running_endpoint import METADATA, bearer, running
from zooter_core.backends.residency import Residency
from zooter_core.config.edit import set_table
from zooter_core.config.fleet import load_fleet
from zooter_core.serve import server
from zooter_core.serve.server import ServeSettings


def figures(endpoint) -> dict[tuple, float]:
    """The samples by name and labels."""
    families = text_string_to_metric_families(endpoint.client.get("/metrics").text)
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value for family in families for sample in family.samples
    }


def test_metrics_count_what_happened(serve):
    endpoint = serve("http-503", "good", extra="usd_per_million_tokens = 1.0\n")
    bad, good = endpoint.order
    endpoint.chat()
    endpoint.chat(model=good, stream=True)
    endpoint.client.post("/v1/chat/completions", content=b"{")
    for _ in range(3):
        endpoint.next_exchange()
    metrics = figures(endpoint)
    assert metrics["zooter_requests_total", "/v1/chat/completions", "200"] == 2
    assert metrics["zooter_requests_total", "/v1/chat/completions", "400"] == 1
    assert metrics["zooter_choices_total", good, "router"] == 1
    assert metrics["zooter_choices_total", good, "named"] == 1
    assert metrics["zooter_fallbacks_total", bad] == 1
    assert metrics["zooter_errors_total", "invalid_json"] == 1
    assert metrics["zooter_routing_seconds_count",] == 2
    assert metrics["zooter_first_token_seconds_count", good] == metrics["zooter_request_seconds_count", good] == 2
    assert metrics["zooter_tokens_total", "answer", good] > 0
    assert metrics["zooter_running_requests",] == metrics["zooter_queued_requests",] == 0
    assert not [name for name, *_ in metrics if name.endswith("_created")]


def test_a_fleet_is_loaded_anew_without_losing_a_request(serve, scripted, fleet_copy):
    endpoint = serve("hang-first")
    before = endpoint.server.gateway
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(endpoint.chat)
        scripted.wait_for("hang-first", 1)
        replace_text(fleet_copy / "fleet.toml", 'model = "hang-first"', 'model = "good"')
        response = endpoint.client.post("/admin/reload")
        assert response.json() == {"status": "reloaded", "fleet": "far", "candidates": ["chat"]}
        assert endpoint.chat().status_code == 200
        assert endpoint.server.gateway is not before
        assert not before.closed  # an answer still comes through it
        scripted.closing.set()
        running.result()
    while not before.closed:
        endpoint.next_exchange()


@pytest.mark.parametrize(
    ("old", "new"),
    [('name = "chat"', "name = 7"), ('path = "router"', 'path = "nowhere"'), ("retries = 0", 'api_key_env = "ABSENT"')],
)
def test_a_fleet_that_does_not_load_leaves_the_old_one(serve, fleet_copy, old, new):
    endpoint = serve("good")
    before = endpoint.server.gateway
    replace_text(fleet_copy / "fleet.toml", old, new)
    response = endpoint.client.post("/admin/reload")
    assert (response.status_code, response.json()["error"]["code"]) == (409, "fleet_not_loaded")
    assert "the old one stays" in response.json()["error"]["message"]
    assert endpoint.server.gateway is before
    assert endpoint.chat().status_code == 200


def test_conversations_survive_a_reload(serve, fleet_copy):
    endpoint = serve("good", "good")
    session = {"x-session-id": "one"}
    first = endpoint.chat(headers=session).json()["model"]
    endpoint.client.post("/admin/reload")
    query = {"role": "user", "content": "What is 2 + 3?"}
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    loop = [query, {"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": "1", "content": "5"}]
    answer = endpoint.chat(loop, headers=session | METADATA).json()
    assert (answer["model"], answer["zooter"]["reason"]) == (first, "tool_loop")


def test_a_router_that_fails_is_a_500_and_the_endpoint_not_ready(serve):
    endpoint = serve("good")
    router, route = endpoint.server.gateway.router, endpoint.server.gateway.router._route
    router._route = lambda conversations: [][1]
    conversations = {"conversations": [[{"role": "user", "content": "x"}]] * 3}
    for response in (endpoint.chat(), endpoint.client.post("/v1/route", json=conversations)):
        assert (response.status_code, response.json()["error"]["code"]) == (500, "router_failed")
    ready = endpoint.client.get("/ready")
    assert (ready.status_code, ready.json()["status"]) == (503, "unavailable")
    assert ready.json()["reason"] == "The router cannot route: it failed (IndexError)."
    router._route = route
    assert endpoint.client.get("/ready").status_code == 200


def test_operations_with_keys(serve, tmp_path):
    file = tmp_path / "keys.json"
    admin, other = bearer(file, "admin", admin=True), bearer(file, "other")
    endpoint = serve("good", options={"keys": file})
    assert endpoint.client.get("/ready").json() == {"status": "ready"}
    assert endpoint.client.get("/ready", headers=admin).json()["fleet"] == "far"
    assert endpoint.client.get("/metrics").status_code == 401
    assert endpoint.client.get("/metrics", headers=admin).status_code == 200
    assert endpoint.client.post("/admin/reload").status_code == 401
    refused = endpoint.client.post("/admin/reload", headers=other)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "not_admin")
    assert endpoint.client.post("/admin/reload", headers=admin).status_code == 200


# An endpoint that keeps traffic takes the router that the learner promotes, by itself.


def test_a_promoted_router_is_taken_without_a_reload_and_no_language_model_loaded_again(
    fleet_copy, tmp_path, monkeypatch
):
    loads, load = [], Residency._load

    def noted(self, loader):
        loads.append(loader.candidate.name)
        return load(self, loader)

    monkeypatch.setattr(Residency, "_load", noted)
    monkeypatch.setattr(server, "FOLLOW_SECONDS", 0.1)
    with running(ServeSettings(load_fleet(fleet_copy), port=0, data=tmp_path / "data", learn=True)) as endpoint:
        before = endpoint.server.gateway
        wait_until(lambda: len(before.ensemble.loads) == len(before.fleet.pool))
        count = len(loads)
        assert count
        shutil.copytree(fleet_copy / "router", fleet_copy / "routers" / "0001")
        set_table(fleet_copy, "router", {"path": "routers/0001"})
        wait_until(lambda: before.closed)
        assert endpoint.server.gateway.fleet.router.path == str(fleet_copy / "routers" / "0001")
        for model in ("base", "one", "two"):
            assert endpoint.chat(model=model, max_tokens=2).status_code == 200
        assert len(loads) == count


def test_other_changes_wait_for_a_reload_and_a_broken_file_changes_nothing(serve, fleet_copy, monkeypatch):
    monkeypatch.setattr(server, "FOLLOW_SECONDS", 0.02)
    endpoint = serve("good", options={"learn": True})
    before = endpoint.server.gateway
    (fleet_copy / "fleet.toml").write_text((fleet_copy / "fleet.toml").read_text() + "\n# a note\n")
    time.sleep(0.2)
    assert endpoint.server.gateway is before
    replace_text(fleet_copy / "fleet.toml", "[router]", "[router")
    time.sleep(0.2)
    assert endpoint.server.gateway is before
    assert endpoint.chat().status_code == 200
