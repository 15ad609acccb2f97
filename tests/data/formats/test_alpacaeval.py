"""AlpacaEval's results: small files in its form, with texts of our own."""

from __future__ import annotations

import re
from pathlib import Path

from support.format_imports import imported, refusal, write

JUDGE = "alpaca_eval_gpt4"
INSTRUCTIONS = ["Name a sea.", "Count to three.", "Name a sea.", "Greet me."]


def results(folder: Path, model: str, preferences, judge=JUDGE, **changes) -> Path:
    """A model's results folder in AlpacaEval's form."""
    outputs = [
        {"instruction": text, "dataset": "koala", "output": f"{model} {n}", "generator": model}
        for n, text in enumerate(INSTRUCTIONS)
    ]
    annotations = [
        {
            "instruction": text,
            "output_1": "reference",
            "generator_1": "text_davinci_003",
            "dataset": "koala",
            "output_2": f"{model} {n}",
            "generator_2": model,
            "annotator": judge,
            "preference": preference,
            "raw_completion": {"logprobs": {"content": [{"token": "m", "top_logprobs": [{"logprob": -0.1}]}]}},
            **changes,
        }
        for n, (text, preference) in enumerate(zip(INSTRUCTIONS, preferences, strict=True))
    ]
    write(folder / model / "model_outputs.json", outputs, indent=2)
    if judge:
        write(folder / model / judge / "annotations.json", annotations, indent=2)
    return folder / model


def test_alpacaeval_joins_models_by_instruction(tmp_path):
    """A repeated instruction is a query of its own: the second output belongs to the second annotation."""
    one = results(tmp_path, "a", [1, 2, 2, 1.25])
    two = results(tmp_path, "b", [2, 1, 1, 1.5])
    lines, options = imported("alpacaeval", one, two)
    assert [line["query"] for line in lines] == INSTRUCTIONS
    assert [line["scores"]["a"] for line in lines] == [0, 1, 1, 0.25]
    assert [line["scores"]["b"] for line in lines] == [1, 0, 0, 0.5]
    assert lines[1]["responses"] == {"a": "a 1", "b": "b 1"}
    assert {line["dataset"] for line in lines} == {"alpaca_eval/koala"}
    assert len({line["id"] for line in lines}) == 4
    assert JUDGE in options.notes[0]


def test_alpacaeval_of_a_folder_of_models(tmp_path):
    for model in ("a", "b", "c"):
        results(tmp_path / "results", model, [1, 1, 2, 2])
    assert list(imported("alpacaeval", tmp_path / "results")[0][0]["scores"]) == ["a", "b", "c"]


def test_alpacaeval_leaves_out_what_lacks_a_preference(tmp_path):
    lines, options = imported(
        "alpacaeval", results(tmp_path, "a", [None, 2, 2, float("nan")]), results(tmp_path, "b", [1] * 4)
    )
    assert len(lines) == 2
    assert options.left_out == {"no score of a": 2}


def test_alpacaeval_without_annotations_has_no_scores(tmp_path):
    lines, options = imported(
        "alpacaeval", results(tmp_path, "a", [1] * 4, judge=""), results(tmp_path, "b", [1] * 4, judge="")
    )
    assert "scores" not in lines[0]
    assert lines[0]["responses"] == {"a": "a 0", "b": "b 0"}
    assert options.notes == ["No annotations, hence no scores."]


def test_alpacaeval_asks_which_judge_where_there_are_several(tmp_path):
    one = results(tmp_path, "a", [1, 1, 1, 1])
    results(tmp_path, "a", [2, 2, 2, 2], judge="weighted_alpaca_eval_gpt4_turbo")
    two = results(tmp_path, "b", [1, 1, 1, 1])
    assert imported("alpacaeval", one, two)[0][0]["scores"]["a"] == 0  # the one that both have
    results(tmp_path, "b", [2, 2, 2, 2], judge="weighted_alpaca_eval_gpt4_turbo")
    assert "--annotator" in refusal("alpacaeval", one, two)
    named = imported("alpacaeval", one, two, annotator="weighted_alpaca_eval_gpt4_turbo")[0]
    assert named[0]["scores"] == {"a": 1, "b": 1}
    assert 'Did you mean "alpaca_eval_gpt4"' in refusal("alpacaeval", one, two, annotator="alpaca_eval_gpt")


def test_alpacaeval_annotations_of_another_model_do_not_count(tmp_path):
    other = results(tmp_path, "b", [1, 1, 1, 1], generator_2="quite-another")
    message = refusal("alpacaeval", results(tmp_path, "a", [1] * 4), other)
    assert "annotation is one of quite-another" in message


def test_alpacaeval_names_what_is_wrong(tmp_path):
    bad = results(tmp_path, "b", [1, 1, 1, 7])
    assert re.search(
        r'"preference" from 1 to 2 in .*annotations.json, line \d+, but found 7', refusal("alpacaeval", bad)
    )
    (bad / "model_outputs.json").write_text('[\n{"instruction": "x", "output": "y"},\n{"instruction": 3}\n]')
    (bad / JUDGE / "annotations.json").write_text("[]")
    assert f"{bad / 'model_outputs.json'}, line 3" in refusal("alpacaeval", bad)
    (tmp_path / "empty").mkdir()
    assert "a model's folder with model_outputs.json" in refusal("alpacaeval", tmp_path / "empty")
