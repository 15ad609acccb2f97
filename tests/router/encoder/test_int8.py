"""The encoder with weights of 7 bits: near vectors, the same choices, huge columns evened out."""

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
from zooter_core.router.encoder import BATCH, Encoder, Encoders, onnx
from zooter_core.router.encoder.int8 import Rough, _even_out, rough_of
from zooter_core.router.encoder.onnx import session
from zooter_core.router.router import Router

pytestmark = pytest.mark.skipif(
    bool(onnx.missing()), reason="the extra `onnx` is not installed: pip install 'zooter[onnx]'"
)
TEXTS = [f"{'very ' * (n % 5)}many {word}, {n}" for n in range(20) for word in ("apples", "ships", "杯子")]
WIDTH, HUGE = 40, 3


@pytest.fixture(scope="module")
def quick(tiny_fleet: Path) -> Router:
    return Router.load(tiny_fleet / "router", Encoders("int8"))


@pytest.fixture
def kept(quick: Router, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the cache's folder with the tiny encoder's graphs; it is the cache from here on."""
    made = shutil.copytree(quick.encoder.graph.path.parent, tmp_path / "cache" / "graphs")
    monkeypatch.setenv("ZOOTER_CACHE", str(tmp_path / "cache"))
    return Path(made) / quick.encoder.quick.graph.path.name


def two_layers(path: Path) -> list[np.ndarray]:
    """A graph of two layers on the same states, (1, n, WIDTH) -> (1, n, 6), written to a file; their weights."""
    from onnx import TensorProto, helper, numpy_helper, save

    weights = [np.random.default_rng(seed).normal(size=(WIDTH, 3)).astype(np.float32) for seed in (0, 1)]
    nodes = [
        helper.make_node("MatMul", ["states", "one"], ["first"], name="a"),
        helper.make_node("MatMul", ["states", "two"], ["second"], name="b"),
        helper.make_node("Concat", ["first", "second"], ["vectors"], axis=-1),
    ]
    made = helper.make_graph(
        nodes,
        "two layers",
        [helper.make_tensor_value_info("states", TensorProto.FLOAT, [1, None, WIDTH])],
        [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, [1, None, 6])],
        [numpy_helper.from_array(one, name) for one, name in zip(weights, ("one", "two"), strict=True)],
    )
    save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return weights


def states(seed: int) -> np.ndarray:
    """Numbers about 1, and about 200 in one column."""
    made = np.random.default_rng(seed).normal(size=(1, 5, WIDTH)).astype(np.float32)
    made[..., HUGE] *= 200
    return made


def test_vectors_are_near_those_of_torch(quick, tiny_encoder):
    assert quick.encoder.runtime == "int8"
    wanted = tiny_encoder.embed_all(TEXTS)
    found = {
        exact: np.concatenate([quick.encoder.embed([text], exact=exact) for text in TEXTS]) for exact in (False, True)
    }
    assert np.allclose(found[True], wanted, atol=1e-5)
    assert not np.allclose(found[False], wanted, atol=1e-5)
    assert (found[False] * wanted).sum(axis=1).min() > 2 * 0.98  # two halves of unit length


def test_vectors_of_many_texts_are_exact(quick, tiny_encoder):
    """The last batch has a single text."""
    texts = [f"{n} pears" for n in range(BATCH + 1)]
    assert np.allclose(quick.encoder.embed_all(texts), tiny_encoder.embed_all(texts), atol=1e-5)
    knowing = quick.encoder.knowing(texts, tiny_encoder.embed_all(texts))
    assert np.array_equal(knowing.embed(texts[:1]), tiny_encoder.embed_all(texts)[:1])


def test_choices_are_those_of_torch_and_close_ones_exact(quick, tiny_fleet):
    exact = Router.load(tiny_fleet / "router", Encoders("torch")).probabilities(TEXTS)
    found = np.concatenate([quick.probabilities([text]) for text in TEXTS])
    assert found.argmax(axis=1).tolist() == exact.argmax(axis=1).tolist()
    second, first = np.sort(np.log(found), axis=1)[:, -2:].T
    close = first - second < quick.close
    assert close.any()
    assert found[close] == pytest.approx(exact[close], abs=1e-4)
    exactly = np.concatenate([quick.probabilities([text], exact=True) for text in TEXTS])
    assert exactly == pytest.approx(exact, abs=1e-4)


def test_what_counts_as_close_is_three_times_the_error(quick, monkeypatch):
    """Logits of four texts, exact and rough: the difference of the two best moves by .1, .3, .1 and .1, the root mean
    square of which is the root of .03."""
    exact = np.array([[1.0, 0.0], [0.0, 1.0], [3.0, 2.0], [0.5, 0.0]], dtype=np.float32)
    rough = np.array([[1.1, 0.0], [0.2, 0.9], [3.0, 2.1], [0.5, 0.1]], dtype=np.float32)
    monkeypatch.setattr(quick.encoder, "quick", Rough(quick.encoder.quick.graph, exact, rough))
    router = Router(quick.head, quick.encoder)
    monkeypatch.setattr(router.head, "forward", lambda vectors: vectors)
    assert router.close == pytest.approx(3 * 0.03**0.5)


def test_evening_out_leaves_the_result_as_it_is(tmp_path):
    import onnx

    weights = two_layers(tmp_path / "graph.onnx")
    model = onnx.load(tmp_path / "graph.onnx")
    largest = np.ones(WIDTH, dtype=np.float32)
    largest[HUGE] = 200
    _even_out(model.graph, list(model.graph.node)[:2], {"states": largest})
    assert [node.op_type for node in model.graph.node] == ["Mul", "MatMul", "MatMul", "Concat"]  # one for both
    found = session(model.SerializeToString()).run(None, {"states": states(0)})[0]
    assert found == pytest.approx(states(0) @ np.concatenate(weights, axis=1), rel=1e-4, abs=1e-3)
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
    exact = onnx.Graph(tmp_path / "graph.onnx")
    made = rough_of(exact, lambda texts: {"states": states(len(texts[0]))})
    wanted = exact({"states": states(999)})
    assert np.abs(made.graph({"states": states(999)}) - wanted).max() < 0.05 * np.abs(wanted).max()


@pytest.mark.parametrize("suffix", [".onnx", ".npy"])
def test_damaged_files_are_made_again(kept, tiny_fleet, suffix):
    file = kept.with_suffix(suffix)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    again = Encoder(str(tiny_fleet / "encoder"), "int8")
    assert (again.runtime, file.read_bytes()) == ("int8", whole)


def test_a_graph_that_gives_other_vectors_is_made_again(kept, tiny_fleet):
    """Such as one whose weights hold NaN: it loads without a word."""
    import onnx

    model = onnx.load(kept)
    scale = next(one for one in model.graph.initializer if one.name.endswith("_scale"))
    values = onnx.numpy_helper.to_array(scale)
    scale.CopyFrom(onnx.numpy_helper.from_array(np.full_like(values, np.nan), scale.name))
    whole = kept.read_bytes()
    onnx.save(model, kept)
    again = Encoder(str(tiny_fleet / "encoder"), "int8")
    assert (again.runtime, kept.read_bytes()) == ("int8", whole)
    assert np.isfinite(again.embed(["Hi"])).all()


def test_kept_vectors_that_are_not_finite_are_made_again(kept, tiny_fleet):
    file = kept.with_suffix(".npy")
    whole, vectors = file.read_bytes(), np.load(file)
    vectors[0, 1, 0] = np.nan
    np.save(file, vectors)
    Encoder(str(tiny_fleet / "encoder"), "int8")
    assert file.read_bytes() == whole


def test_without_it_auto_stays_with_the_exact_graph(kept, tiny_fleet, monkeypatch):
    import onnxruntime.quantization

    def broken(*arguments, **options):
        raise RuntimeError("no such layer")

    kept.unlink()
    monkeypatch.setattr(onnxruntime.quantization, "quantize_dynamic", broken)
    with pytest.raises(WorkError, match=r'8-bit, but found no such layer\. Set runtime = "onnx"'):
        Encoder(str(tiny_fleet / "encoder"), "int8")
    with pytest.warns(UserWarning, match=r"runs on onnx.*no such layer"):
        assert Encoder(str(tiny_fleet / "encoder"), "auto").runtime == "onnx"
    assert not kept.exists()
    assert not list(kept.parent.glob("*.partial-*"))


def test_a_cache_that_cannot_be_written(kept, tiny_fleet):
    lock = Path(f"{kept}.lock")
    lock.unlink(missing_ok=True)
    lock.mkdir()
    assert Encoder(str(tiny_fleet / "encoder"), "int8").runtime == "int8"  # what is there needs no lock
    kept.unlink()
    with pytest.raises(WorkError, match=r"writable cache folder.*ZOOTER_CACHE"):
        Encoder(str(tiny_fleet / "encoder"), "int8")
    with pytest.warns(UserWarning, match=r"runs on onnx.*ZOOTER_CACHE"):
        assert Encoder(str(tiny_fleet / "encoder"), "auto").runtime == "onnx"


KILLED = """
import os, signal, sys
import onnx.shape_inference
from zooter_core.router.encoder import Encoder

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

onnx.shape_inference.infer_shapes_path = die  # in the middle of the work of quantize_dynamic
Encoder(sys.argv[1], "int8")
"""


def test_a_kill_leaves_nothing_that_the_next_start_does_not_clear(kept, tiny_fleet, tmp_path):
    kept.unlink()
    (tmp_path / "tmp").mkdir()
    places = os.environ | {"TMPDIR": str(tmp_path / "tmp"), "OMP_NUM_THREADS": "1"}
    ended = subprocess.run([sys.executable, "-c", KILLED, str(tiny_fleet / "encoder")], env=places, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert list(kept.parent.glob("*.partial-*"))
    assert not list((tmp_path / "tmp").iterdir())
    assert Encoder(str(tiny_fleet / "encoder"), "int8").quick is not None
    assert {path.suffix for path in kept.parent.iterdir()} == {".onnx", ".npy", ".lock"}
