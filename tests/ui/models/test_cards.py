"""What a card says of a model, and what the model is asked when a visitor tries it."""

from __future__ import annotations

from pathlib import Path

import pytest

from zooter_core.base.paths import EMBEDDED_FLEET
from zooter_core.config.fleet import load_fleet
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.ui.models import cards


@pytest.mark.models
def test_a_model_is_asked_something_of_its_own_subject() -> None:
    ensemble = Ensemble(load_fleet(EMBEDDED_FLEET))
    subjects = {"math": {"math"}, "code": {"code"}, "writer": {"writing"}, "chat": {"knowledge", "languages", "advice"}}
    for name, kinds in subjects.items():
        assert cards.pick_subject(ensemble, name) in {cards.TRIES[kind] for kind in kinds}


def test_a_model_is_ready_once_the_engine_that_auto_takes_has_loaded_it(fleet_copy: Path) -> None:
    file = fleet_copy / "fleet.toml"
    file.write_text(file.read_text().replace('backend = "transformers"', 'backend = "auto"'))
    ensemble = Ensemble(load_fleet(fleet_copy))
    ensemble.load()
    assert {cards.read_state(ensemble, candidate) for candidate in ensemble.fleet.candidates} == {("ready", "")}
