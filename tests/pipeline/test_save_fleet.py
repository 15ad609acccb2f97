from __future__ import annotations

import json
import math
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from zooter_core.base.errors import WorkError, ZooterError
from zooter_core.base.records import Message
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.endpoint import EndpointConfig
from zooter_core.config.fleet import Fleet, GenerationConfig, fleet_toml, load_fleet
from zooter_core.config.labelling import JudgeConfig
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.pipeline import save_fleet as saving
from zooter_core.pipeline.save_fleet import named_folder, router_without_fleet, save_router


@pytest.fixture
def fleet(fleet_copy):
    return load_fleet(fleet_copy)


@pytest.fixture
def router(fleet_copy, tmp_path):
    folder = Path(shutil.copytree(fleet_copy / "router", tmp_path / "session" / "router-1"))
    (folder / "report.json").write_text('{"n": 1}')
    return folder


def save_fleet(fleet: Fleet, router: Path, name: str) -> Path:
    """A folder beside the fleet's."""
    place = named_folder(name, fleet.folder.parent)
    saving.save_fleet(fleet, router, place)
    return place


def test_the_new_fleet_works_and_shares_all_but_the_router(fleet, router):
    place = save_fleet(fleet, router, "my-fleet")
    assert place == fleet.folder.parent / "my-fleet"
    assert {entry.name for entry in place.iterdir()} == {"fleet.toml", "router", "report.json"}
    saved = load_fleet(place)
    assert saved.name == "my-fleet"
    assert (saved.candidates, saved.reward, saved.tagger) == (fleet.candidates, fleet.reward, fleet.tagger)
    assert saved.generation == fleet.generation
    assert saved.router.path == str(place / "router")
    assert Ensemble(saved).route([Message("user", "What is 7?")]).candidate in fleet.pool
    assert str(fleet.folder) not in (place / "fleet.toml").read_text()  # relative: both can be moved together
    assert {entry.name for entry in place.parent.iterdir()} == {fleet.folder.name, "session", "my-fleet"}


@pytest.mark.parametrize("name", ["", "../x", "/etc", "-x", "x.", "ä", "x\n", "x" * 65])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path, name):
    with pytest.raises(ZooterError, match="letters, digits and dashes"):
        named_folder(name, tmp_path)


def test_nothing_is_overwritten(fleet, router):
    before = (fleet.folder / "fleet.toml").read_text()
    place = save_fleet(fleet, router, "mine")
    (fleet.folder.parent / "link").symlink_to(place.parent / "nowhere", target_is_directory=True)
    for name in (fleet.folder.name, "mine", "link"):
        with pytest.raises(ZooterError, match="Choose another name"):
            save_fleet(fleet, router, name)
    assert (fleet.folder / "fleet.toml").read_text() == before
    assert not (place.parent / "nowhere").exists()


def test_a_router_for_another_pool_is_refused_and_can_be_saved_alone(fleet, router):
    config = json.loads((router / "config.json").read_text())
    (router / "config.json").write_text(json.dumps(config | {"candidates": ["a", "b", "c"]}))
    with pytest.raises(ZooterError, match="one for a, b, c"):
        save_fleet(fleet, router, "mine")
    assert not (fleet.folder.parent / "mine").exists()
    place = named_folder("mine", fleet.folder.parent)
    save_router(router, place)
    assert {entry.name for entry in place.iterdir()} == {"router", "report.json"}
    assert router_without_fleet(place) == ("a", "b", "c")
    assert router_without_fleet(fleet.folder) == router_without_fleet(place / "router") == ()


def test_a_failure_leaves_nothing(fleet, router, monkeypatch):
    monkeypatch.setattr(shutil, "copytree", lambda *_, **__: (_ for _ in ()).throw(OSError("No space left")))
    with pytest.raises(WorkError, match="No space left"):
        save_fleet(fleet, router, "mine")
    assert {entry.name for entry in fleet.folder.parent.iterdir()} == {fleet.folder.name, "session"}


def written(fleet: Fleet, name: str) -> Fleet:
    """A fleet as its fleet.toml in a folder beside it reads."""
    place = fleet.folder.parent / name
    (place / "router").mkdir(parents=True)
    (place / "fleet.toml").write_text(fleet_toml(fleet, name, place, "router"), encoding="utf-8")
    return load_fleet(place)


def test_odd_settings_survive(fleet):
    first, *others = fleet.candidates
    odd = 'a "quoted" \\ line\nand\ttab \x7f 杯子 🍎'
    first = replace(first, description=odd, prompt_template="{{ x }}", usd_per_million_tokens=0.25, calculator=True)
    generation = GenerationConfig(max_new_tokens=7, temperature=0.0)
    router = replace(fleet.router, unsure_above=0.4)
    changed = replace(fleet, candidates=(first, *others), generation=generation, router=router)
    saved = written(changed, "odd")
    assert saved.candidates == changed.candidates
    assert saved.generation == generation
    assert saved.router.unsure_above == math.inf  # it was tuned for the other router
    assert saved.router.runtime == fleet.router.runtime


def test_candidates_and_a_judge_behind_servers_come_along(fleet):
    """With names like paths, which stay as their servers know them, and every key of an endpoint changed."""
    every = EndpointConfig(
        "https://host:1/v1", "MY_KEY", first_token_seconds=2, gap_seconds=3, retries=4, parallel=5, rest_after=7,
        rest_seconds=8.5, extra_body={"top_k": 20},
    )  # fmt: skip
    plain = EndpointConfig("http://localhost:11434/v1")
    candidates = (
        CandidateConfig("a", "openai", "/srv/models/one", description="far", endpoint=every),
        CandidateConfig("b", "openai", "base", usd_per_million_tokens=0.5, endpoint=plain),
    )
    judge = CandidateConfig("judge", "openai", "/srv/judge", endpoint=plain)
    changed = replace(fleet, candidates=candidates, reward=JudgeConfig(judge=judge))
    saved = written(changed, "far")
    assert (saved.candidates, saved.reward, saved.tagger) == (candidates, changed.reward, fleet.tagger)
    assert saved.hash_part("candidates") == changed.hash_part("candidates")


def test_recorded_responses_are_found_from_the_new_fleet(fleet, tmp_path):
    file = tmp_path / "runs" / "scores.jsonl"
    file.parent.mkdir()
    file.write_text('{"query": "Why?", "scores": {"a": 1}, "responses": {"a": "So."}}\n')
    (fleet.folder / "fleet.toml").write_text(
        f'[[candidate]]\nname = "a"\nbackend = "recorded"\nmodel = "{os.path.relpath(file, fleet.folder)}"\n'
    )
    recorded = load_fleet(fleet.folder)
    saved = written(recorded, "replayed")
    assert str(tmp_path) not in (saved.folder / "fleet.toml").read_text()
    assert saved.candidates == recorded.candidates
    assert saved.candidates[0].model == str(file)
