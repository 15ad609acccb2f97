from __future__ import annotations

import sys
from pathlib import Path

import pytest

from zooter_core import backends
from zooter_core.base.errors import WorkError, ZooterError
from zooter_core.base.plugins import load_kind
from zooter_core.cli.main import main
from zooter_core.config.fleet import load_fleet
from zooter_core.fleet.checks import check_part, list_parts
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.labelling import rewards, taggers
from zooter_core.router import kinds

FAMILIES = {
    "backend": backends.KINDS,
    "router": kinds.KINDS,
    "reward": rewards.KINDS,
    "tagger": taggers.KINDS,
}


@pytest.mark.parametrize(("family", "name"), [(family, name) for family, kinds in FAMILIES.items() for name in kinds])
def test_every_kind_is_where_its_table_says(family, name, monkeypatch):
    kind = load_kind(family, FAMILIES[family], name)  # which may import PyTorch, and that looks for entry points
    monkeypatch.setattr("importlib.metadata.entry_points", None)
    assert load_kind(family, FAMILIES[family], name) is kind


# A package that adds kinds

MODULE = """
from zooter_core.backends import Backend, Piece
from zooter_core.base.records import Response, Tag


class Shout(Backend):
    independent = True

    def trial(self, candidate):
        return "Hello?"

    def stream(self, requests, generation, stop):
        for request in requests:
            text = request.messages[-1].content.upper() + request.candidate.settings["sign"] * 3
            yield Piece(request, text)
            yield Piece(request, response=Response(request.candidate.name, text, tokens=1, seconds=0.1))


class Length:
    def __init__(self, config, backend):
        self.factor = config.settings["factor"]

    def score(self, pairs):
        return [self.factor * float(len(text)) for _, text in pairs]


class First:
    quick = True

    def __init__(self, config, encoders, backend):
        pass

    def tag(self, queries):
        return [(Tag(query.split()[0], 1.0),) for query in queries]

    def tag_all(self, queries):
        return self.tag([query.text for query in queries])

"""
ENTRY_POINTS = """\
[zooter.backends]
shout = zooter_shout:Shout
broken = zooter_shout.missing:Backend
openai = zooter_shout:Shout

[zooter.rewards]
length = zooter_shout:Length

[zooter.taggers]
first = zooter_shout:First

[zooter.routers]
my-means = zooter_core.router.kinds.kmeans:ClusterHead
"""
FLEET = """\
[reward]
kind = "length"
factor = 2

[tagger]
kind = "first"

[[candidate]]
name = "loud"
backend = "shout"
model = "any"
sign = "!"

[[candidate]]
name = "curious"
backend = "shout"
model = "any"
sign = "?!?"
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch) -> Path:
    """A folder on the path with the package zooter-shout installed in it."""
    site = tmp_path / "site"
    info = site / "zooter_shout-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: zooter-shout\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    (site / "zooter_shout.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(site))
    yield site
    sys.modules.pop("zooter_shout", None)


@pytest.fixture
def fleet(package: Path) -> Path:
    (package.parent / "fleet.toml").write_text(FLEET)
    return package.parent


def test_its_backend_reward_and_tagger_work_in_a_fleet(fleet, capsys):
    assert main(["ask", "Hello you", "--candidate", "loud", "--fleet", str(fleet)]) == 0
    assert capsys.readouterr().out == "HELLO YOU!!!\n"
    ensemble = Ensemble(load_fleet(fleet))
    *parts, _router = list_parts(ensemble, print)
    assert [(part.name, check_part(ensemble, part)["ok"]) for part in parts] == [
        (name, True) for name in ("loud", "curious", "length", "first")
    ]
    assert ensemble.reward_model.score([("Hello", "four")]) == [8.0]
    assert [tag.name for (tag,) in ensemble.tagger.tag(["one two", "three"])] == ["one", "three"]


def test_its_kinds_are_known_beside_our_own_which_come_first(package):
    assert kinds.configure("my-means").kind == "my-means"
    assert load_kind("backend", backends.KINDS, "openai").__name__ == "OpenAIBackend"
    with pytest.raises(ZooterError, match=r'a known backend kind, but found "shuot"\. Did you mean "shout"'):
        load_kind("backend", backends.KINDS, "shuot")


def test_a_package_that_cannot_be_imported_is_named(package):
    with pytest.raises(WorkError, match="zooter-shout") as caught:
        load_kind("backend", backends.KINDS, "broken")
    assert "ModuleNotFoundError" in caught.value.failure.found
