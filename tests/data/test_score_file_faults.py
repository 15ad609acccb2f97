"""`zooter distill --scores` on files that are wrong or odd in twenty ways: the right router, or one clear error."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from zooter_core.cli.main import main
from zooter_core.router.encoder import Encoders
from zooter_core.router.router import Router

SUMS = [f"Add up {n} apples and {n + 3} apples" for n in range(12)]
TEXTS = [f"Write about the sea {n} times" for n in range(8)]


def lines(**changes) -> list[dict]:
    """Good lines; `changes` replaces fields of the third."""
    good = [
        {"id": str(n), "query": text, "scores": {"a": 1, "b": 0} if text in SUMS else {"a": 0, "b": 1.5}}
        for n, text in enumerate(SUMS + TEXTS)
    ]
    good[2] |= changes
    return good


@pytest.fixture
def distilled(tmp_path, tiny_fleet, capsys):
    """Distills from bytes; returns the router, or the message of a refusal."""

    def distill(content: bytes, name: str = "scores.jsonl") -> Router | str:
        source, out = tmp_path / name, tmp_path / "router"
        source.write_bytes(content)
        call = [
            "distill",
            "--scores",
            source,
            "--out",
            out,
            "--encoder",
            tiny_fleet / "encoder",
            "--router-set",
            "epochs=40",
        ]
        code = main([*map(str, call), "--router-set", "rate=0.01"])
        err = capsys.readouterr().err
        assert "Traceback" not in err
        if code == 0:
            return Router.load(out, Encoders())
        assert code == 2, err
        assert not out.exists()
        message = err.strip().splitlines()[-1]
        assert str(source) in message
        return message

    return distill


def packed(records: list[dict]) -> bytes:
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in records).encode()


def choices(router: Router | str, queries: list[str]) -> list[str]:
    assert isinstance(router, Router), router
    probabilities = router.probabilities(queries)
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(len(queries)))
    return [router.candidates[column] for column in probabilities.argmax(axis=1)]


def test_a_good_file(distilled):
    assert choices(distilled(packed(lines())), SUMS + TEXTS) == ["a"] * 12 + ["b"] * 8


def test_one_query(distilled):
    assert choices(distilled(packed(lines()[:1])), SUMS[:1]) == ["a"]


def test_all_scores_equal(distilled):
    router = distilled(packed([line | {"scores": {"a": 0.5, "b": 0.5}} for line in lines()]))
    assert len(choices(router, SUMS)) == 12
    assert router.probabilities(SUMS) == pytest.approx(0.5, abs=0.2)


def test_a_candidate_that_always_wins(distilled):
    router = distilled(packed([line | {"scores": {"a": 0, "b": 3}} for line in lines()]))
    assert set(choices(router, [*SUMS, *TEXTS, "Something else"])) == {"b"}


def test_a_thousand_candidates(distilled):
    names = [f"model-{n}" for n in range(1000)]
    records = [line | {"scores": dict.fromkeys(names, 0) | {"model-7": 1}} for line in lines()]
    assert set(choices(distilled(packed(records)), SUMS)) == {"model-7"}


def test_odd_queries(distilled):
    odd = ["x", "many words " * 10_000, "杯子和大海在哪里？", "👩‍👩‍👧‍👦 🍎+🍎=?", "\u202eabc\u0000d"]
    records = [*lines(), *({"id": text[:9], "query": text, "scores": {"a": 1, "b": 0}} for text in odd)]
    assert len(choices(distilled(packed(records)), odd)) == len(odd)


def test_a_file_for_windows(distilled):
    content = b"\xef\xbb\xbf" + packed(lines()).replace(b"\n", b"\r\n")
    assert choices(distilled(content), SUMS[:2] + TEXTS[:1]) == ["a", "a", "b"]


def test_large_numbers_keep_their_order(distilled):
    records = [line | {"scores": {name: 1e29 * value for name, value in line["scores"].items()}} for line in lines()]
    assert choices(distilled(packed(records)), SUMS[:2] + TEXTS[:1]) == ["a", "a", "b"]


def test_nothing_is_left_of_a_refused_call(distilled, tmp_path):
    distilled(packed(lines(query="")))
    assert [path.name for path in Path(tmp_path).iterdir()] == ["scores.jsonl"]
