"""A router's files as they may not be: each mistake in config.json is named, broken weights say what to do."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest

from support.damaged_models import change_config
from zooter_core.base.errors import WorkError, ZooterError
from zooter_core.router.config import FIELDS, check_router

NAN = math.nan
SETTINGS = {"hidden": 16, "dropout": 0.5, "members": 2}


@pytest.fixture
def router(fleet_copy: Path) -> Path:
    return fleet_copy / "router"


def test_a_router_as_it_is_made(router):
    check_router(router)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("candidates", [1, 2, 3]),
        ("candidates", ["base", "one", "one"]),
        ("candidates", ["base", "one", ""]),
        ("candidates", ["base", "one", None]),
        ("candidates", "base"),
        ("candidates", {"base": 1}),
        ("candidates", []),
        ("candidates", None),
        ("calibration_temperature", 0),
        ("calibration_temperature", -1.5),
        ("calibration_temperature", "hot"),
        ("calibration_temperature", True),
        ("calibration_temperature", None),
        ("calibration_temperature", NAN),
        ("calibration_temperature", math.inf),
        ("calibration_temperature", [1.0]),
        ("width", 0),
        ("width", 64.0),
        ("width", "64"),
        ("width", True),
        ("encoder", ""),
        ("encoder", 7),
        ("kind", 3),
        ("settings", [16]),
        ("settings", None),
        ("labels", {"beta": 2, "tau": 1, "normalise": "none"}),
        ("labels", {"beta": 0.3, "tau": 0, "normalise": "none"}),
        ("labels", {"beta": 0.3, "tau": 1, "normalise": 5}),
        ("labels", {"beta": 0.3}),
        ("labels", "plain"),
    ],
)
def test_a_wrong_field_is_named_with_what_it_should_be(router, field, value):
    change_config(router, **{field: value})
    with pytest.raises(ZooterError, match=rf'"{field}" as an? .* in {re.escape(str(router))}/config.json') as caught:
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
    ("kind", "change"),
    [
        ("zooter", {"hidden": "16"}),
        ("zooter", {"hidden": 0}),
        ("zooter", {"members": -1}),
        ("zooter", {"dropout": 1}),
        ("zooter", {"dropout": NAN}),
        ("profile", {"prior": 0}),
        ("kmeans", {"clusters": "many"}),
        ("kmeans", {"clusters": True}),
        ("profile", {"prior": -math.inf}),
        ("auto", {"parts": 3}),
        ("auto", {"share": 1.5}),
        ("auto", {"share_far": True}),
        ("auto", {"support": 1}),
        ("auto", {"landmarks": 2.5}),
        ("auto", {"parts": [{"kind": "bayes"}]}),
        ("auto", {"parts": [{"kind": "auto", "settings": {"parts": []}}]}),
        ("auto", {"parts": [{"kind": "zooter", "settings": {"hidden": 0}}]}),
        ("auto", {"k": 3}),
    ],
)
def test_a_wrong_setting_is_named(router, kind, change):
    change_config(router, kind=kind, settings=change if kind == "auto" else SETTINGS | change)
    (name,) = change
    with pytest.raises(ZooterError, match=rf'"settings\.{name}') as caught:
        check_router(router)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("field", FIELDS)
def test_a_missing_field_is_named(router, field):
    file = router / "config.json"
    file.write_text(json.dumps({name: value for name, value in json.loads(file.read_text()).items() if name != field}))
    with pytest.raises(ZooterError, match=rf'"{field}" as .*but found none'):
        check_router(router)


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", '"router"', "\x00"])
def test_a_config_that_is_no_json_object(router, text):
    (router / "config.json").write_text(text)
    with pytest.raises(WorkError, match="a whole router in"):
        check_router(router)


def test_a_router_that_an_earlier_version_exported_says_what_to_use(router):
    (router / "config.json").rename(router / "router.json")
    with pytest.raises(ZooterError, match="Use the router that it was exported from"):
        check_router(router)
