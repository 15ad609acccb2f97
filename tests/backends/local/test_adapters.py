"""Candidates that share a base and differ by their adapter."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from support.read_stream import answers, stream
from zooter_core.backends.local.transformers import TransformersBackend
from zooter_core.config.fleet import load_fleet

POOL = ("base", "one", "two")


def damaged(folder: Path, *adapters: str):
    for name in adapters:
        file = folder / "adapters" / name / "adapter_model.safetensors"
        file.write_bytes(file.read_bytes()[:100])
    return load_fleet(folder).candidates


def test_adapters_answer_differently(backend, candidates):
    assert len(set(answers(backend, candidates.values()))) == len(POOL)


@pytest.mark.parametrize(("broken", "order"), [("one", POOL), ("two", POOL), ("two", POOL[::-1])])
def test_a_corrupt_adapter_fails_alone(fleet_copy, backend, candidates, broken, order):
    expected = dict(zip(POOL, answers(backend, candidates.values()), strict=True))
    pool = {candidate.name: candidate for candidate in damaged(fleet_copy, broken)}
    fresh = TransformersBackend()
    for _ in range(2):
        _, responses = stream(fresh, [pool[name] for name in order])
        for response in responses:
            if response.candidate == broken:
                assert response.finish == "error"
                assert f"a LoRA adapter for {broken}" in str(response.error)
            else:
                assert (response.error, response.text) == (None, expected[response.candidate])


def test_the_base_is_itself_when_no_adapter_loads(fleet_copy, backend, candidates):
    expected = answers(backend, [candidates["base"]])[0]
    _, (base, *failed) = stream(TransformersBackend(), damaged(fleet_copy, "one", "two"))
    assert [response.finish for response in failed] == ["error", "error"]
    assert base.text == expected


@pytest.mark.parametrize("name", ["v1.5", "train", "中文"])
def test_any_name_may_have_an_adapter(backend, candidates, name):
    expected = answers(backend, [candidates["one"]])
    assert answers(TransformersBackend(), [replace(candidates["one"], name=name)]) == expected
