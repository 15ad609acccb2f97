"""What a model is asked when a visitor tries it."""

from __future__ import annotations

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
