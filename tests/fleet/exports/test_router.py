"""A fleet's router in the cache: made once, used while it is that router's, and never instead of another."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from support import tiny_models
from zooter_core.base.errors import ZooterError
from zooter_core.config.fleet import load_fleet
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.fleet.exports.router import cached_export, make_export, open_router
from zooter_core.router.encoder import Encoders
from zooter_core.router.export import export_router
from zooter_core.router.graph import missing
from zooter_core.router.portable import PortableRouter
from zooter_core.router.router import Router
from zooter_core.router.torch_router import TorchRouter

pytestmark = pytest.mark.skipif(bool(missing()), reason="the extra `onnx` is not installed: pip install 'zooter[onnx]'")


@pytest.fixture
def exports(exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The exports from here on, into a cache of the test's own: copies of one that was made."""
    graph = (exported / "router.onnx").read_bytes()
    paths: list[Path] = []

    def export(module, values, path, **options):
        paths.append(path)
        path.write_bytes(graph)

    monkeypatch.setattr(torch.onnx, "export", export)
    monkeypatch.setenv("ZOOTER_CACHE", str(tmp_path / "cache"))
    return paths


@pytest.fixture
def fleet(fleet_copy: Path):
    """The tiny fleet, whose router and tagger name one encoder, in its folder."""
    config = fleet_copy / "router" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"encoder": str(fleet_copy / "encoder")}))
    fleet = load_fleet(fleet_copy)
    return replace(fleet, router=replace(fleet.router, runtime="auto"))


def test_an_export_is_made_once_and_opened(fleet, exports):
    folder = Path(fleet.router.path)
    assert cached_export(folder) is None
    place = make_export(folder)
    assert place == make_export(folder) == cached_export(folder)
    assert len(exports) == 1
    assert not list(place.glob("neighbours*"))  # they may hold queries
    assert isinstance(open_router(fleet.router), PortableRouter)
    on_torch = open_router(replace(fleet.router, runtime="torch"), Encoders)
    assert isinstance(on_torch, TorchRouter)


def test_a_fleet_routes_and_tags_as_on_torch_with_one_encoder(fleet, exports):
    on_torch = Ensemble(replace(fleet, router=replace(fleet.router, runtime="torch")))
    make_export(Path(fleet.router.path))
    ensemble = Ensemble(fleet)
    for text in tiny_models.QUERIES[:6]:
        one, other = on_torch.route(text), ensemble.route(text)
        assert one.candidate == other.candidate
        assert other.probabilities == pytest.approx(one.probabilities, abs=1e-4)
        assert [tag.name for tag in one.tags] == [tag.name for tag in other.tags]
    assert isinstance(ensemble.router, PortableRouter)
    assert ensemble.tagger.encoder is ensemble.router.encoder


def test_routing_a_fleet_loads_no_pytorch(fleet, fleet_copy, exports):
    """With its tags, its explanation and what `select` needs, in a process of its own."""
    file = fleet_copy / "fleet.toml"
    file.write_text(file.read_text().replace('runtime = "torch"', 'runtime = "auto"'))
    make_export(Path(fleet.router.path))
    Ensemble(fleet).route("Hello")  # the tags' vectors
    code = f"""
import sys
from zooter_core import Ensemble, load_fleet
ensemble = Ensemble(load_fleet({str(fleet_copy)!r}))
decision = ensemble.route("What is 12 + 30?")
assert ensemble.explain(decision).pieces
ensemble.select("What is 12 + 30?", trigger="disagreement")
print([tag.name for tag in decision.tags], [name for name in ("torch", "transformers") if name in sys.modules])
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == f"{[tag.name for tag in Ensemble(fleet).route('What is 12 + 30?').tags]} []\n"


@pytest.mark.parametrize("file", ["router/config.json", "router/model.safetensors", "encoder/model.safetensors"])
def test_a_router_that_was_changed_is_not_its_old_export(fleet, fleet_copy, exports, file):
    folder, config = Path(fleet.router.path), fleet_copy / "router" / "config.json"
    make_export(folder)
    if file.startswith("encoder"):
        tiny_models.save_encoder(fleet_copy / "encoder", seed=8)
    elif file.endswith("safetensors"):
        tiny_models.save_router(folder, tiny_models.POOL, fleet_copy / "encoder", seed=8)
    else:
        config.write_text(json.dumps(json.loads(config.read_text()) | {"calibration_temperature": 2.0}))
    assert cached_export(folder) is None
    assert isinstance(open_router(fleet.router, Encoders), TorchRouter)


@pytest.mark.parametrize("file", ["router.onnx", "router.onnx.data"])
def test_a_damaged_export_is_not_used(fleet, exports, file):
    place = make_export(Path(fleet.router.path))
    assert Router.load(place).candidates == tiny_models.POOL
    (place / file).write_bytes(b"half")
    assert isinstance(open_router(fleet.router, Encoders), TorchRouter)
    with pytest.raises(ZooterError, match=f"{file} is not the file that was exported"):
        Router.load(place)


def test_an_exported_router_in_a_fleet(fleet, fleet_copy, exports):
    export_router(fleet_copy / "router", fleet_copy / "portable")
    shutil.rmtree(fleet_copy / "router")
    router = replace(fleet.router, path=str(fleet_copy / "portable"))
    ensemble = Ensemble(replace(fleet, router=router))
    assert ensemble.route("What is 12 + 30?").candidate in tiny_models.POOL
    assert isinstance(ensemble.router, PortableRouter)
    assert make_export(fleet_copy / "portable") == fleet_copy / "portable"


def test_an_encoder_on_a_hub_is_not_exported(fleet, exports):
    config = Path(fleet.router.path) / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"encoder": "owner/encoder"}))
    assert make_export(Path(fleet.router.path)) is None
    assert exports == []
