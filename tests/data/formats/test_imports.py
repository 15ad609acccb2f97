"""Public benchmarks as score files: small files in their formats, with texts of our own, and the shared data."""

from __future__ import annotations

import csv
import gzip
import json
import re
from pathlib import Path

import pytest

from zooter_core.cli.main import main
from zooter_core.data.formats import Options, import_file
from zooter_core.data.formats.reading import each_record, read_object
from zooter_core.data.scores import read_scores, read_texts
from zooter_core.errors import ZooterError

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"


def imported(name: str, *paths: Path, annotator: str | None = None) -> tuple[list[dict], Options]:
    """The lines of the score file, which is read as any score file is where it has scores."""
    options, out = Options(annotator), paths[0].parent / "out.jsonl"
    count = import_file(name, paths, out, options)
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").split("\n")[:-1]]
    assert len(lines) == count
    if "scores" in lines[0]:
        assert len(read_scores([out]).queries) == count
        read_texts([out])
    assert not list(out.parent.glob("*.partial"))
    return lines, options


def refusal(name: str, *paths: Path, annotator: str | None = None) -> str:
    """The message of an import that must fail, and leaves nothing."""
    out = paths[0].parent / "refused" / "out.jsonl"
    with pytest.raises(ZooterError) as caught:
        import_file(name, paths, out, Options(annotator))
    assert not out.parent.exists() or not list(out.parent.iterdir())
    return str(caught.value)


def write(path: Path, shape: object, **how) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(shape, **how), encoding="utf-8")
    return path


def shared(name: str) -> list[dict]:
    path = SHARED / f"{name}.jsonl.gz"
    if not path.is_file():
        pytest.skip(f"no {path}")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


# AlpacaEval

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


def test_alpacaeval_from_the_shared_data(tmp_path):
    records = shared("alpaca_eval_open6")
    models = list(records[0]["scores"])
    for model in models:
        outputs, annotations = [], []
        for record in records:
            base = {"instruction": record["query"], "dataset": record["dataset"].removeprefix("alpaca_eval/")}
            outputs.append(base | {"output": record["responses"][model], "generator": model})
            annotations.append(base | {"generator_2": model, "preference": record["scores"][model] + 1})
        write(tmp_path / model / "model_outputs.json", outputs)
        write(tmp_path / model / JUDGE / "annotations.json", annotations)
    lines, options = imported("alpacaeval", *(tmp_path / model for model in models))
    assert [line["query"] for line in lines] == [record["query"] for record in records]
    assert not options.left_out
    for line, record in zip(lines, records, strict=True):
        assert line["scores"] == pytest.approx(record["scores"])
        assert line["responses"] == {model: record["responses"][model] for model in models}
        assert line["dataset"] == record["dataset"]


# RouterDC

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


def test_routerdc_from_the_shared_data(tmp_path):
    records = shared("routerdc_train")
    by_set: dict[str, list[dict]] = {}
    for record in records:
        by_set.setdefault(record["dataset"], []).append(record)
    for name, members in by_set.items():
        write(tmp_path / "in" / f"{name}.json", [{"question": r["query"], "scores": r["raw"]} for r in members])
    lines, _ = imported("routerdc", tmp_path / "in")
    expected = [record for name in sorted(by_set) for record in by_set[name]]
    assert len(lines) == len(records) == 5911
    for line, record in zip(lines, expected, strict=True):
        assert (line["query"], line["dataset"], line["scores"]) == (
            record["query"], record["dataset"], record["scores"],
        )  # fmt: skip


def test_half_characters_do_not_stop_an_import(tmp_path):
    file = tmp_path / "gsm8k.json"
    file.write_text('[{"question": "half \\ud83d?", "scores": {"a": 1}}]')
    assert imported("routerdc", file)[0][0]["query"] == "half \ufffd?"


# RouterBench

COLUMNS = ["", "sample_id", "prompt", "eval_name", "m/one", "two"]
COLUMNS += ["m/one|model_response", "two|model_response", "m/one|total_cost", "two|total_cost"]
COLUMNS += ["oracle_model_to_route_to"]


def table(path: Path, rows: list[list], columns=COLUMNS) -> Path:
    with path.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([columns, *rows])
    return path


def row(n: int, one="1.0", two="0.0", prompt="['A line,\\nand \"another\"', 'more']") -> list:
    return [n, f"set.test.{n}", prompt, "set", one, two, "['A']", "plain", "0.001", "0.002", "two"]


def test_routerbench_reads_lists_of_texts_costs_and_responses(tmp_path):
    lines, _ = imported("routerbench", table(tmp_path / "a.csv", [row(1), row(2, prompt="It's plain\nin two lines")]))
    assert lines[0] == {
        "id": "set.test.1",
        "query": 'A line,\nand "another"\nmore',
        "scores": {"m/one": 1.0, "two": 0.0},
        "dataset": "set",
        "responses": {"m/one": "A", "two": "plain"},
        "cost": {"m/one": 0.001, "two": 0.002},
    }
    assert lines[1]["query"] == "It's plain\nin two lines"


def test_routerbench_without_costs_takes_every_other_column_as_a_model(tmp_path):
    columns = ["sample_id", "prompt", "eval_name", "a", "b"]
    lines, _ = imported("routerbench", table(tmp_path / "a.csv", [["1", "Hi?", "x", "0.5", "True"]], columns))
    assert lines == [{"id": "1", "query": "Hi?", "scores": {"a": 0.5, "b": 1.0}, "dataset": "x"}]


def test_routerbench_leaves_out_rows_without_a_score(tmp_path):
    lines, options = imported("routerbench", table(tmp_path / "a.csv", [row(1), row(2, one=""), row(3, two="nan")]))
    assert len(lines) == 1
    assert options.left_out == {"no score of m/one": 1, "no score of two": 1}


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([row(1), row(2, one="good")], "the column m/one of {file}, line 4"),
        ([row(1), row(2, one="inf")], "the column m/one of {file}, line 4"),
        ([row(1), row(2)[:-1]], "11 cells in {file}, line 4"),
        ([row(1), row(2, prompt=" ")], "a prompt in {file}, line 4"),
    ],
)
def test_routerbench_names_a_wrong_row_by_file_and_line(tmp_path, rows, problem):
    """The first row takes two lines of the file."""
    rows[0][2] = "two\nlines"
    file = table(tmp_path / "a.csv", rows)
    assert problem.format(file=file) in refusal("routerbench", file)


def test_routerbench_merges_rows_that_complete_each_other(tmp_path):
    """As in the released tables: a row for each wording of a prompt, with the scores of the models that had it.

    Both rows have every response, and their costs differ with the prompt's length: each model's are those beside its
    score.
    """
    columns = [*COLUMNS[:6], "three", *COLUMNS[6:10], "three|model_response", "three|total_cost"]
    both = ["A", "B", "0.1", "0.2", "C", "0.3"]
    one = [0, "id", "['Say it.']", "set", "", "0.5", "", "X", *both[1:]]
    two = [1, "id", "['Say it!']", "set", "1.0", "", "0.0", "A", "B", "0.4", "0.5", "C", "0.6"]
    first = [2, "first", "Hello?", "set", "1", "1", "1", *both]
    lines, options = imported("routerbench", table(tmp_path / "a.csv", [first, one, two], columns))
    assert [line["id"] for line in lines] == ["first", "id"]
    assert lines[1] == {
        "id": "id",
        "query": "Say it!",
        "scores": {"m/one": 1.0, "two": 0.5, "three": 0.0},
        "dataset": "set",
        "responses": {"m/one": "A", "two": "B", "three": "C"},
        "cost": {"m/one": 0.4, "two": 0.2, "three": 0.6},
    }
    assert list(lines[1]["scores"]) == ["m/one", "two", "three"]
    assert options.notes == ["Queries with several rows, which were merged: 1."]


def test_routerbench_merges_rows_of_several_files_and_leaves_out_what_stays_incomplete(tmp_path):
    one = table(tmp_path / "a.csv", [row(1, one=""), row(2, one="")])
    two = table(tmp_path / "b.csv", [row(1, two="nan"), row(2, one="")])
    lines, options = imported("routerbench", one, two)
    assert [line["scores"] for line in lines] == [{"m/one": 1.0, "two": 0.0}]
    assert options.left_out == {"no score of m/one": 1}


@pytest.mark.parametrize(
    ("second", "problem"),
    [
        (row(1, one="0.0"), 'one score of m/one for the sample_id "set.test.1", but found 1 and 0 in {file}, line 4'),
        ([*row(1, one="")[:3], "other", *row(1)[4:]], 'one eval_name for the sample_id "set.test.1"'),
    ],
)
def test_routerbench_refuses_rows_that_contradict_each_other(tmp_path, second, problem):
    file = table(tmp_path / "a.csv", [row(1, prompt="two\nlines"), second])
    assert problem.format(file=file) in refusal("routerbench", file)


def test_routerbench_of_other_columns_is_refused(tmp_path):
    assert "columns sample_id, eval_name" in refusal("routerbench", table(tmp_path / "a.csv", [], ["prompt", "x"]))
    assert "a column a model" in refusal("routerbench", table(tmp_path / "b.csv", [], COLUMNS[1:4]))
    one = table(tmp_path / "c.csv", [row(1)])
    two = table(tmp_path / "d.csv", [["1", "q", "e", "1"]], ["sample_id", "prompt", "eval_name", "z"])
    assert "the models of the first file" in refusal("routerbench", one, two)


def test_routerdc_takes_routerbench_tables_too(tmp_path):
    table(tmp_path / "arc_test.csv", [row(1)])
    assert imported("routerdc", tmp_path / "arc_test.csv")[0][0]["id"] == "set.test.1"


# LLMRouterBench


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


# Reading


@pytest.mark.parametrize("layout", ["dense", "wide", "lines", "odd"])
def test_json_is_read_whatever_its_layout(tmp_path, layout):
    records = [
        {"n": n, "text": '\\ " ☕ 杯子 😀'[: n % 11], "deep": [{"a": [n, -1.5e3, None, True]}]} for n in range(30)
    ]
    text, lines = {
        "dense": (json.dumps(records), [1] * 30),
        "wide": (json.dumps(records, indent=4), [2 + 14 * n for n in range(30)]),
        "lines": ("\n\n".join(map(json.dumps, records)) + "\n", [1 + 2 * n for n in range(30)]),
        "odd": (
            "\ufeff [" + " ,\r\n ".join(json.dumps(r, ensure_ascii=False) for r in records) + " ] ",
            [1 + n for n in range(30)],
        ),
    }[layout]
    file = tmp_path / "a.json"
    file.write_bytes(text.encode("utf-8"))
    assert list(each_record(file)) == [(f"{file}, line {n}", r) for n, r in zip(lines, records, strict=True)]


def test_an_empty_array_has_no_records_and_is_no_object(tmp_path):
    file = write(tmp_path / "a.json", [])
    assert list(each_record(file)) == []
    with pytest.raises(ZooterError, match="a JSON object in"):
        read_object(file)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[\n{"a": 1},\n{"a": }\n]', 3),
        ('[\n{"a": 1}\n{"a": 2}\n]', 3),
        ('[\n{"a": 1},\n', 3),
        ('[\n{"a": 1},\n]', 3),
        ('[\n{"a": 1},\n{"a": "no end', 3),
        ('{"a": 1}\nnonsense\n', 2),
        ('[\n{"a": 1},\n' + "[" * 100_000, 3),
        ('[\n{"a": 1},\n{"a": ' + "9" * 5000 + "}]", 3),
    ],
)
def test_broken_json_is_named_by_line(tmp_path, text, line):
    file = tmp_path / "a.json"
    file.write_text(text)
    with pytest.raises(ZooterError, match=rf"a\.json, line {line}\b"):
        list(each_record(file))


def test_a_truncated_gzip_file_is_named(tmp_path):
    file = tmp_path / "a.json.gz"
    file.write_bytes(gzip.compress(json.dumps([{"a": n} for n in range(9999)]).encode())[:-2000])
    with pytest.raises(ZooterError, match="a readable file"):
        list(each_record(file))


# The command


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
