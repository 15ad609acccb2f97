"""benchmarks/formats.py on small files in the benchmarks' forms, with texts of our own."""

from __future__ import annotations

import csv
import json
import sys
from importlib import import_module
from pathlib import Path

import pytest

from zooter_core.data.scores import read_scores

sys.path.append(str(Path(__file__).resolve().parents[1] / "benchmarks"))  # as for a script that is run


@pytest.fixture
def converted(monkeypatch, tmp_path):
    """Call the script, and read the lines of the score file."""

    def call(*arguments: object) -> list[dict]:
        out = tmp_path / "out" / "scores.jsonl"
        monkeypatch.setattr(sys, "argv", ["formats", *map(str, arguments), "--out", str(out)])
        import_module("formats").main()
        lines = [json.loads(line) for line in out.read_text().splitlines()]
        assert len(read_scores([out]).queries) == len(lines)
        return lines

    return call


def write(path: Path, shape: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(shape, indent=2))
    return path


def test_alpacaeval_joins_models_by_instruction(converted, tmp_path):
    """A repeated instruction is a query of its own; one without a preference is left out."""
    texts = ["Name a sea.", "Count to three.", "Name a sea.", "Greet me."]
    preferences = {"a": [1, 2, 2, 1.25], "b": [2, 1, 1, None]}
    for model, values in preferences.items():
        outputs = [{"instruction": text, "dataset": "koala", "output": f"{model} {n}"} for n, text in enumerate(texts)]
        judged = [
            {"instruction": text, "generator_2": model, "preference": value}
            for text, value in zip(texts, values, strict=True)
        ]
        write(tmp_path / "results" / model / "model_outputs.json", outputs)
        for judge in ("gpt4", "other") if model == "b" else ("gpt4",):
            write(tmp_path / "results" / model / judge / "annotations.json", judged)
    lines = converted("alpacaeval", tmp_path / "results")
    assert [line["query"] for line in lines] == texts[:3]
    assert [line["scores"] for line in lines] == [{"a": 0, "b": 1}, {"a": 1, "b": 0}, {"a": 1, "b": 0}]
    assert lines[2]["responses"] == {"a": "a 2", "b": "b 2"}
    assert {line["dataset"] for line in lines} == {"alpaca_eval/koala"}
    assert len({line["id"] for line in lines}) == 3
    with pytest.raises(SystemExit, match=r"not files of alpacaeval: .*no file at"):
        converted("alpacaeval", tmp_path / "results", "--annotator", "other")


def test_routerdc_scores_stay_but_probabilities_become_right_or_wrong(converted, tmp_path):
    sums = [{"question": "1 + 1?", "scores": {"a": 0.3, "b": 1}}, {"question": "2?", "scores": {"a": None, "b": 0}}]
    write(tmp_path / "gsm8k-train.json", sums)
    write(tmp_path / "mmlu_train.json", [{"question": "A or B?", "scores": {"a": 0.3, "b": 0.0}}])
    assert converted("routerdc", tmp_path / "gsm8k-train.json", tmp_path / "mmlu_train.json") == [
        {"id": "gsm8k-train/00000", "query": "1 + 1?", "scores": {"a": 0.3, "b": 1}, "dataset": "gsm8k-train"},
        {"id": "mmlu_train/00000", "query": "A or B?", "scores": {"a": 1, "b": 0}, "dataset": "mmlu_train"},
    ]


def test_llmrouterbench_takes_the_latest_run_and_no_trial(converted, tmp_path):
    for model, scores in (("a", [0.5, None]), ("b", [1, 0])):
        for time, demo, first in (("20250101_000000", False, 0), ("20250601_000000", False, scores[0]),
                                  ("20250901_000000", True, 0)):  # fmt: skip
            records = [
                {
                    "index": n,
                    "origin_query": "What?" if n else "",
                    "prompt": "Say.",
                    "score": score,
                    "prediction": model,
                }
                for n, score in enumerate([first, scores[1]])
            ]
            run = {"model_name": model, "dataset_name": "maths", "split": "test", "demo": demo, "records": records}
            run["records"][0]["cost"] = 0.25
            write(tmp_path / "maths" / "test" / model / f"maths-{time}.json", run)
    assert converted("llmrouterbench", tmp_path / "maths") == [
        {
            "id": "maths/test/0",
            "query": "Say.",
            "scores": {"a": 0.5, "b": 1},
            "dataset": "maths",
            "responses": {"a": "a", "b": "b"},
            "cost": {"a": 0.25, "b": 0.25},
        }
    ]


def table(path: Path, *rows: list[object]) -> Path:
    models = ("m/one", "two", "three")
    columns = ["", "sample_id", "prompt", "eval_name", *models]
    columns += [f"{name}|model_response" for name in models] + [f"{name}|total_cost" for name in models]
    with path.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([columns, *rows])
    return path


def test_routerbench_merges_rows_that_complete_each_other(converted, tmp_path):
    """As in the released tables: a row for each wording of a prompt, with the scores of the models that had it.

    Both rows have every response, and their costs differ with the prompt's length: each model's are those beside its
    score.
    """
    one = [0, "id", "['Say it.']", "set", "", "0.5", "nan", "X", "['B', 'b']", "C", "0.1", "0.2", ""]
    two = [1, "id", "['Say it!',\n 'more']", "set", "True", "", "0.0", "A", "B", "C", "0.4", "0.5", "0.6"]
    lacking = [2, "other", "Hello?", "set", "1", "", "1", *"ABC", *"123"]
    assert converted("routerbench", table(tmp_path / "a.csv", one, two, lacking)) == [
        {
            "id": "id",
            "query": "Say it!\nmore",
            "scores": {"m/one": 1.0, "two": 0.5, "three": 0.0},
            "dataset": "set",
            "responses": {"m/one": "A", "two": "B\nb", "three": "C"},
            "cost": {"m/one": 0.4, "two": 0.2, "three": 0.6},
        }
    ]
    two[5] = "0.6"
    with pytest.raises(SystemExit, match="two scores of one model for the sample_id id"):
        converted("routerbench", table(tmp_path / "a.csv", one, two))
