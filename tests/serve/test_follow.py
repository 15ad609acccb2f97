"""An endpoint that keeps traffic takes the router that the learner promotes, by itself."""

from __future__ import annotations

import shutil
import time

from support.command_files import replace_text
from support.patience import PATIENCE, wait_until
from support.running_endpoint import running
from zooter_core.backends.residency import Residency
from zooter_core.config.edit import set_table
from zooter_core.config.fleet import load_fleet
from zooter_core.serve import server
from zooter_core.serve.server import ServeSettings


def test_a_promoted_router_is_taken_without_a_reload(serve, fleet_copy, monkeypatch):
    monkeypatch.setattr(server, "FOLLOW_SECONDS", 0.1)
    endpoint = serve("good", options={"learn": True})
    before = endpoint.server.gateway
    shutil.copytree(fleet_copy / "router", fleet_copy / "routers" / "0001")
    set_table(fleet_copy, "router", {"path": "routers/0001"})
    until = time.monotonic() + PATIENCE
    while endpoint.server.gateway is before and time.monotonic() < until:
        assert endpoint.chat().status_code == 200
    assert endpoint.server.gateway.fleet.router.path == str(fleet_copy / "routers" / "0001")
    assert endpoint.chat().status_code == 200


def test_a_promotion_loads_no_language_model_again(fleet_copy, tmp_path, monkeypatch):
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
        for model in ("base", "one", "two"):
            assert endpoint.chat(model=model, max_tokens=2).status_code == 200
        assert len(loads) == count


def test_a_router_that_does_not_load_is_tried_again(serve, fleet_copy, monkeypatch):
    """fleet.toml names it already and does not change again: a full disk or memory may be the reason."""
    monkeypatch.setattr(server, "FOLLOW_SECONDS", 0.05)
    monkeypatch.setattr(server, "AGAIN_SECONDS", 0.1)
    endpoint = serve("good", options={"learn": True})
    before = endpoint.server.gateway
    promoted = fleet_copy / "routers" / "0001"
    shutil.copytree(fleet_copy / "router", promoted)
    config = (promoted / "config.json").read_bytes()
    (promoted / "config.json").write_bytes(config[:10])
    set_table(fleet_copy, "router", {"path": "routers/0001"})
    time.sleep(0.5)
    assert endpoint.server.gateway is before
    assert endpoint.chat().status_code == 200
    (promoted / "config.json").write_bytes(config)
    wait_until(lambda: endpoint.server.gateway is not before)
    assert endpoint.server.gateway.fleet.router.path == str(promoted)


def test_other_changes_wait_for_a_reload_and_a_broken_file_changes_nothing(serve, fleet_copy, monkeypatch):
    monkeypatch.setattr(server, "FOLLOW_SECONDS", 0.05)
    endpoint = serve("good", options={"learn": True})
    before = endpoint.server.gateway
    (fleet_copy / "fleet.toml").write_text((fleet_copy / "fleet.toml").read_text() + "\n# a note\n")
    time.sleep(0.5)
    assert endpoint.server.gateway is before
    replace_text(fleet_copy / "fleet.toml", "[router]", "[router")
    time.sleep(0.5)
    assert endpoint.server.gateway is before
    assert endpoint.chat().status_code == 200
