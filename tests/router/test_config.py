"""A router's files as they may not be: each mistake in config.json is named, broken weights say what to do."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from support.damaged_models import change_config
from zooter_core.base.errors import WorkError, ZooterError
from zooter_core.router.config import FIELDS, check_router

SETTINGS = {"hidden": 16, "dropout": 0.5, "members": 2}


@pytest.fixture
def router(fleet_copy: Path) -> Path:
    return fleet_copy / "router"


@pytest.mark.parametrize(
    ("field", "values"),
    [
        (
            "candidates",
            [[1, 2, 3], *(["base", "one", wrong] for wrong in ("one", "", None)), "base", {"base": 1}, [], None],
        ),
        ("calibration_temperature", [0, -1.5, "hot", True, None, [1.0]]),
        ("width", [0, 64.0, "64", True]),
        ("encoder", ["", 7]),
        ("kind", [3]),
        ("settings", [[16], None]),
        (
            "labels",
            [
                *({"beta": 0.3, "tau": 1, "normalise": "none"} | wrong for wrong in ({"beta": 2}, {"tau": 0})),
                *({"beta": 0.3, "tau": 1, "normalise": 5}, {"beta": 0.3}, "plain"),
            ],
        ),
    ],
)
def test_a_wrong_field_is_named_with_what_it_should_be(router, field, values):
    for value in values:
        change_config(router, **{field: value})
        with pytest.raises(
            ZooterError, match=rf'"{field}" as an? .* in {re.escape(str(router))}/config.json'
        ) as caught:
            check_router(router)
        assert caught.value.exit_code == 2
        assert "make the router again with `zooter distill`" in str(caught.value)


@pytest.mark.parametrize("inside", [False, True])
def test_a_router_with_candidates_that_were_added_to_it_says_what_made_it(router, inside):
    """As version 0.2 wrote it; in a router of the kind auto, one of its parts may be such."""
    settings = SETTINGS | {"pool": {"added": 1, "out": []}}
    parts = {"parts": [{"kind": "zooter", "settings": settings}], "share": 1.0}
    change_config(router, kind="auto" if inside else "zooter", settings=parts if inside else settings)
    with pytest.raises(ZooterError, match=r"`zooter extend` wrote it\. Train the router again"):
        check_router(router)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("zooter", [{"hidden": "16"}, {"hidden": 0}, {"members": -1}, {"dropout": 1}]),
        ("profile", [{"prior": 0}]),
        ("kmeans", [{"clusters": "many"}, {"clusters": True}]),
        ("auto", [{"parts": 3}, {"share": 1.5}, {"share_far": True}, {"support": 1}, {"landmarks": 2.5}, {"k": 3}]),
        ("auto", [{"parts": [{"kind": "bayes"}]}, {"parts": [{"kind": "auto", "settings": {"parts": []}}]}]),
        ("auto", [{"parts": [{"kind": "zooter", "settings": {"hidden": 0}}]}]),
    ],
)
def test_a_wrong_setting_is_named(router, kind, changes):
    for change in changes:
        change_config(router, kind=kind, settings=change if kind == "auto" else SETTINGS | change)
        with pytest.raises(ZooterError, match=rf'"settings\.{next(iter(change))}') as caught:
            check_router(router)
        assert caught.value.exit_code == 2


def test_a_missing_field_is_named(router):
    file = router / "config.json"
    config = json.loads(file.read_text())
    for field in FIELDS:
        file.write_text(json.dumps({name: value for name, value in config.items() if name != field}))
        with pytest.raises(ZooterError, match=rf'"{field}" as .*but found none'):
            check_router(router)


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", '"router"', "\x00", '{"width": NaN}'])
def test_a_config_that_is_no_json_object(router, text):
    (router / "config.json").write_text(text)
    with pytest.raises(WorkError, match="a whole router in"):
        check_router(router)


def test_a_router_that_an_earlier_version_exported_says_what_to_use(router):
    (router / "config.json").rename(router / "router.json")
    with pytest.raises(ZooterError, match="Use the router that it was exported from"):
        check_router(router)
