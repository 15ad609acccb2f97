"""What a model is asked when a visitor tries it."""

from __future__ import annotations

import pytest

from zooter_core.base.paths import EMBEDDED_FLEET
from zooter_core.config.fleet import load_fleet
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.ui.models import cards


@pytest.mark.parametrize(
    ("name", "kinds"),
    [("math", {"math"}), ("code", {"code"}), ("writer", {"writing"}), ("chat", {"knowledge", "languages", "advice"})],
)
def test_a_model_is_asked_something_of_its_own_subject(name: str, kinds: set[str]) -> None:
    assert cards.pick_subject(Ensemble(load_fleet(EMBEDDED_FLEET)), name) in {cards.TRIES[kind] for kind in kinds}
