"""The tagger of a fleet of endpoints: with the router's encoder or not at all."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("fastapi", reason="the extra zooter[serve] is not installed")

from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.fleet import load_fleet
from zooter_core.config.labelling import InstagConfig
from zooter_core.router.encoder import Encoders
from zooter_core.serve.exported import light_tagger


@pytest.fixture(scope="module")
def fleet(tiny_fleet):
    return load_fleet(tiny_fleet)


@pytest.fixture(scope="module")
def encoder(tiny_fleet):
    return Encoders("torch")(str(tiny_fleet / "encoder"))


def test_it_takes_the_routers_encoder(fleet, encoder):
    tagger = light_tagger(fleet.tagger, encoder, pytest.fail)
    assert tagger is not None
    assert tagger.encoder is encoder
    assert [tags[0].name for tags in tagger.tag(["What is 12 + 30?", "Write about the sea"])] == [
        "arithmetic",
        "writing",
    ]


def test_another_encoder_is_not_loaded(fleet, encoder):
    messages = []
    assert light_tagger(replace(fleet.tagger, encoder="elsewhere"), encoder, messages.append) is None
    assert messages == ["Decisions have no tags, since the tagger's encoder is not the router's."]


def test_a_language_model_tags_no_routed_query(encoder):
    model = CandidateConfig("instagger", backend="transformers", model="nowhere")
    assert light_tagger(InstagConfig(kind="instag", instagger=model), encoder, pytest.fail) is None


def test_a_fleet_without_a_tagger_has_none(encoder):
    assert light_tagger(None, encoder, pytest.fail) is None
