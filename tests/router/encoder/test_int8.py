"""The encoder with 7-bit weights: its error, the same choices as exact vectors, columns of huge numbers."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from zooter_core.errors import WorkError
from zooter_core.method.labels import softmax
from zooter_core.router.encoder import FEW, Encoders
from zooter_core.router.encoder.int8 import Int8Encoder, Quantised, _even_out, quantised
from zooter_core.router.graph import Graph, missing, session
from zooter_core.router.router import Router

pytestmark = pytest.mark.skipif(bool(missing()), reason="the extra `onnx` is not installed: pip install 'zooter[onnx]'")
TEXTS = [f"{'very ' * (n % 5)}many {word}, {n}" for n in range(20) for word in ("apples", "ships", "杯子")]
WIDTH, HUGE = 40, 3


@pytest.fixture(scope="module")
def router(tiny_fleet: Path) -> Router:
    return Router.load(tiny_fleet / "router", Encoders("int8"))


@pytest.fixture(scope="module")
def encoder(router: Router) -> Int8Encoder:
    assert isinstance(router.encoder, Int8Encoder)
    return router.encoder


@pytest.fixture
def cached(encoder: Int8Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny encoder's int8 graph in a copy of the cache, which takes the cache's place."""
    folder = tmp_path / "cache" / "graphs"
    folder.mkdir(parents=True)
    for graph in (encoder.graph.path, encoder.quantised.graph.path):  # others may be in the making beside them
        for path in graph.parent.glob(f"{graph.name.split('.')[0]}.*"):
            shutil.copy(path, folder)
    monkeypatch.setenv("ZOOTER_CACHE", str(tmp_path / "cache"))
    return folder / encoder.quantised.graph.path.name


def two_layers(path: Path) -> list[np.ndarray]:
    """A graph of two layers on the same states, (1, n, WIDTH) -> (1, n, 6), written to a file; their weights."""
    from onnx import TensorProto, helper, numpy_helper, save

    weights = [np.random.default_rng(seed).normal(size=(WIDTH, 3)).astype(np.float32) for seed in (0, 1)]
    nodes = [
        helper.make_node("MatMul", ["states", "one"], ["first"], name="a"),
        helper.make_node("MatMul", ["states", "two"], ["second"], name="b"),
        helper.make_node("Concat", ["first", "second"], ["vectors"], axis=-1),
    ]
    graph = helper.make_graph(
        nodes,
        "two layers",
        [helper.make_tensor_value_info("states", TensorProto.FLOAT, [1, None, WIDTH])],
        [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, [1, None, 6])],
        [numpy_helper.from_array(one, name) for one, name in zip(weights, ("one", "two"), strict=True)],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return weights


def states(seed: int) -> np.ndarray:
    """Numbers about 1, and about 200 in one column."""
    numbers = np.random.default_rng(seed).normal(size=(1, 5, WIDTH)).astype(np.float32)
    numbers[..., HUGE] *= 200
    return numbers


def test_vectors_are_near_those_of_torch(encoder, tiny_encoder):
    assert encoder.runtime == "int8"
    exact = tiny_encoder.embed_all(TEXTS)
    vectors = np.concatenate([encoder.embed([text]) for text in TEXTS])
    assert np.abs(vectors - exact).max() > 1e-3
    assert (vectors * exact).sum(axis=1).min() > 2 * 0.98  # two halves of unit length


def test_vectors_of_many_texts_are_exact(encoder, tiny_encoder):
    texts = TEXTS[: FEW + 1]
    assert encoder.embed(texts) == pytest.approx(tiny_encoder.embed(texts), abs=1e-5)
    assert encoder.embed_all(texts[:1]) == pytest.approx(tiny_encoder.embed(texts[:1]), abs=1e-5)


def test_choices_are_those_of_torch(router, tiny_fleet):
    exact = Router.load(tiny_fleet / "router", Encoders("torch")).probabilities(TEXTS)
    probabilities = np.concatenate([router.probabilities([text]) for text in TEXTS])
    assert probabilities.argmax(axis=1).tolist() == exact.argmax(axis=1).tolist()


def test_choices_within_the_limit_are_made_from_exact_vectors(encoder, tiny_encoder):
    """The first of two logits is a text's first number less its mean over the texts: some choices are close."""
    exact = tiny_encoder.embed_all(TEXTS)
    mean = exact[:, 0].mean()

    def probabilities(vectors):
        return softmax(np.stack([vectors[:, 0].astype(float) - mean, np.zeros(len(vectors))], axis=1))

    limit = encoder.quantised.limit(probabilities)
    embed = encoder.embedder(probabilities)
    close = np.abs(np.concatenate([encoder.embed([text])[:, 0] for text in TEXTS]) - mean) < limit
    assert 0 < close.sum() < len(TEXTS)
    for text, vector, is_close in zip(TEXTS, exact, close, strict=True):
        assert np.allclose(embed([text])[0], vector, atol=1e-5) == is_close


def test_the_limit_is_three_times_the_error(encoder):
    """Log-probabilities of four texts: the error moves the lead of the best by .1, .3, .1 and .1, the root mean square
    of which is the root of .03."""
    exact = np.array([[1.0, 0.0], [0.0, 1.0], [3.0, 2.0], [0.5, 0.0]], dtype=np.float32)
    rough = np.array([[1.1, 0.0], [0.2, 0.9], [3.0, 2.1], [0.5, 0.1]], dtype=np.float32)
    assert Quantised(encoder.quantised.graph, exact, rough).limit(softmax) == pytest.approx(3 * 0.03**0.5)
    assert Quantised(encoder.quantised.graph, exact[:, :1], rough[:, :1]).limit(softmax) == 0


def test_evening_out_leaves_the_result_as_it_is(tmp_path):
    import onnx

    weights = two_layers(tmp_path / "graph.onnx")
    model = onnx.load(tmp_path / "graph.onnx")
    largest = np.ones(WIDTH, dtype=np.float32)
    largest[HUGE] = 200
    _even_out(model.graph, list(model.graph.node)[:2], {"states": largest})
    assert [node.op_type for node in model.graph.node] == ["Mul", "MatMul", "MatMul", "Concat"]  # one for both
    result = session(model.SerializeToString()).run(None, {"states": states(0)})[0]
    assert result == pytest.approx(states(0) @ np.concatenate(weights, axis=1), rel=1e-4, abs=1e-3)
    left = {one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer}
    assert left.keys() == {"states factors", "a weights", "b weights"}
    assert left["states factors"][HUGE] < 0.02


def test_a_huge_column_leaves_the_others_their_bits(tmp_path):
    """The column has weights of 0, so that all of the result is made of the others: one scale for all would lose it."""
    from onnx import load, numpy_helper, save

    two_layers(tmp_path / "graph.onnx")
    model = load(tmp_path / "graph.onnx")
    for one in model.graph.initializer:
        weights = numpy_helper.to_array(one).copy()
        weights[HUGE] = 0
        one.CopyFrom(numpy_helper.from_array(weights, one.name))
    save(model, tmp_path / "graph.onnx")
    exact = Graph(tmp_path / "graph.onnx")
    graph = quantised(exact, lambda texts: {"states": states(len(texts[0]))}).graph
    vectors = exact({"states": states(999)})
    assert np.abs(graph({"states": states(999)}) - vectors).max() < 0.05 * np.abs(vectors).max()


@pytest.mark.parametrize("suffix", [".onnx", ".npy"])
def test_damaged_files_are_made_again(cached, tiny_fleet, suffix):
    file = cached.with_suffix(suffix)
    complete = file.read_bytes()
    file.write_bytes(complete[: len(complete) // 2])
    Int8Encoder(str(tiny_fleet / "encoder"))
    assert file.read_bytes() == complete


def test_a_graph_that_gives_other_vectors_is_made_again(cached, tiny_fleet):
    """Such as one whose weights hold NaN: it loads without a word."""
    import onnx

    model = onnx.load(cached)
    scale = next(one for one in model.graph.initializer if one.name.endswith("_scale"))
    values = onnx.numpy_helper.to_array(scale)
    scale.CopyFrom(onnx.numpy_helper.from_array(np.full_like(values, np.nan), scale.name))
    complete = cached.read_bytes()
    onnx.save(model, cached)
    again = Int8Encoder(str(tiny_fleet / "encoder"))
    assert cached.read_bytes() == complete
    assert np.isfinite(again.embed(["Hi"])).all()


def test_cached_vectors_that_are_not_finite_are_made_again(cached, tiny_fleet):
    file = cached.with_suffix(".npy")
    complete, vectors = file.read_bytes(), np.load(file)
    vectors[0, 1, 0] = np.nan
    np.save(file, vectors)
    Int8Encoder(str(tiny_fleet / "encoder"))
    assert file.read_bytes() == complete


def test_a_model_that_cannot_be_quantised(cached, tiny_fleet, monkeypatch):
    import onnxruntime.quantization

    def broken(*arguments, **options):
        raise RuntimeError("no such layer")

    cached.unlink()
    monkeypatch.setattr(onnxruntime.quantization, "quantize_dynamic", broken)
    with pytest.raises(WorkError, match=r'quantise, but found no such layer\. Set runtime = "onnx"'):
        Int8Encoder(str(tiny_fleet / "encoder"))
    assert not cached.exists()
    assert not list(cached.parent.glob("*.partial-*"))


def test_a_cache_that_cannot_be_written(cached, tiny_fleet):
    lock = Path(f"{cached}.lock")
    lock.unlink(missing_ok=True)
    lock.mkdir()
    Int8Encoder(str(tiny_fleet / "encoder"))  # a cached graph needs no lock
    cached.unlink()
    with pytest.raises(WorkError, match=r"writable cache folder.*ZOOTER_CACHE"):
        Int8Encoder(str(tiny_fleet / "encoder"))


KILLED = """
import os, signal, sys
import onnx.shape_inference
from zooter_core.router.encoder.int8 import Int8Encoder

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

onnx.shape_inference.infer_shapes_path = die  # in the middle of the work of quantize_dynamic
Int8Encoder(sys.argv[1])
"""


def test_a_kill_leaves_nothing_that_the_next_start_does_not_clear(cached, tiny_fleet, tmp_path):
    cached.unlink()
    (tmp_path / "tmp").mkdir()
    places = os.environ | {"TMPDIR": str(tmp_path / "tmp"), "OMP_NUM_THREADS": "1"}
    ended = subprocess.run([sys.executable, "-c", KILLED, str(tiny_fleet / "encoder")], env=places, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert list(cached.parent.glob("*.partial-*"))
    assert not list((tmp_path / "tmp").iterdir())
    Int8Encoder(str(tiny_fleet / "encoder"))
    assert {path.suffix for path in cached.parent.iterdir()} == {".onnx", ".npy", ".lock"}
