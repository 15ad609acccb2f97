"""RouterDC's files, and what holds for every import: the command, and imports without any query."""

from __future__ import annotations

import json

import pytest

from support.format_imports import imported, refusal, write
from zooter_core.base.errors import ZooterError
from zooter_core.cli.main import main
from zooter_core.data.formats import Options, import_file

MODELS = ["org/one", "org/two"]


def question(n: int, *scores: float, **more) -> dict:
    return {"question": f"Question {n}?", "scores": dict(zip(MODELS, scores, strict=True)), **more}


def test_routerdc_scores_stay_but_probabilities_become_right_or_wrong(tmp_path):
    one = write(tmp_path / "gsm8k-train.json", [question(0, 0.3, 1), question(1, 0, 0.5, cluster_id=4)])
    two = write(tmp_path / "mmlu_train.json", [question(2, 0.3, 0.0)])
    lines, options = imported("routerdc", one, two)
    assert [list(line["scores"].values()) for line in lines] == [[0.3, 1], [0, 0.5], [1, 0]]
    assert [line["id"] for line in lines] == ["gsm8k-train/00000", "gsm8k-train/00001", "mmlu_train/00000"]
    assert [line["dataset"] for line in lines] == ["gsm8k-train", "gsm8k-train", "mmlu_train"]
    assert options.notes == ["mmlu_train: a score above 0 is a right answer and counts as 1."]


@pytest.mark.parametrize(
    ("second", "problem"),
    [
        ({"question": "x", "scores": {"org/one": 1}}, "org/two"),
        ({"question": "x", "scores": {"org/one": 1, "org/two": "high"}}, 'the score of "org/two" as a number'),
        ({"question": 7, "scores": {"org/one": 1, "org/two": 0}}, '"question" as a text'),
        ({"question": "x"}, '"scores" as an object'),
        ([1], "a JSON object"),
    ],
)
def test_routerdc_names_a_wrong_record_by_file_and_line(tmp_path, second, problem):
    file = tmp_path / "gsm8k.json"
    file.write_text("[\n" + json.dumps(question(0, 1, 0)) + ",\n\n" + json.dumps(second) + "\n]\n")
    message = refusal("routerdc", file)
    assert problem in message
    assert f"{file}, line 4" in message


def test_half_characters_do_not_stop_an_import(tmp_path):
    file = tmp_path / "gsm8k.json"
    file.write_text('[{"question": "half \\ud83d?", "scores": {"a": 1}}]')
    assert imported("routerdc", file)[0][0]["query"] == "half \ufffd?"


def test_import_as_a_command(tmp_path, capsys):
    file = write(tmp_path / "mmlu.json", [question(0, 0.2, 0)])
    assert main(["import", "routerdc", str(file), "--out", str(tmp_path / "deep" / "o.jsonl")]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "1 lines in" in err.replace("\n", "")
    assert main(["import", "routerd", str(file), "--out", "x"]) == 2
    assert main(["import", "routerdc", str(tmp_path / "none"), "--out", "x"]) == 2
    assert "nothing at" in capsys.readouterr().err


def test_an_empty_import_is_refused_and_an_old_file_stays(tmp_path):
    out = tmp_path / "out.jsonl"
    out.write_text("old")
    with pytest.raises(ZooterError, match="at least one query"):
        import_file("routerdc", [write(tmp_path / "a.json", [])], out, Options())
    assert out.read_text() == "old"
