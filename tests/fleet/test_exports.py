"""A fleet's router and reward model in the cache: made once, used while they are that model's, without PyTorch."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from support import gguf_models, tiny_models
from zooter_core.base.errors import WorkError, ZooterError
from zooter_core.config.fleet import load_fleet
from zooter_core.config.labelling import ScalarConfig
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.fleet.exports import (
    PortableReward,
    cached_export,
    export_apart,
    make_export,
    make_reward_export,
    open_reward,
    open_router,
)
from zooter_core.labelling.rewards import reward_model
from zooter_core.labelling.rewards.scalar import ScalarReward
from zooter_core.router.config import LEARNED
from zooter_core.router.encoder import Encoders
from zooter_core.router.export import export_router
from zooter_core.router.router import DistilledRouter, PortableRouter, Router

RESPONSES = ["", "42", "[SEP] no [CLS]", "杯子 ☕ 是什么?", "The sea is wide. " * 200]
PAIRS = [(query, response) for query in (*tiny_models.QUERIES[:5], "Why? " * 300) for response in RESPONSES]


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
    torch_one, auto, onnx = (replace(fleet.router, runtime=runtime) for runtime in ("torch", "auto", "onnx"))
    assert cached_export(folder) is None
    assert isinstance(open_router(torch_one, Encoders), DistilledRouter)
    assert exports == []
    with ThreadPoolExecutor(2) as pool:
        assert all(isinstance(one, PortableRouter) for one in pool.map(open_router, [auto, onnx]))
    place = make_export(folder)
    assert place == cached_export(folder)
    assert len(exports) == 1
    assert not list(place.glob("neighbours*"))  # they may hold queries


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


def test_the_routers_of_zooter_learn_have_no_exports_and_share_what_is_loaded(fleet, exports, monkeypatch):
    make_export(Path(fleet.router.path))
    before = Ensemble(fleet)
    learned = Path(shutil.copytree(fleet.router.path, Path(fleet.router.path).parent / "routers" / "0001"))
    (learned / LEARNED).write_text("{}")
    promoted = replace(fleet, router=replace(fleet.router, path=str(learned)))
    queries = tiny_models.QUERIES[:6]
    expected, reward_model = before.router.probabilities(queries), before.reward_model
    for after in (before.renewed(promoted), Ensemble(promoted)):
        assert isinstance(after.router, DistilledRouter)
        assert after.router.encoder.runtime == "onnx"
        assert after.router.probabilities(queries) == pytest.approx(expected, abs=1e-4)
    after = before.renewed(promoted)
    assert after.router.encoder is before.router.encoder
    assert after.reward_model is reward_model
    assert after.backends is before.backends
    monkeypatch.setattr(subprocess, "run", lambda *call, **options: pytest.fail("a process exports it"))
    export_apart(promoted.router, print)
    assert make_export(learned) is None
    assert len(exports) == 1
    changed = replace(
        promoted, reward=replace(fleet.reward, max_tokens=16), router=replace(promoted.router, runtime="torch")
    )
    after = before.renewed(changed)
    assert after.reward_model is not reward_model
    assert after.router.encoder.runtime == "torch"


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


def test_a_router_that_was_changed_is_not_its_old_export(fleet, fleet_copy, exports):
    folder, encoder = Path(fleet.router.path), fleet_copy / "encoder"
    place = make_export(folder)
    for file in (folder / "config.json", folder / "model.safetensors"):
        before = file.read_bytes()
        file.write_bytes(before.replace(b"0", b"1", 1))
        assert cached_export(folder) is None
        file.write_bytes(before)
        assert cached_export(folder) == place
    tiny_models.save_encoder(encoder, seed=8)
    assert cached_export(folder) is None


def test_a_damaged_export_is_not_used(fleet, exports):
    place = make_export(Path(fleet.router.path))
    for name in ("router.onnx", "router.onnx.data"):
        assert Router.load(place).candidates == tiny_models.POOL
        before = (place / name).read_bytes()
        (place / name).write_bytes(b"half")
        assert isinstance(open_router(fleet.router, Encoders), DistilledRouter)
        with pytest.raises(ZooterError, match=f"{name} is not the file that was exported"):
            Router.load(place)
        (place / name).write_bytes(before)


def test_an_exported_router_in_a_fleet(fleet, fleet_copy, exports):
    export_router(fleet_copy / "router", fleet_copy / "portable")
    shutil.rmtree(fleet_copy / "router")
    router = replace(fleet.router, path=str(fleet_copy / "portable"))
    ensemble = Ensemble(replace(fleet, router=router))
    assert ensemble.route("What is 12 + 30?").candidate in tiny_models.POOL
    assert isinstance(ensemble.router, PortableRouter)
    assert make_export(fleet_copy / "portable") == fleet_copy / "portable"


def test_an_encoder_on_a_hub_is_not_exported(fleet, fleet_copy, exports):
    config = Path(fleet.router.path) / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"encoder": "owner/encoder"}))
    encoders = Encoders()
    encoders._loaded["owner/encoder"] = encoders(str(fleet_copy / "encoder"))
    assert isinstance(open_router(fleet.router, lambda: encoders), DistilledRouter)
    with pytest.raises(ZooterError, match=r'runtime = "onnx", but found an encoder named by a hub id'):
        open_router(replace(fleet.router, runtime="onnx"), lambda: encoders)
    assert exports == []


def test_an_encoder_that_cannot_be_exported(fleet, exports, monkeypatch):
    def broken(*arguments, **options):
        raise RuntimeError("no such operator\nand so on")

    monkeypatch.setattr(torch.onnx, "export", broken)
    with pytest.raises(WorkError, match=r"torch\.onnx can export, but found no such operator\. Set runtime"):
        open_router(replace(fleet.router, runtime="onnx"))
    with pytest.warns(UserWarning, match="runs on PyTorch.*no such operator"):
        assert open_router(fleet.router).encoder.runtime == "torch"


def test_a_cache_that_cannot_be_written(fleet, exports, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ZOOTER_CACHE", str(tmp_path / "file"))
    with pytest.raises(WorkError, match="ZOOTER_CACHE"):
        open_router(replace(fleet.router, runtime="onnx"))
    with pytest.warns(UserWarning, match="ZOOTER_CACHE"):
        assert open_router(fleet.router).encoder.runtime == "torch"


def test_a_router_that_does_not_load_is_no_warning(fleet, exports):
    (Path(fleet.router.path) / "model.safetensors").write_bytes(b"half")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(WorkError, match="a whole router in"):
            open_router(fleet.router)


@pytest.fixture(scope="module")
def model_and_cache(tiny_fleet: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The tiny reward model's folder, and a cache with its export."""
    folder = tmp_path_factory.mktemp("exported")
    shutil.copytree(tiny_fleet / "reward", folder / "reward")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZOOTER_CACHE", str(folder / "cache"))
        assert make_reward_export(ScalarConfig(str(folder / "reward"), max_tokens=128))
    return folder / "reward", folder / "cache"


@pytest.fixture
def config(model_and_cache: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ScalarConfig:
    """The model, with a copy of the cache."""
    reward, cache = model_and_cache
    monkeypatch.setenv("ZOOTER_CACHE", str(shutil.copytree(cache, tmp_path / "cache")))
    return ScalarConfig(str(reward), max_tokens=128)


def test_rewards_are_those_on_pytorch(config: ScalarConfig) -> None:
    model = open_reward(config)
    assert model is not None
    rewards = model.score(PAIRS)
    assert rewards == pytest.approx(reward_model(config).score(PAIRS), abs=1e-4)
    assert len({round(reward, 3) for reward in rewards}) > len(PAIRS) / 2
    assert rewards[7] == model.score(PAIRS[7:8])[0]  # whatever else is scored


def test_an_export_of_other_rewards_is_not_used(config: ScalarConfig) -> None:
    weights = Path(config.model) / "model.safetensors"
    before = weights.stat()
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert open_reward(config) is None
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert open_reward(config) is not None
    assert open_reward(replace(config, max_tokens=64)) is None


@pytest.mark.parametrize("file", ["reward.onnx", "reward.onnx.data", "reward.json", "tokenizer.json"])
def test_a_damaged_export_of_a_reward_model_is_not_used(config: ScalarConfig, tmp_path: Path, file: str) -> None:
    (path,) = (tmp_path / "cache" / "rewards").glob(f"*/{file}")
    path.write_bytes(b"half")
    assert open_reward(config) is None


@pytest.mark.parametrize("changes", [{"dtype": "bfloat16"}, {"template": "{query} {response}"}, {"input": "chat"}])
def test_other_reward_models_stay_on_pytorch(config: ScalarConfig, changes: dict[str, str]) -> None:
    assert make_reward_export(replace(config, **changes)) is None


def test_a_fleet_uses_it_unless_it_needs_pytorch_anyway(config: ScalarConfig, tiny_fleet: Path, tmp_path: Path) -> None:
    fleet = load_fleet(tiny_fleet)
    assert fleet.router is not None
    fast = replace(fleet.router, runtime="auto")
    light = replace(fleet, router=fast, reward=config, candidates=(gguf_models.candidate(tmp_path / "none.gguf"),))
    assert isinstance(Ensemble(light).reward_model, PortableReward)
    for other in (replace(light, router=fleet.router), replace(light, candidates=fleet.candidates)):
        assert isinstance(Ensemble(other).reward_model, ScalarReward)
