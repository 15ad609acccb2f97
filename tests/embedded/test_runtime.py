"""The embedded fleet's encoder on ONNX Runtime."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from zooter_core import graph
from zooter_core.encoder import Encoders
from zooter_core.ensemble import Ensemble
from zooter_core.router import Router

QUERIES = Path(__file__).resolve().parents[1] / "data" / "evident_queries.jsonl"


@pytest.mark.skipif(bool(graph.missing()), reason="the extra `onnx` is not installed: pip install 'zooter[onnx]'")
def test_both_runtimes_choose_alike(embedded: Ensemble, figures: list[str]) -> None:
    assert embedded.fleet.router is not None
    assert embedded.router.encoder.runtime == "onnx"  # by itself, since the extra is installed
    plain = Router.load(embedded.fleet.router.path, Encoders("torch"))
    queries = [json.loads(line)["query"] for line in QUERIES.read_text(encoding="utf-8").splitlines()]
    far = 0.0
    for query in queries:
        vectors = [router.encoder.embed([query]) for router in (plain, embedded.router)]
        far = max(far, float(np.abs(vectors[0] - vectors[1]).max()))
        one, other = (router.probabilities([query])[0] for router in (plain, embedded.router))
        assert one.argmax() == other.argmax()
        assert other == pytest.approx(one, abs=1e-5)
    figures.append(f"vectors on ONNX Runtime and on torch, {len(queries)} queries: at most {far:.1e} apart")
    assert far < 1e-5
