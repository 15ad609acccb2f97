"""The embedded fleet's encoder on ONNX Runtime."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from zooter_core.ensemble import Ensemble
from zooter_core.router.encoder import Encoders, onnx
from zooter_core.router.router import Router

DATA = Path(__file__).resolve().parents[1] / "data"
FILES = ("evident_queries.jsonl", "more_evident_queries.jsonl")
QUERIES = [json.loads(line)["query"] for name in FILES for line in (DATA / name).read_text("utf-8").splitlines()]


@pytest.mark.skipif(bool(onnx.missing()), reason="the extra `onnx` is not installed: pip install 'zooter[onnx]'")
def test_every_runtime_chooses_alike(embedded: Ensemble, figures: list[str]) -> None:
    assert embedded.fleet.router is not None
    quick = embedded.router
    assert quick.encoder.runtime == "int8"  # by itself, since the extra is installed
    plain = Router.load(embedded.fleet.router.path, Encoders("torch"))
    wanted = np.concatenate([plain.probabilities([query]) for query in QUERIES])
    exact, rough = (
        np.concatenate([quick.probabilities([query], is_exact) for query in QUERIES]) for is_exact in (1, 0)
    )
    assert exact == pytest.approx(wanted, abs=1e-5)
    assert rough.argmax(axis=1).tolist() == wanted.argmax(axis=1).tolist()
    off = np.abs(rough - wanted).max(axis=1)
    figures.append(
        f"probabilities with 7 bits and on torch, {len(QUERIES)} queries: {np.median(off):.4f} apart (median), at most "
        f"{off.max():.4f}"
    )
    assert off.max() < 0.1
