from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from zooter_core.base.errors import ZooterError
from zooter_core.data.score_records import score_records
from zooter_core.data.scores import read_queries, read_scores, read_texts

ROOT = Path(__file__).parents[2]
EXAMPLE, ROWS_OF_ONE_QUERY = re.findall(
    r"```\n(query,.*?)```", (ROOT / "docs" / "scores.md").read_text(encoding="utf-8"), re.DOTALL
)


@pytest.mark.parametrize("name", ["scores.csv", "scores.csv.gz", "scores.tsv"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_the_table_in_the_docs(write, name, encoding):
    text = EXAMPLE.replace(",", "\t") if ".tsv" in name else EXAMPLE
    path = write(text.replace("\n", "\r\n").encode(encoding), name=name)
    scores = read_scores([path])
    assert [query.text for query in scores.queries] == ["What is 7 * 8?"]  # the other has a score of one model alone
    assert scores.left_out == 1
    assert (scores.candidates, scores.datasets) == (("small", "large"), ["maths"])
    assert scores.scores.tolist() == [[0.4, 0.9]]
    assert read_texts([path], scores) == [{}]


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16"])
@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_table_as_a_spreadsheet_writes_it(write, encoding, separator):
    text = 'Nr.;Question;Category; org/small-7b ;"GPT 5, large";id;note\n'
    text += '1;"2; 3";maths;0,5;1,25;7;1 remark\n2;"two\nlines";chat;NA;-;8;\n3;Grüße;chat;-,5;3;9;\n'
    text = "sep=;\n" + text if separator == ";" else text.replace(";", "\t").replace("2\t 3", "2; 3")
    scores = read_scores([write(text.encode(encoding), name="a.csv" if separator == ";" else "a.txt")])
    assert scores.candidates == ("org/small-7b", "GPT 5, large")
    assert [(query.id, query.text) for query in scores.queries] == [("7", "2; 3"), ("9", "Grüße")]
    assert np.array_equal(scores.scores, [[0.5, 1.25], [-0.5, 3.0]])


ROWS = [("“Grüße”; all", {"a": 0.5, "b": 1.0}), ("2, 3?", {"a": 0.25, "b": 0.0})]
LONG = [(text, name, score) for name in "ab" for text, scores in ROWS for score in [scores[name]]]
QUERIES = [text for text, _ in ROWS]
WIDE = "".join(f'{n},"{text}",{scores["a"]},{scores["b"]}\n' for n, (text, scores) in enumerate(ROWS))
MODELS = {name: [(text, scores[name]) for text, scores in ROWS] for name in "ab"}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", [{"prompt": text, "scores": scores} for text, scores in ROWS]),
        ("a.json", [{"Unnamed: 0": 7, "prompt": text, **scores, "answer": 4, "cost_usd": 2} for text, scores in ROWS]),
        (
            "a.json",
            [{"qid": 7, "prompt": text, **scores, "Correct answer": 4, "created_at": 2} for text, scores in ROWS],
        ),
        ("a.csv", "text,model,correct\n" + "".join(f'"{q}",{m},{s}\n' for q, m, s in LONG)),
        ("a.jsonl", "\n".join(json.dumps({"messages": [{"role": "user", "content": q}], **s}) for q, s in ROWS)),
        ("a.csv", "query,scores\n" + "".join(f'"{text}","{scores}"\n' for text, scores in ROWS)),
        ("a.csv", "id,Model,Prompt,score,ms\n" + "".join(f'1,{m},"{q}",{s},9\n' for q, m, s in LONG) + ",,,,\n"),
        ("a.csv", "query,model,is_correct\n" + "".join(f'"{q}",{m},{s}\n' for q, m, s in LONG)),
        (
            "a.csv",
            "query,a_score,b_score,a_cost,of\n" + "".join(f'"{q}",{s["a"]},{s["b"]},7,3/2026\n' for q, s in ROWS),
        ),
        (
            "a.csv",
            "query,a Rating (1-5),Score (b),temperature\n" + "".join(f'"{q}",{s["a"]},{s["b"]},7\n' for q, s in ROWS),
        ),
        ("a.csv", "query;candidate;Score\n" + "".join(f'"{q}";{m};{s}\n'.replace(".", ",") for q, m, s in LONG)),
        ("a.json", {n: dict(enumerate(c)) for n, c in (("prompt", QUERIES), ("a", [0.5, 0.25]), ("b", [1, 0]))}),
        ("a.json", {"name": "mine", "results": [{"query": text, "scores": scores} for text, scores in ROWS]}),
        ("a.json", [{"model": m, "n": 1, "items": [{"prompt": q, "score": s} for q, s in MODELS[m]]} for m in "ab"]),
        (
            "a.json",
            [
                {"prompt": q, "tags": ["x"], "completions": [{"model": m, "overall_score": s} for m, s in s.items()]}
                for q, s in ROWS
            ],
        ),
        ("a.json", [{"timestamp": 9, "question": q, "model_name": m, "performance": s, "id": 3} for q, m, s in LONG]),
        ("a.jsonl", "\n".join(json.dumps({"instruction": q, "model": m, "reward": s}) for q, m, s in LONG)),
        ("a.table.json", {"columns": ["prompt", "a", "b"], "data": [[q, *s.values()] for q, s in ROWS], "ncols": 3}),
        ("a.csv", "query,model,rating,confidence\n" + "".join(f'"{q}",{m},{s},9\n' for q, m, s in LONG)),
        (
            "a.json",
            [{"question": q, "results": {m: {"answer": "x", "score": s} for m, s in s.items()}} for q, s in ROWS],
        ),
        ("a.json", dict(ROWS)),
        ("a.json", {m: dict(rows) for m, rows in MODELS.items()}),
        ("a.json", {f"q{n}": {"question": q, "scores": s} for n, (q, s) in enumerate(ROWS)}),
        ("a.json", {m: [{"query": q, "score": s} for q, s in rows] for m, rows in MODELS.items()}),
        ("a.json", {"query": QUERIES, "a": [0.5, 0.25], "b": [1, 0]}),
        ("a.json", [{"prompt": q, "ratings": s} for q, s in ROWS]),
        ("a.csv", "Results of May,,,\n,,,\nNr.,Query,a,b\n" + WIDE + "Average,,4,5\n,Grand total:,4,5\n"),
        ("a.csv", "Nr.;Frage;a;b\n" + WIDE.replace(",", ";").replace("2; 3", "2, 3") + ";Mittelwert;4;5\n"),
        ("a.csv", "问题;模型;评分\n" + "".join(f'"{q}";{m};{s}\n' for q, m, s in LONG)),
        (
            "a.csv",  # of merged cells
            "query,model,score\n" + "".join(f'"{q}",a,{s["a"]}\n,b,{s["b"]}\n' for q, s in ROWS),
        ),
        (
            "a.csv",  # of promptfoo, shorter
            "query,a,Status,Score,Metric: f1,b,Status,Score,Metric: f1\n"
            + "".join(f'"{q}",x,PASS,{s["a"]},1,y,FAIL,{s["b"]},1\n' for q, s in ROWS),
        ),
        (
            "a.json",
            {
                "results": {
                    "prompts": [{"raw": "{{q}}"}],
                    "results": [
                        {"provider": {"id": m, "label": ""}, "prompt": {"raw": q}, "score": s} for q, m, s in LONG
                    ],
                }
            },
        ),
        ("a.csv", "prompt,a (%),b [0-5]\n" + "".join(f"\"['{q}']\",{s['a']},{s['b']}\n" for q, s in ROWS)),
        (
            "a.jsonl",
            "\n".join(
                json.dumps({"input": q, "output": "x", "metadata": {"model": m}, "scores": {"f1": s}})
                for q, m, s in LONG
            ),
        ),
        ("a.json", {n: {"prompt": q, **s} for n, (q, s) in enumerate(ROWS)}),
        ("a.json", [{"prompt": q, **{m: {"text": "x", "score": s} for m, s in s.items()}} for q, s in ROWS]),
        ("a.json", [{"prompt": q, "scores": [{"model": m, "score": s} for m, s in s.items()]} for q, s in ROWS]),
        (
            "a.json",
            [{"prompt": q, "responses": {m: {"text": "x", "score": s} for m, s in s.items()}} for q, s in ROWS],
        ),
    ],
)
def test_one_table_in_the_forms_that_people_have(write, name, content):
    path = write(content, name=name)
    scores = read_scores([path])
    assert [query.text for query in scores.queries] == [text for text, _ in ROWS]
    assert (scores.candidates, scores.scores.tolist()) == (("a", "b"), [[0.5, 1.0], [0.25, 0.0]])


ASK = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hey"}, {"role": "user", "content": "So?"}]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "Prompt,Model A,Model B,Winner\nHi,x,y,A\nHi,y,z,Tie\nHi,z,x,Model B\nHi,x,y,\n"),
        ("a.csv", "prompt,model_1,model_2,Preferred\nHi,x,y,x\nHi,y,z,both bad\nHi,x,z,x\n"),
        ("a.csv", "prompt,winner,loser\nHi,x,y\nHi,y,z\nHi,x,z\nHi,z,y\nHi,x,y\nHi,x,z\n"),
        (
            "a.csv",
            """prompt,model_a,model_b,response_a,response_b,winner_model_a,winner_model_b,winner_tie
"[""Hi"", ""So?""]",x,y,"[""7"", ""8""]",7,1,0,0\n"[""Hi"", ""So?""]",y,z,8,8,0,0,1\nHi,z,x,9,9,0,1,0\n""",
        ),
        (
            "a.json",
            [
                {"instruction": "Hi", "generator_1": one, "generator_2": other, "preference": n, "time_per_example": 9}
                for one, other, n in [("x", "y", 1.0), ("y", "z", 1.5), ("z", "x", 2.0), ("x", "y", None)]
            ],
        ),
        (
            "a.json",
            [
                {"model_a": one, "model_b": other, "winner": winner, "conversation_a": ASK, "turn": 2}
                for one, other, winner in [("x", "y", "model_a"), ("y", "z", "tie (bothbad)"), ("z", "x", "model_b")]
            ],
        ),
        (
            "a.json",
            [
                {
                    "data": {"model_id": one, "sibling_model_ids": [*rivals], "rating": rating},
                    "snapshot": {"chat": {"chat": {"messages": ASK[:2]}}},
                }
                for one, rivals, rating in zip(
                    "xyyxyz", ("y", "z", "z", "z", "", ""), (1, 1, -1, 1, -1, -1), strict=True
                )
            ],
        ),
    ],
    ids=["own", "named", "decided", "a column for each outcome", "AlpacaEval", "Chatbot Arena", "Open WebUI"],
)
def test_votes_between_two_models_are_scores(write, name, content):
    scores = read_scores([write(content, name=name)])
    assert [query.text for query in scores.queries] == ["Hi"]
    assert (scores.candidates, scores.scores.tolist()) == (("x", "y", "z"), [[1.0, 0.25, 0.25]])


def test_a_parquet_file_as_the_hub_has_it(tmp_path):
    path = tmp_path / "train-00000-of-00001.parquet"
    parquet.write_table(pyarrow.Table.from_pylist([{"prompt": text} | scores for text, scores in ROWS]), path)
    scores = read_scores([path])
    assert [query.text for query in scores.queries] == [query.text for query in read_queries(path)]
    assert sorted(zip(scores.candidates, scores.scores.T.tolist(), strict=True)) == [("a", [0.5, 0.25]), ("b", [1, 0])]
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ZooterError, match="a readable file"):
        read_scores([path])


def test_rows_of_a_query_make_a_line_with_the_mean_of_each_model_over_all_files(write):
    one = write("query,model,score,response,dataset\nHi,a,1,yes,x\nHi,a,0,no,x\nHo,a,1,ja,y\n", name="one.csv")
    other = write("query,model,score,response\nHi ,b ,3,si\nHo,b,,oui\n", name="other.csv")
    scores = read_scores([one, other])
    assert ([query.text for query in scores.queries], scores.datasets, scores.left_out) == (["Hi"], ["x"], 1)
    assert scores.scores.tolist() == [[0.5, 3.0]]
    assert read_texts([one, other], scores) == [{"a": "no", "b": "si"}]
    shown = read_scores([write(ROWS_OF_ONE_QUERY, name="a.csv")])
    assert (shown.candidates, shown.scores.tolist()) == (("small", "large"), [[0.4, 0.9]])


def test_samples_of_lm_evaluation_harness_are_scores_of_the_model_that_their_folder_names(tmp_path, write):
    doc = {"question": "How many?", "answer": "#### 4"}
    new = {"doc_id": 0, "doc": doc, "target": "4", "arguments": {"gen_args_0": {"arg_0": "Q: How many?\nA:"}}}
    old = {
        "doc_id": 1,
        "doc": {"ctx_a": "Then"},
        "target": 2,
        "arguments": [["Then he", " runs"], ["Then he", " sits"]],
    }
    for name, right in {"a": 1.0, "b": 0.0}.items():
        lines = [new | {"metrics": ["exact_match"], "bleu": 9.0, "exact_match": right}, old | {"acc": 1 - right}]
        write(*lines, name=f"org__{name}/samples_gsm8k_2026-11-30T01.jsonl")
    scores = read_scores(sorted(tmp_path.glob("*/samples_*.jsonl")))
    assert [query.text for query in scores.queries] == ["How many?", "Then he"]
    assert (scores.candidates, scores.scores.tolist()) == (("org/a", "org/b"), [[1.0, 0.0], [0.0, 1.0]])
    assert scores.datasets == ["gsm8k", "gsm8k"]
    with pytest.raises(ZooterError, match=r"none: a browser sends files without folders\. Name each file after"):
        read_scores([write(new, name="samples_x/samples_x.jsonl")])


def test_a_file_with_one_column_of_scores_is_named_after_its_model(write):
    for text in (
        "query,score,ms\nHi,{n},5\nHo,,6\n",
        "query,prediction,correct,rating,length\nHi,no,Hi,{n},7\n",
        "query,output,score,fluency\nHi,no,{n},7\n",
    ):
        files = [write(text.format(n=n), name=f"llama3.{n}.csv") for n in (1, 2)]
        scores = read_scores(files)
        assert (scores.candidates, scores.scores.tolist()) == (("llama3.1", "llama3.2"), [[1.0, 2.0]])


def test_the_columns_of_files_with_one_model_each_are_joined_by_query(write):
    texts = ("query,{name}\nHi,{n}\nHo,3\n", "inputs.query,outputs.output,faithfulness\nHi,no,{n}\nHo,hm,3\n")
    for text in texts:
        files = [write(text.format(n=n, name=name), name=f"{name}.csv") for n, name in enumerate("ab")]
        scores = read_scores(files)
        assert [query.text for query in scores.queries] == ["Hi", "Ho"]
        assert (scores.candidates, scores.scores.tolist()) == (("a", "b"), [[0.0, 1.0], [3.0, 3.0]])


def test_the_numbers_of_the_rows_are_no_scores_whatever_their_column_is_called(write):
    rows = "".join(f"{n};Why {n}?;{n % 3};{n % 2}\n" for n in range(1, 11))
    scores = read_scores([write(f"Lfd.;Frage;a;b\n{rows};Ø (n=10);1;1\n", name="a.csv")])
    assert (scores.candidates, len(scores.queries)) == (("a", "b"), 10)
    assert read_scores([write("N°,query,a,b\n1,Hi,3,1\n2,Ho,1,3\n", name="a.csv")]).candidates == ("a", "b")


def test_a_model_that_joins_may_have_a_file_of_its_own_in_any_form(write):
    wide = write("query,a,b\nHi,1,2\nHo,3,4\nHi,5,6\n", name="a.csv")
    lines = [{"query": q, "scores": {m: 3}, "responses": {m: "no"}} for m in "cd" for q in ("Hi", "Ho")]
    later = [write(*lines[n : n + 2], name=f"{n}.jsonl") for n in (0, 2)]
    long = write("query,model,score\nHi,e,7\nHo,e,7\n", name="long.csv")
    files = [wide, *later, long]
    scores = read_scores(files)
    assert [query.text for query in scores.queries] == ["Hi", "Ho", "Hi"]  # a repeat stays one
    assert scores.candidates == (*"abcde",)
    assert scores.scores[:2].tolist() == [[1, 2, 3, 3, 7], [3, 4, 3, 3, 7]]
    assert read_texts(files, scores) == [{"c": "no", "d": "no"}] * 2 + [{}]


def test_a_table_of_responses_has_a_column_for_each_model(write):
    text = "query,reference,small answer,large answer\nHi,Hello,7,Hey\nHo,Ho,ja,\nHe,He,oh,so\n"
    records = [record["responses"] for _, _, record in score_records([write(text, name="a.csv")])]
    assert records == [{"small": "7", "large": "Hey"}, {"small": "ja", "large": None}, {"small": "oh", "large": "so"}]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("wide.csv", "query,small,large\n2 + 2?,4,It is 4.\n3 + 3?,0,It is 6.\n"),
        (
            "wide.json",
            """[{"query": "2 + 2?", "small": 4, "large": "It is 4."},
{"query": "3 + 3?", "small": 0, "large": "It is 6."}]""",
        ),
        (
            "long.jsonl",
            """{"query": "2 + 2?", "model": "small", "response": 4}
{"query": "2 + 2?", "model": "large", "response": "It is 4."}
{"query": "3 + 3?", "model": "small", "response": 0}
{"query": "3 + 3?", "model": "large", "response": "It is 6."}""",
        ),
    ],
)
def test_a_model_may_answer_with_numbers_alone(write, name, text):
    records = [record for _, _, record in score_records([write(text, name=name)], responses=True)]
    texts = [{"small": "4", "large": "It is 4."}, {"small": "0", "large": "It is 6."}]
    assert [record["responses"] for record in records] == texts


def test_words_and_percents_are_scores(write):
    path = write(
        'query,a,b\n1,pass,FAIL\n2,WAHR,FALSCH\n3,85%,"7,5\u00a0%"\n4,#NV,correct\n5,#DIV/0!,—\n', name="a.csv"
    )
    signs = write("query,a,b\n1,win,Tie\n2,80% (good),3.5 out of 5\n3,✅,👎\n4,0.8,1\n", name="signs.csv")
    assert read_scores([signs]).scores.tolist() == [[1, 0.5], [0.8, 0.7], [1, 0], [0.8, 1]]
    stars = write("query,a,b\n1,★★★☆,⭐\ufe0f⭐\ufe0f\n", name="stars.csv")
    assert read_scores([stars]).scores.tolist() == [[3, 2]]
    large = write('query,a,b\n1,"1.234,5","1,234.5"\n2,"1.234.567,8","1,234"\n', name="large.csv")
    assert read_scores([large]).scores.tolist() == [[1234.5, 1234.5], [1_234_567.8, 1.234]]
    line = '{"query": "6", "scores": {"a": true, "b": "0.5"}}\n{"query": "7", "scores": {"a": NaN, "b": false}}'
    scores = read_scores([path, write(line, name="b.jsonl")])
    assert (scores.scores.tolist(), scores.left_out) == ([[1, 0], [1, 0], [0.85, 0.075], [1, 0.5]], 3)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "at least one query"),
        ("query,a,b\n", "at least one query"),
        ("ask,a,b\nHi,1,2\n", "the fields ask, a, b. Rename the field with the query"),
        ("instance_id,a,b\nid1,1,2\n", "join the two files by their ids"),
        ("query,a,b\nHi,1,2\nHello,poor,2\n", "a number as the score of a in"),
        (
            "query,a,b\nHi,8/10,.7\nHello,8.3,7\n",
            "one scale, but found 8/10 for a in FILE, line 2 and 8.3 for a in FILE",
        ),
        ("query,model,score\nHi,a,83%\nHi,b,8.5\n", "83% for a in FILE, line 2 and 8.5 for b in FILE, line 3"),
        ("query,a,b\nHi, you,1,2\n", "3 cells in"),
        ("query,a,b\nHello,1,2\nHi, you,1,2\n", "but found 4"),
        ("query,a,b\n,1,2\n", '"query" as a text that is not empty'),
        ("query,a,b\nHi,hello,hey\n", "responses of a, b alone. Score them with `zooter score"),
        ("query,a\nHi,hello\n", "no numbers in the columns a"),
        ("Results\nquery,a,b\nHi,1,2\n", "The first line of a table names its columns"),
        ("query,id,cost_usd,answer\nHi,1,2,3\n", "scores in"),
        ("query,rater,mark\nHi,ann,1\n", "those of mark alone. Add scores of others on the same queries, in a column"),
        ("query,model,score\nHi,a,1\n", "those of a alone"),
        ("query,model,score\nHi,a,1\nHi,,2\n", "the name of a model in"),
        ("user_input,response,faithfulness,relevancy\nHi,no,1,2\n", "one column of scores beside the responses in"),
        ("query,model,mark,points\nHi,a,1,2\n", 'a column "score" or "response" beside "model" in'),
        (
            '{"input": "Hi", "model": "a", "output": "x", "scores": {"f1": 1, "em": 0}}\n',
            "the columns input, model, f1, em",
        ),
        ("query,a,\x1b[2J\nHi,1,2\n", "for a candidate in"),
        (
            "query,rank_a,rank_b\nHi,1,2\n",
            "the columns query, rank_a, rank_b. Name a column of scores (higher is better) after",
        ),
        ("prompt,chosen,rejected,score_chosen,score_rejected\nHi,a,b,9,1\n", "scores in"),
        ("query,model_a,model_b,winner\nHi,a,b,left\n", """found 'left'. Write "model_a", "model_b" or "tie\""""),
        ("query,answer\nHi,3\n", "`zooter run` scores queries that have none."),
        ("PK\x03\x04\n", "an archive or an Office file (Excel, Word) at"),
    ],
)
def test_what_is_wrong_in_a_table_is_named(write, text, problem):
    path = write(text, name="a.csv")
    with pytest.raises(ZooterError) as caught:
        read_scores([path]).check_choice()
    assert problem.replace("FILE", str(path)) in str(caught.value)
    assert str(path) in str(caught.value)


def test_files_of_one_model_each_have_one_scale_together(write):
    files = [write(f"query,score\nHi,{score}\n", name=f"{name}.csv") for name, score in (("a", "8/10"), ("b", "8.3"))]
    for paths in (files, files[::-1]):
        with pytest.raises(ZooterError, match=r"8/10 for a in .*a.csv, line 2 and 8\.3 for b in .*b.csv, line 2"):
            read_scores(paths)
