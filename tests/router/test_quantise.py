"""The graph with 7-bit weights: columns of huge numbers, choices beside the exact graph's, and where there is none."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from support import tiny_models
from zooter_core.base.errors import ZooterError
from zooter_core.config.fleet import RouterConfig
from zooter_core.fleet.exports import open_router
from zooter_core.router import export, onnx_file
from zooter_core.router.export import _add_quantised, export_router
from zooter_core.router.graph import session
from zooter_core.router.quantise import _even_out, _shrink, quantise
from zooter_core.router.router import DistilledRouter, PortableRouter, Router

FAST = "router.int8.onnx"
TEXTS = [f"{'very ' * (n % 5)}many {word}, {n}" for n in range(20) for word in ("apples", "ships", "杯子")]
WIDTH, HUGE = 40, 3


def fleet_router(folder: Path, runtime: str, fast: bool = False) -> Router:
    return open_router(RouterConfig(path=str(folder), runtime=runtime), fast=fast)


def two_layers(path: Path) -> list[np.ndarray]:
    """A graph of two layers on the same states, (1, n, WIDTH) -> (1, n, 6), written to a file; their weights."""
    weights = [np.random.default_rng(seed).normal(size=(WIDTH, 3)).astype(np.float32) for seed in (0, 1)]
    nodes = [
        onnx_file.node("MatMul", ["states", "one"], ["first"], "a"),
        onnx_file.node("MatMul", ["states", "two"], ["second"], "b"),
        onnx_file.node("Concat", ["first", "second"], ["vectors"], axis=-1),
    ]
    stored = [onnx_file.tensor(one, name) for one, name in zip(weights, ("one", "two"), strict=True)]
    states, vectors = (onnx_file.value(name, onnx_file.FLOAT) for name in ("states", "vectors"))
    path.write_bytes(onnx_file.model(nodes, "two layers", [states], [vectors], stored).SerializeToString())
    return weights


def states(seed: int) -> np.ndarray:
    """Numbers about 1, and about 200 in one column."""
    numbers = np.random.default_rng(seed).normal(size=(1, 5, WIDTH)).astype(np.float32)
    numbers[..., HUGE] *= 200
    return numbers


def test_evening_out_leaves_the_result_as_it_is(tmp_path):
    weights = two_layers(tmp_path / "graph.onnx")
    model = onnx_file.read(tmp_path / "graph.onnx")
    largest = np.ones(WIDTH, dtype=np.float32)
    largest[HUGE] = 200
    _even_out(model.graph, list(model.graph.node)[:2], {"states": largest})
    assert [node.op_type for node in model.graph.node] == ["Mul", "MatMul", "MatMul", "Concat"]  # one for both
    result = session(model.SerializeToString()).run(None, {"states": states(0)})[0]
    assert result == pytest.approx(states(0) @ np.concatenate(weights, axis=1), rel=1e-4, abs=1e-3)
    left = {one.name: onnx_file.array(one) for one in model.graph.initializer}
    assert left.keys() == {"states factors", "a weights", "b weights"}
    assert left["states factors"][HUGE] < 0.02


def test_a_huge_column_leaves_the_others_their_bits(tmp_path):
    """The column has weights of 0, so that all of the result is made of the others: one scale for all would lose it."""
    exact, fast = tmp_path / "graph.onnx", tmp_path / "fast.onnx"
    two_layers(exact)
    model = onnx_file.read(exact)
    for one in model.graph.initializer:
        weights = onnx_file.array(one).copy()
        weights[HUGE] = 0
        one.CopyFrom(onnx_file.tensor(weights, one.name))
    exact.write_bytes(model.SerializeToString())
    quantise(exact, fast, [{"states": states(seed)} for seed in range(20)], prefix="")
    expected, actual = (session(str(path)).run(None, {"states": states(999)})[0] for path in (exact, fast))
    assert 0 < np.abs(actual - expected).max() < 0.05 * np.abs(expected).max()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fast.onnx", "graph.onnx"]


def test_a_table_has_a_scale_for_each_row():
    table = np.array([[1, -2, 0.5], [1000, 3, -500], [0, 0, 0]], dtype=np.float32)
    node = onnx_file.node("Gather", ["table", "numbers"], ["rows"], "words")
    inputs = [onnx_file.value("numbers", onnx_file.INT64)]
    outputs = [onnx_file.value("rows", onnx_file.FLOAT)]
    model = onnx_file.model([node], "a table", inputs, outputs, [onnx_file.tensor(table, "table")])
    _shrink(model.graph, [node])
    types = {one.name: one.data_type for one in model.graph.initializer}
    assert types == {"words bytes": onnx_file.INT8, "words scales": onnx_file.FLOAT}
    (rows,) = session(model.SerializeToString()).run(None, {"numbers": np.array([[1, 0, 2]])})
    assert rows[0] == pytest.approx(table[[1, 0, 2]], abs=4)  # 1000 / 127 is 7.9: half of it, at most
    assert rows[0, 1] == pytest.approx(table[0], abs=0.008)


def test_the_graph_chooses_as_the_exact_one_does(exported):
    exact, fast = (PortableRouter.open(exported, graph=name) for name in ("router.onnx", FAST))
    assert (exact.encoder.runtime, fast.encoder.runtime) == ("onnx", "int8")
    assert exact.encoder.identity != fast.encoder.identity
    probabilities, others = exact.probabilities(TEXTS), fast.probabilities(TEXTS)
    assert np.abs(probabilities - others).max() > 1e-6
    assert np.mean(probabilities.argmax(axis=1) == others.argmax(axis=1)) > 0.9


@pytest.mark.parametrize(
    ("runtime", "fast", "expected"),
    [("auto", False, "onnx"), ("auto", True, "int8"), ("onnx", True, "onnx"), ("int8", False, "int8")],
)
def test_who_routes_with_it(exported, runtime, fast, expected):
    assert fleet_router(exported, runtime, fast).encoder.runtime == expected


def without(exported: Path, tmp_path: Path) -> Path:
    """A copy of an export that was made before there were such graphs."""
    folder = Path(shutil.copytree(exported, tmp_path / "old"))
    (folder / FAST).unlink()
    return folder


def test_an_export_without_it_routes_exactly(exported, tmp_path):
    folder = without(exported, tmp_path)
    assert fleet_router(folder, "auto", fast=True).encoder.runtime == "onnx"
    with pytest.raises(ZooterError, match=r'for runtime = "int8", but found none\. Set runtime = "onnx"'):
        fleet_router(folder, "int8")


def test_each_graph_is_checked_where_it_is_read(exported, tmp_path):
    folder = without(exported, tmp_path)
    assert Router.load(folder).candidates == tiny_models.POOL
    (folder / FAST).write_bytes(b"half")
    with pytest.raises(ZooterError, match=rf"{FAST} is not the file that was exported"):
        fleet_router(folder, "int8")


def test_a_router_whose_choices_would_change_has_none(exported, tiny_fleet, tmp_path, monkeypatch):
    folder = without(exported, tmp_path)
    monkeypatch.setattr(export, "SAME_CHOICES", 1.01)
    with pytest.warns(UserWarning, match=r"without 7-bit weights: they would change \d+% of its choices"):
        _add_quantised(DistilledRouter.open(tiny_fleet / "router"), folder)
    assert not (folder / FAST).exists()
    assert Router.load(folder).candidates == tiny_models.POOL


def test_a_model_that_cannot_be_quantised(exported, tiny_fleet, tmp_path, monkeypatch):
    """The export is whole without the graph, and an older one goes."""

    def broken(*arguments, **options):
        raise RuntimeError("no such layer")

    folder = Path(shutil.copytree(exported, tmp_path / "router"))
    monkeypatch.setattr("zooter_core.router.quantise.quantise", broken)
    with pytest.warns(UserWarning, match="exported without 7-bit weights: no such layer"):
        export_router(tiny_fleet / "router", folder)
    assert not (folder / FAST).exists()
    assert Router.load(folder).candidates == tiny_models.POOL


KILLED = """
import os, pathlib, signal, sys
from zooter_core.fleet.exports import make_export
from zooter_core.router import quantise

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

quantise._largest = die  # when all other files are there
make_export(pathlib.Path(sys.argv[1]))
"""


def test_a_kill_leaves_nothing_that_the_next_start_does_not_clear(fleet_copy, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    monkeypatch.setenv("ZOOTER_CACHE", str(cache))
    (tmp_path / "tmp").mkdir()
    places = os.environ | {"TMPDIR": str(tmp_path / "tmp"), "OMP_NUM_THREADS": "1"}
    ended = subprocess.run([sys.executable, "-c", KILLED, str(fleet_copy / "router")], env=places, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert list(cache.rglob("*.partial-*"))
    assert not list((tmp_path / "tmp").iterdir())
    assert fleet_router(fleet_copy / "router", "int8").encoder.runtime == "int8"
    assert not list(cache.rglob("*.partial-*"))
    assert len(list((cache / "routers").glob(f"*/{FAST}"))) == 1
