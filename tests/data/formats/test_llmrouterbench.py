"""LLMRouterBench's results: small files in its form, with texts of our own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.format_imports import imported, refusal, write


def bench(folder: Path, model: str, scores, time="20260101_000000", dataset="maths", demo=False, **changes) -> Path:
    records = [
        {
            "index": n,
            "origin_query": f"{dataset} question {n}",
            "prompt": f"Answer in a box: {dataset} question {n}",
            "prompt_tokens": 10 + n,
            "completion_tokens": 5,
            "cost": 0.25,
            "score": score,
            "prediction": f"{model} says {n}",
            "ground_truth": "42",
            "raw_output": {"choices": [{"text": "x"}]},
            "extra_fields": {},
            **changes,
        }
        for n, score in enumerate(scores)
    ]
    head = {"performance": 0.5, "counts": len(records), "model_name": model, "dataset_name": dataset, "split": "test"}
    shape = head | {"demo": demo, "extra_metrics": {}, "records": records, "after": 1}
    return write(folder / dataset / "test" / model / f"{dataset}-test-{model}-{time}.json", shape, indent=2)


def test_llmrouterbench_joins_models_by_dataset_split_and_index(tmp_path):
    for model, scores in (("a", [1, 0, 0.5]), ("b", [0, 0, 1])):
        bench(tmp_path / "bench", model, scores)
        bench(tmp_path / "bench", model, [1], dataset="code")
    lines, _ = imported("llmrouterbench", tmp_path / "bench")
    assert [line["id"] for line in lines] == ["code/test/0", "maths/test/0", "maths/test/1", "maths/test/2"]
    assert lines[3] == {
        "id": "maths/test/2",
        "query": "maths question 2",
        "scores": {"a": 0.5, "b": 1.0},
        "dataset": "maths",
        "responses": {"a": "a says 2", "b": "b says 2"},
        "prompt_tokens": {"a": 12.0, "b": 12.0},
        "completion_tokens": {"a": 5.0, "b": 5.0},
        "cost": {"a": 0.25, "b": 0.25},
    }


def test_llmrouterbench_takes_the_latest_run_and_no_trial(tmp_path):
    bench(tmp_path / "bench", "a", [0], time="20250101_000000")
    bench(tmp_path / "bench", "a", [1], time="20250601_000000")
    bench(tmp_path / "bench", "a", [0.5], time="20250901_000000", demo=True)
    lines, options = imported("llmrouterbench", tmp_path / "bench")
    assert lines[0]["scores"] == {"a": 1}
    assert "a trial run" in options.notes[0]


def test_llmrouterbench_leaves_out_what_a_model_lacks(tmp_path):
    bench(tmp_path / "bench", "a", [1, None, 0])
    bench(tmp_path / "bench", "b", [1, 1])
    lines, options = imported("llmrouterbench", tmp_path / "bench")
    assert len(lines) == 1
    assert options.left_out == {"no score of a": 1, "no record of b": 1}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"score": "good"}, '"score" as a number'),
        ({"origin_query": "", "prompt": None}, '"prompt" as a text'),
        ({"prediction": 7}, '"prediction" as a text'),
        ({"index": None}, '"index"'),
        ({"cost": "free"}, '"cost" as a number'),
        ({"index": 0, "origin_query": "same"}, "one record of b for maths/test/0"),
    ],
)
def test_llmrouterbench_names_a_wrong_record_by_file_and_number(tmp_path, changes, problem):
    file = bench(tmp_path / "bench", "b", [1, 1], **changes)
    message = refusal("llmrouterbench", tmp_path / "bench")
    assert problem in message
    assert f"{file}, record {2 if 'one record' in problem else 1}" in message


@pytest.mark.parametrize(
    ("change", "problem"),
    [({"records": None}, '"records" as an array in'), ({"model_name": ""}, '"model_name" in')],
)
def test_llmrouterbench_refuses_a_file_of_another_form(tmp_path, change, problem):
    file = bench(tmp_path / "bench", "b", [1])
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    assert f"{problem} {file}" in refusal("llmrouterbench", tmp_path / "bench")


def test_llmrouterbench_of_other_queries_is_refused(tmp_path):
    bench(tmp_path / "bench", "a", [1, 1])
    bench(tmp_path / "bench", "b", [1, 1], origin_query="another")
    assert "the same query under maths/test/0" in refusal("llmrouterbench", tmp_path / "bench")
