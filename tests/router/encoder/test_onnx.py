"""The encoder on ONNX Runtime: the same vectors as torch's, one export whatever happens, clear errors without it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from zooter_core.base.errors import WorkError, ZooterError
from zooter_core.config.fleet import load_fleet
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.router import encoder as module
from zooter_core.router.encoder import Encoder, Encoders
from zooter_core.router.graph import PACKAGES, missing
from zooter_core.router.router import Router

ONNX = pytest.mark.skipif(bool(missing()), reason="the extra `onnx` is not installed: pip install 'zooter[onnx]'")
LONG = "Write a long story about the ships and the people on them. " * 30
BATCHES = (
    ["Hi"],
    ["."],
    [""],
    [" \n"],
    ["杯子 ☕ 是什么?"],
    ["👩‍👩‍👧‍👦🏴‍☠️"],
    [LONG],
    ["a", LONG],
    ["Hi", "", "杯子 ☕", "What is the sea?"],
    [f"{'so ' * n}it is" for n in range(module.FEW + 3)],
)


@pytest.fixture(scope="module")
def exported(tiny_fleet: Path) -> Encoder:
    """The tiny encoder on ONNX Runtime; its graph is in the session's cache."""
    return Encoder(str(tiny_fleet / "encoder"), "onnx")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the test's own."""
    monkeypatch.setenv("ZOOTER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "graphs"


@pytest.fixture
def exports(exported: Encoder, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The exports of the tiny encoder from here on, which come from the one that was made: a real one takes seconds."""
    content, paths = exported.graph.path.read_bytes(), []

    def export(model, arguments, path, **options):
        paths.append(path)
        path.write_bytes(content)

    monkeypatch.setattr(torch.onnx, "export", export)
    return paths


@ONNX
@pytest.mark.parametrize("texts", BATCHES, ids=range(len(BATCHES)))
def test_vectors_are_those_of_torch(exported, tiny_encoder, texts):
    vectors = exported.embed(texts)
    assert (vectors.dtype, vectors.shape) == (np.float32, (len(texts), 64))
    assert np.allclose(vectors, tiny_encoder.embed(texts), atol=1e-5)


@ONNX
def test_the_graph_takes_any_batch(exported, tiny_encoder):
    texts = [text for batch in BATCHES for text in batch]
    vectors = exported.graph(exported.tokens(texts, "np"))
    assert np.allclose(vectors, tiny_encoder.embed(texts), atol=1e-5)


@ONNX
def test_large_batches_are_worked_by_torch(exported, tiny_encoder, monkeypatch):
    monkeypatch.setattr(exported, "graph", lambda batch: pytest.fail("by ONNX Runtime"))
    texts = [f"{n} pears" for n in range(module.FEW + 1)]
    assert np.array_equal(exported.embed(texts), tiny_encoder.embed(texts))


@ONNX
def test_threads_share_a_graph(exported, tiny_encoder):
    texts = [f"{'very ' * (n % 7)}many apples, {n}" for n in range(64)]
    with ThreadPoolExecutor(8) as pool:
        vectors = list(pool.map(lambda text: exported.embed([text])[0], texts))
    assert np.allclose(np.stack(vectors), tiny_encoder.embed_all(texts), atol=1e-5)


@ONNX
def test_a_graph_is_exported_once(exported, exports, cache, tiny_fleet):
    for _ in range(2):
        assert Encoder(str(tiny_fleet / "encoder"), "onnx").runtime == "onnx"
    assert len(exports) == 1
    assert [path.suffix for path in cache.iterdir() if path.suffix != ".lock"] == [".onnx"]


@ONNX
def test_two_starts_at_once_make_one_export(exported, exports, cache, tiny_fleet):
    with ThreadPoolExecutor(2) as pool:
        encoders = list(pool.map(lambda _: Encoder(str(tiny_fleet / "encoder"), "onnx"), range(2)))
    assert len(exports) == 1
    assert np.array_equal(encoders[0].embed(["Hi"]), encoders[1].embed(["Hi"]))


@ONNX
@pytest.mark.parametrize("damage", [b"", b"no graph at all", None])
def test_a_damaged_graph_is_made_again(exported, exports, cache, tiny_fleet, damage):
    Encoder(str(tiny_fleet / "encoder"), "onnx")
    (file,) = cache.glob("*.onnx")
    complete = file.read_bytes()
    file.write_bytes(complete[: len(complete) // 2] if damage is None else damage)
    assert np.array_equal(Encoder(str(tiny_fleet / "encoder"), "onnx").embed(["Hi"]), exported.embed(["Hi"]))
    assert (len(exports), file.read_bytes()) == (2, complete)


@ONNX
def test_a_graph_of_other_weights_is_made_again(exported, exports, cache, tiny_fleet):
    Encoder(str(tiny_fleet / "encoder"), "onnx")
    (file,) = cache.glob("*.onnx")
    complete = file.read_bytes()
    weights = exported.model.embeddings.word_embeddings.weight.detach().numpy().tobytes()
    assert complete.count(weights) == 1
    file.write_bytes(complete.replace(weights, np.frombuffer(weights, np.float32)[::-1].tobytes()))
    assert np.array_equal(Encoder(str(tiny_fleet / "encoder"), "onnx").embed(["Hi"]), exported.embed(["Hi"]))
    assert len(exports) == 2


@ONNX
def test_a_graph_appears_whole_or_not_at_all(exported, exports, cache, tiny_fleet, monkeypatch):
    def killed(model, arguments, path, **options):
        path.write_bytes(b"half of the graph")
        (path.parent / f"{path.stem}.partial-99999999").write_bytes(b"of a process that was killed")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(torch.onnx, "export", killed)
        with pytest.raises(KeyboardInterrupt):
            Encoder(str(tiny_fleet / "encoder"), "onnx")
    assert not list(cache.glob("*.onnx"))
    assert Encoder(str(tiny_fleet / "encoder"), "onnx").runtime == "onnx"
    assert not list(cache.glob("*.partial-*"))


@ONNX
def test_changed_weights_have_a_graph_of_their_own(exported, exports, cache, tmp_path, tiny_fleet):
    folder = Path(shutil.copytree(tiny_fleet / "encoder", tmp_path / "encoder"))
    for changed in (False, True):
        if changed:
            file = folder / "model.safetensors"
            file.write_bytes(file.read_bytes())
        Encoder(str(folder), "onnx")
    assert len(list(cache.glob("*.onnx"))) == 2


@ONNX
def test_a_copy_that_may_be_trained_is_torch(exported, exports, cache):
    twin = exported.copy()
    with torch.no_grad():
        twin.model.embeddings.word_embeddings.weight.mul_(-1)
    assert (twin.runtime, twin.stamp, exports) == ("torch", None, [])
    assert not np.allclose(twin.embed(["Hi"]), exported.embed(["Hi"]), atol=0.1)
    assert exported.runtime == "onnx"


@ONNX
def test_a_fleet_says_the_runtime_and_routes_alike(exported, exports, tiny_fleet):
    fleet = load_fleet(tiny_fleet)
    assert fleet.router.runtime == "torch"
    kinds = {kind: Ensemble(replace(fleet, router=replace(fleet.router, runtime=kind))) for kind in ("torch", "onnx")}
    for text in ("Add up 7 apples?", "Write about the sea.", "杯子 ☕"):
        one, other = (kinds[kind].route_all([text])[0] for kind in kinds)
        assert one.candidate == other.candidate
        assert other.probabilities == pytest.approx(one.probabilities, abs=1e-4)
    assert all(ensemble.router.encoder.runtime == kind for kind, ensemble in kinds.items())
    assert kinds["onnx"].tagger.encoder is kinds["onnx"].router.encoder


@ONNX
def test_a_router_with_an_encoder_of_its_own(exported, exports, cache, tmp_path, tiny_fleet):
    from support import tiny_models

    tiny_models.save_router(tmp_path / "router", tiny_models.POOL, Path("encoder"))
    shutil.copytree(tiny_fleet / "encoder", tmp_path / "router" / "encoder")
    one, other = (Router.load(tmp_path / "router", Encoders(kind)) for kind in ("torch", "onnx"))
    assert (other.encoder.runtime, len(exports)) == ("onnx", 1)
    assert other.probabilities(["Hi", "So"]) == pytest.approx(one.probabilities(["Hi", "So"]), abs=1e-4)


@ONNX
def test_an_encoder_that_cannot_be_exported(exported, cache, tiny_fleet, monkeypatch):
    def broken(*arguments, **options):
        raise RuntimeError("no such operator\nand so on")

    monkeypatch.setattr(torch.onnx, "export", broken)
    with pytest.raises(WorkError, match=r"torch\.onnx can export, but found no such operator\. Set runtime"):
        Encoder(str(tiny_fleet / "encoder"), "onnx")
    with pytest.warns(UserWarning, match="runs on torch.*no such operator"):
        assert Encoder(str(tiny_fleet / "encoder"), "auto").runtime == "torch"


@ONNX
def test_an_export_with_other_vectors_is_not_used(exported, cache, tiny_fleet, monkeypatch):
    monkeypatch.setattr(torch.onnx, "export", lambda model, arguments, path, **options: path.write_bytes(b"nothing"))
    with pytest.raises(WorkError, match="vectors differ from PyTorch's"):
        Encoder(str(tiny_fleet / "encoder"), "onnx")
    assert not list(cache.glob("*.onnx"))


@ONNX
def test_a_cache_that_cannot_be_written(exported, exports, tmp_path, tiny_fleet, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ZOOTER_CACHE", str(tmp_path / "file"))
    with pytest.raises(WorkError, match="ZOOTER_CACHE"):
        Encoder(str(tiny_fleet / "encoder"), "onnx")
    with pytest.warns(UserWarning, match="ZOOTER_CACHE"):
        assert Encoder(str(tiny_fleet / "encoder"), "auto").runtime == "torch"


@pytest.mark.parametrize("package", PACKAGES)
def test_without_the_packages(tiny_fleet, cache, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    reference = str(tiny_fleet / "encoder")
    with pytest.raises(ZooterError, match=r"but found no package .*pip install 'zooter\[onnx\]'"):
        Encoder(reference, "onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Encoder(reference, "auto").runtime == "torch"
    assert not cache.exists()


@ONNX
def test_an_onnxruntime_that_does_not_load(tiny_fleet, cache, tmp_path, monkeypatch):
    (tmp_path / "onnxruntime.py").write_text("raise ImportError('no such library')")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.split(".")[0] == "onnxruntime"]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(WorkError, match=r"an onnxruntime that loads, but found no such library"):
        Encoder(str(tiny_fleet / "encoder"), "onnx")


@ONNX
def test_onnxruntime_notes_nothing_for_its_maker(exported, tiny_fleet, tmp_path):
    """It would keep what it knows of the process and the machine in the home's cache folder, to send it later."""
    script = f"""
from zooter_core.router.encoder import Encoder
encoder = Encoder({str(tiny_fleet / "encoder")!r}, "onnx")
encoder.embed(["Hi"])
assert encoder.graph.path == __import__("pathlib").Path({str(exported.graph.path)!r})  # not exported again
"""
    home = tmp_path / "home"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ORT_")}
    environment |= {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True, capture_output=True)
    assert [path for path in home.rglob("*") if "onnxruntime" in path.name] == []


def test_torch_is_what_is_taken_where_nothing_is_said(tiny_fleet, cache):
    reference = str(tiny_fleet / "encoder")
    assert (Encoder(reference).runtime, Encoders()(reference).runtime) == ("torch", "torch")
    assert not cache.exists()


def test_an_unknown_runtime(tiny_fleet):
    with pytest.raises(ZooterError, match=r'known runtime.*"onxx".*Did you mean "onnx"'):
        Encoder(str(tiny_fleet / "encoder"), "onxx")
