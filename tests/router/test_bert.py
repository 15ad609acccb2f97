"""BERT without PyTorch: the vectors that it has on PyTorch, from its files alone."""

from __future__ import annotations

import math
import os
import shutil
import signal
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support import tiny_models
from support.damaged_models import change_config, put_number
from zooter_core.base.errors import WorkError, ZooterError
from zooter_core.router import bert
from zooter_core.router.bert import INPUTS, SmallBert
from zooter_core.router.encoder import ALIKE, BertEncoder, Encoder, Encoders, open_encoder
from zooter_core.router.graph import session

LONG = "Write a long story about the ships and the people on them. " * 300
TEXTS = ["Hi", "", " \n", ".", "杯子 ☕ 是什么?", "👩‍👩‍👧‍👦🏴‍☠️", LONG, "What is 12 + 30?", *tiny_models.QUERIES]


@pytest.fixture
def encoder(tiny_fleet: Path) -> str:
    """An encoder that tests only read; its graphs are made once, in the cache of all tests."""
    return str(tiny_fleet / "encoder")


@pytest.fixture
def folder(tiny_fleet: Path, tmp_path: Path, cache: Path) -> Path:
    """An encoder of which nothing is in the cache."""
    return Path(shutil.copytree(tiny_fleet / "encoder", tmp_path / "encoder"))


def test_vectors_are_those_of_torch(encoder):
    """tests/embedded compares the probabilities that follow with the encoder that ships."""
    ours, exact = BertEncoder(encoder), Encoder(encoder)
    vectors = ours.embed(TEXTS)
    assert (vectors.dtype, vectors.shape) == (np.float32, (len(TEXTS), 2 * exact.width))
    assert np.abs(vectors - exact.embed(TEXTS)).max() < 1e-5
    assert ours.count(TEXTS) == exact.count(TEXTS)
    assert ours.identity == exact.identity  # they share stored vectors
    assert ours.runtime == "onnx"


def test_a_graph_is_made_once_and_again_for_other_weights(folder, cache, monkeypatch):
    calls: list[Path] = []
    write = BertEncoder._write
    monkeypatch.setattr(BertEncoder, "_write", lambda self, out: calls.append(out) or write(self, out))
    first, again = (BertEncoder(str(folder)).embed(["Hi"]) for _ in range(2))
    assert len(calls) == 1
    assert np.array_equal(first, again)
    tiny_models.save_encoder(folder, seed=8)
    assert not np.allclose(BertEncoder(str(folder)).embed(["Hi"]), first, atol=0.1)
    assert len(calls) == 2
    assert len(list((cache / "encoders").glob("*/owner"))) == 1


def test_a_damaged_graph_in_the_cache_is_made_again(folder, cache):
    vectors = BertEncoder(str(folder)).embed(["Hi"])
    for name in ("model.onnx", "model.onnx.data", "tokenizer.json"):
        (file,) = cache.glob(f"encoders/*/{name}")
        file.write_bytes(b"half")
        assert np.array_equal(BertEncoder(str(folder)).embed(["Hi"]), vectors)


def test_seven_bits_are_another_identity(encoder):
    fast, exact = BertEncoder(encoder, fast=True), BertEncoder(encoder)
    assert (fast.runtime, exact.runtime) == ("int8", "onnx")
    assert fast.identity != exact.identity
    others, vectors = fast.embed(TEXTS), exact.embed(TEXTS)
    assert np.abs(others - vectors).max() > 1e-6
    assert (others * vectors).sum(axis=1).mean() / 2 > ALIKE


@pytest.mark.parametrize("fault", ["their vectors have a cosine of", "no such layer"])
def test_an_encoder_that_7_bits_would_change_or_that_cannot_have_them_stays_exact(folder, monkeypatch, fault):
    def broken(*arguments, **options):
        raise RuntimeError("no such layer")

    name, value = ("quantise", broken) if fault == "no such layer" else ("ALIKE", 1.01)
    monkeypatch.setattr(f"zooter_core.router.encoder.{name}", value)
    with pytest.warns(UserWarning, match=f"no 7-bit weights: {fault}"):
        assert BertEncoder(str(folder), fast=True).runtime == "onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert open_encoder(str(folder), fast=True).runtime == "onnx"  # this is remembered
    with pytest.raises(ZooterError, match=r'for runtime = "int8", but found none\. Set runtime = "onnx"'):
        open_encoder(str(folder), "int8")


def test_what_runs_an_encoder(encoder):
    for runtime, fast, expected in (
        *(("auto", False, "onnx"), ("auto", True, "int8"), ("onnx", True, "onnx"), ("int8", False, "int8")),
        ("torch", True, "torch"),
    ):
        encoders = Encoders(runtime, fast)
        assert encoders(encoder).runtime == expected
        assert encoders(encoder) is encoders(encoder)


def test_an_encoder_that_onnx_runtime_cannot_run_is_run_by_pytorch(folder, monkeypatch):
    monkeypatch.setattr(bert, "ACTIVATIONS", {})
    assert open_encoder(str(folder)).runtime == "torch"
    with pytest.raises(ZooterError, match="needs PyTorch and transformers"):
        open_encoder(str(folder), "onnx")


def test_a_cache_that_cannot_be_written(folder, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ZOOTER_CACHE", str(tmp_path / "file"))
    with pytest.raises(WorkError, match="ZOOTER_CACHE"):
        open_encoder(str(folder), "onnx")
    with pytest.warns(UserWarning, match="runs on PyTorch.*ZOOTER_CACHE"):
        assert open_encoder(str(folder)).runtime == "torch"


KILLED = """
import os, signal, sys
from zooter_core.router import bert
from zooter_core.router.encoder import BertEncoder

bert._largest = lambda *arguments: os.kill(os.getpid(), signal.SIGKILL)  # when all other files are there
BertEncoder(sys.argv[1], fast=True)
"""


def test_a_kill_leaves_nothing_that_the_next_start_does_not_clear(folder, cache):
    call = [sys.executable, "-c", KILLED, str(folder)]
    ended = subprocess.run(call, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert BertEncoder(str(folder), fast=True).runtime == "int8"
    assert sorted(file.name for file in cache.glob("encoders-int8/*/*")) == ["model.onnx", "owner", "tokenizer.json"]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"model_type": "deberta-v2"}, "the architecture deberta-v2"),
        ({"hidden_act": "gelu_new"}, "a BERT with gelu_new and absolute positions"),
        ({"position_embedding_type": "relative_key"}, "a BERT with gelu and relative_key positions"),
    ],
)
def test_another_architecture_and_a_model_of_a_hub_need_torch(folder, change, fault):
    change_config(folder, **change)
    message = rf"The model in {folder} needs PyTorch and transformers \({fault}\)\. Run `pip install 'zooter\[torch\]'`"
    with pytest.raises(ZooterError, match=message):
        BertEncoder(str(folder))
    with pytest.raises(ZooterError, match=r"an encoder at owner/model, but found no such folder.*zooter\[torch\]"):
        BertEncoder("owner/model")


on_both = pytest.mark.parametrize("runtime", [Encoder, BertEncoder])


@on_both
def test_weights_that_are_not_finite_do_not_load(folder, runtime):
    """Also where only some texts would show it, as one word's embedding."""
    put_number(folder, math.nan, "embeddings")
    with pytest.raises(WorkError, match=rf"finite vectors at {folder}, but found NaN or infinity in .*embeddings"):
        runtime(str(folder))


@on_both
@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_damaged_file_is_one_clear_error(folder, runtime, file):
    path = folder / file
    for content in (path.read_bytes()[:50], b"[1]"):
        path.write_bytes(content)
        with pytest.raises(ZooterError, match="an encoder at"):
            runtime(str(folder))


def test_a_router_takes_its_encoder_along(encoder, cache, tmp_path):
    BertEncoder(encoder).save(tmp_path / "copy")
    assert np.array_equal(open_encoder(str(tmp_path / "copy")).embed(["Hi"]), open_encoder(encoder).embed(["Hi"]))


WIDTH, HUGE = 40, 3
SETTINGS = {"hidden_size": WIDTH, "num_attention_heads": 1, "num_hidden_layers": 1}


def run_small(small: SmallBert, outputs: list[str], numbers: list[int]) -> list[Any]:
    """These outputs of its operators, for tokens of these numbers."""
    small.graph.outputs = outputs
    return session(small.graph.encode()).run(None, dict.fromkeys(INPUTS, np.array([numbers])))


def test_a_huge_column_leaves_the_others_their_bits():
    """The column has weights of 0, so that all of the result is made of the others: one scale for all would lose it."""
    states = np.random.default_rng(9).normal(size=(5, WIDTH)).astype(np.float32)
    states[..., HUGE] *= 200
    matrices = np.random.default_rng(0).normal(size=(2, 3, WIDTH)).astype(np.float32)
    matrices[..., HUGE] = 0
    largest = np.abs(states).max(axis=0)
    weights = {"one.weight": matrices[0], "two.weight": matrices[1]}
    small = SmallBert(SETTINGS, weights, {"one": largest, "two": largest})
    read = small.graph.add("Gather", small.graph.constant("states", states), INPUTS[0])
    results = run_small(small, [small._product(layer, read) for layer in ("one", "two")], [0, 1, 2, 3, 4])
    for actual, matrix in zip(results, matrices, strict=True):
        expected = states @ matrix.T
        assert 0 < np.abs(actual - expected).max() < 0.05 * np.abs(expected).max()
    assert b"".join(small.graph.nodes).count(b"DynamicQuantizeLinear") == 1  # of what both read


def test_a_table_has_a_scale_for_each_row():
    table = np.array([[1, -2, 0.5], [1000, 3, -500], [0, 0, 0]], dtype=np.float32)
    small = SmallBert(SETTINGS, {"words.weight": table}, {})
    (looked_up,) = run_small(small, [small._look_up("words", INPUTS[0])], [1, 0, 2])
    assert looked_up[0] == pytest.approx(table[[1, 0, 2]], abs=4)  # 1000 / 127 is 7.9: half of it, at most
    assert looked_up[0, 1] == pytest.approx(table[0], abs=0.008)
