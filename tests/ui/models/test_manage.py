"""From which hosts and ports visitors may connect models."""

from __future__ import annotations

import pytest

from support.app_pages import let_manage
from zooter_core.base.errors import ZooterError
from zooter_core.fleet.discovered import Model
from zooter_core.ui.models.manage import check_host_allowed, label


@pytest.mark.parametrize(
    ("entry", "url"),
    [
        ("*", "http://10.0.0.1:22/v1"),
        ("a.example", "http://A.Example.:11434/v1"),
        ("a.example", "https://a.example/v1"),
        ("a.example:9000", "http://a.example:9000/v1"),
        ("a.example:443", "https://a.example/v1"),
        ("[::1]", "http://[::1]:8000/v1"),
    ],
)
def test_a_host_is_allowed_at_its_port_or_at_the_usual_ones(
    monkeypatch: pytest.MonkeyPatch, entry: str, url: str
) -> None:
    let_manage(monkeypatch, "other.example", entry)
    check_host_allowed(url)


@pytest.mark.parametrize(
    ("entry", "url"),
    [
        ("a.example", "http://a.example:22/v1"),
        ("a.example", "http://b.example/v1"),
        ("a.example", "http://a.example.b.example/v1"),
        ("a.example:9000", "http://a.example:9001/v1"),
        ("a.example:9000", "http://a.example/v1"),
        ("[::1]:9000", "http://[::1]:8000/v1"),
    ],
)
def test_every_other_port_and_host_is_refused(monkeypatch: pytest.MonkeyPatch, entry: str, url: str) -> None:
    let_manage(monkeypatch, entry)
    with pytest.raises(ZooterError, match="can start it with") as refusal:
        check_host_allowed(url)
    let_manage(monkeypatch, refusal.value.failure.next_step.split("`")[1].removeprefix("--manage "))
    check_host_allowed(url)


def test_a_model_of_which_nothing_else_is_known_is_named_once() -> None:
    assert label(Model("openai", "cook-1", "on a server")) == "cook-1 · on a server"
    assert label(Model("openai", "a/Cook-Instruct", "on a server")) == "cook · a/Cook-Instruct · on a server"
