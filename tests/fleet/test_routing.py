"""Topics, router and tagger decide together, with one pass and one memory; a light fleet does without PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from zooter_core.base.records import Tag
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.fleet import load_fleet
from zooter_core.config.labelling import InstagConfig
from zooter_core.fleet import routing
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.fleet.routing import Routing
from zooter_core.router.encoder import BertEncoder, Encoders
from zooter_core.router.router import Router
from zooter_core.router.turns import CERTAIN

SEA = "What is the sea?"


class Unread:
    """An encoder whose vectors say nothing, so that no turn is small talk."""

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        return np.zeros((len(texts), 1), dtype=np.float32)

    embed_all = embed

    def sentence(self, vectors: np.ndarray) -> np.ndarray:
        return vectors


class Scripted:
    """A router that is as sure of `a` as `sure` says of a text, else undecided, and a tagger."""

    candidates, encoder = ("a", "b"), Unread()

    def __init__(self, sure: dict[str, float]) -> None:
        self.sure, self.computed, self.tagged = sure, list[list[str]](), list[list[str]]()

    def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        self.computed.append(list(texts))
        first = np.array([self.sure.get(text, 0.5) for text in texts])
        return np.stack([first, 1 - first], axis=1)

    def tag(self, texts: Sequence[str]) -> list[tuple[Tag, ...]]:
        self.tagged.append(list(texts))
        return [(Tag(text, 1.0),) for text in texts]


def test_a_decision_has_the_tags_and_probabilities_of_the_text_that_was_routed():
    """An unclear turn is routed alone if the router is certain of it, else with its topic; all in one batch."""
    script = Scripted({"Add 3": CERTAIN, "Add 4": CERTAIN - 0.01, SEA: 0.1})
    conversations = [[SEA, "Add 3"], [SEA, "Add 4"], [], [SEA]]
    decisions = Routing(script, script, ("b", "a"))(conversations)
    texts = ["Add 3", f"{SEA}\nAdd 4", "", SEA]
    assert [decision.query for decision in decisions] == texts
    assert [decision.tags for decision in decisions] == [(Tag(text, 1.0),) for text in texts]
    assert [decision.candidate for decision in decisions] == ["a", "b", "b", "b"]
    assert list(decisions[0].probabilities.items()) == [("b", 1 - CERTAIN), ("a", CERTAIN)]
    assert len(script.computed) == len(script.tagged) == 1


def test_a_text_is_computed_once_until_it_is_forgotten(monkeypatch):
    monkeypatch.setattr(routing, "MOST_REMEMBERED", 2)
    script = Scripted({"a?": 0.1, "b?": 0.2, "c?": 0.3})
    route = Routing(script, None, script.candidates)

    def first(*texts: str) -> list[float]:
        return [decision.probabilities["a"] for decision in route([[text] for text in texts])]

    assert first("a?", "b?", "a?") == [0.1, 0.2, 0.1]
    assert first("b?", "a?") == [0.2, 0.1]
    assert first("c?", "a?") == [0.3, 0.1]
    assert first("b?") == [0.2]
    assert script.computed == [["a?", "b?"], ["c?"], ["b?"]]


def test_router_and_tagger_share_one_pass(tiny_fleet, monkeypatch):
    ensemble, passes = Ensemble(load_fleet(tiny_fleet)), list[list[str]]()
    run = BertEncoder._pass
    ensemble.route("Hi")
    monkeypatch.setattr(BertEncoder, "_pass", lambda self, texts: passes.append(list(texts)) or run(self, texts))
    assert ensemble.route(SEA).tags
    assert ensemble.select(SEA, threshold=-1.0).unsure
    assert passes == [[SEA]]


@pytest.mark.parametrize(("light", "runtime"), [(True, "int8"), (False, "onnx")])
def test_a_light_fleet_is_routed_with_seven_bits(tiny_fleet, light, runtime):
    ensemble = Ensemble(load_fleet(tiny_fleet), light=light)
    expected = Router.load(tiny_fleet / "router", Encoders(runtime)).route([SEA])[0]
    assert ensemble.router.encoder.runtime == runtime
    assert ensemble.route(SEA).probabilities == pytest.approx(dict(expected.probabilities), abs=1e-6)


@pytest.mark.parametrize("runtime", ["onnx", "torch"])
def test_a_fleet_that_changes_keeps_its_encoder_where_the_runtime_stays(tiny_fleet, runtime):
    fleet = load_fleet(tiny_fleet)
    before = Ensemble(fleet)
    before.route(SEA)
    encoder, reward_model = before.router.encoder, before.reward_model
    after = before.renewed(replace(fleet, router=replace(fleet.router, runtime=runtime)))
    assert (after.router.encoder is encoder) == (runtime == "auto")
    same = before.renewed(replace(fleet, router=replace(fleet.router, unsure_above=0.5)))
    assert same.router.encoder is encoder
    assert same.reward_model is reward_model
    assert before.renewed(replace(fleet, reward=replace(fleet.reward, max_tokens=16))).reward_model is not reward_model
    assert after.route(SEA).probabilities == pytest.approx(before.route(SEA).probabilities, abs=1e-4)


def test_a_light_fleet_tags_with_the_routers_encoder_alone(tiny_fleet):
    fleet = load_fleet(tiny_fleet)
    ensemble = Ensemble(fleet, light=True)
    decisions = ensemble.route_all(["What is 12 + 30?", "Write about the sea"])
    assert [decision.tags[0].name for decision in decisions] == ["arithmetic", "writing"]
    assert ensemble.tagger.encoder is ensemble.router.encoder
    elsewhere = Ensemble(replace(fleet, tagger=replace(fleet.tagger, encoder="elsewhere")), light=True)
    assert elsewhere.route(SEA).tags == ()  # another encoder is not loaded


def test_a_language_model_tags_no_routed_query(tiny_fleet):
    model = CandidateConfig("instagger", backend="transformers", model="nowhere")
    fleet = replace(load_fleet(tiny_fleet), tagger=InstagConfig(kind="instag", instagger=model))
    assert Ensemble(fleet).routing.tagger is None
    assert Ensemble(replace(fleet, tagger=None)).routing.tagger is None
