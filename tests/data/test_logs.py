"""The one reader of owners' logs."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections import Counter
from pathlib import Path

import pytest

from zooter_core.base.errors import ZooterError
from zooter_core.data.logs import Log, read_logs

ASK = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "How?"}]
CALL = {
    "call_type": "acompletion", "id": "r", "model": "gpt-x", "startTime": 1_760_000_000.0, "endTime": 1_760_000_001.5,
    "messages": ASK, "response": {"choices": [{"message": {"content": "so"}}]},
}  # fmt: skip


def read(*paths: Path) -> tuple[list[Log], dict[str, int]]:
    left_out: Counter[str] = Counter()
    return list(read_logs(paths, left_out)), dict(left_out)


def constructor(kind: str, text: str) -> dict:
    """A message as LangChain serialises it."""
    return {"lc": 1, "type": "constructor", "id": ["langchain", "messages", kind], "kwargs": {"content": text}}


OUTPUT_TEXT = [{"type": "output_text", "text": "so"}]
RESPONSES = {
    "output": [{"type": "reasoning", "summary": []}, {"type": "message", "role": "assistant", "content": OUTPUT_TEXT}]
}
SERIALISED = {
    "id": "run", "run_type": "llm", "start_time": "2026-01-02T03:04:05.5", "end_time": "2026-01-02T03:04:06.5",
    "inputs": {"messages": [[constructor("SystemMessage", "s"), constructor("HumanMessage", "How?")]]},
    "outputs": {"generations": [[{"text": "so", "type": "ChatGeneration", "message": constructor("AIMessage", "so")}]]},
    "extra": {"metadata": {"ls_model_name": "gpt-x", "thread_id": "t"}}, "session_id": "the project",
    "prompt_tokens": 7, "completion_tokens": 3,
}  # fmt: skip
OBSERVATION = {
    "id": "o", "traceId": "t", "type": "GENERATION", "model": "gpt-x", "input": ASK,
    "startTime": "2026-01-02T03:04:05Z", "endTime": "2026-01-02T03:04:06Z",
    "output": {"role": "assistant", "content": "so"}, "usageDetails": {"input": 7, "output": 3}, "totalCost": 0.25,
}  # fmt: skip
ANSWER = {"role": "assistant", "content": "so"}
THOUGHT = {"role": "assistant", "content": [{"type": "thinking", "thinking": "x"}, {"type": "text", "text": "so"}]}
GEMINI = {"candidates": [{"content": {"role": "model", "parts": [{"text": "so"}]}}]}
NODES = {  # two answers of ChatGPT to one query
    "root": {"message": None, "parent": None},
    "ask": {"message": {"author": {"role": "user"}, "content": {"parts": ["How?"]}}, "parent": "root"},
    "a": {"message": {"author": {"role": "assistant"}, "content": {"parts": ["so"]}}, "parent": "ask"},
    "b": {"message": {"author": {"role": "assistant"}, "content": {"parts": ["no"]}}, "parent": "ask"},
}
CLAUDE = [{"sender": "human", "text": "How?"}, {"sender": "assistant", "content": [{"type": "text", "text": "so"}]}]
TRACE = {"id": "t", "timestamp": "2026-01-02 03:04:05.5", "input": "How?", "output": "so", "userId": "u"}


@pytest.mark.parametrize(
    ("record", "values"),
    [
        ({"messages": [*ASK, ANSWER]}, {}),
        ({"prompt": "How?", "response": "so", "model": "gpt-x"}, {"candidate": "gpt-x"}),
        ({"ts": 1_760_000_000, "prompt": "How?", "completion": "so"}, {"time": 1_760_000_000}),
        ({"instruction": "How?", "input": "", "output": "so"}, {}),
        ({"timestamp": 1_760_000_000, "request": {"model": "gpt-x", "messages": ASK},
          "response": CALL["response"] | {"usage": {"prompt_tokens": 7}}},
         {"time": 1_760_000_000, "candidate": "gpt-x", "prompt_tokens": 7}),
        ({"request": {"model": "gpt-x", "messages": ASK}, "response": "so"}, {"candidate": "gpt-x"}),
        ({"query": "How?", "answer": "so", "seconds": "2.5", "tokens": "3"}, {"seconds": 2.5, "tokens": 3}),
        (CALL, {"name": "r", "seconds": 1.5, "time": 1_760_000_001.5}),
        (CALL | {"messages": json.dumps(ASK), "response": json.dumps(CALL["response"])}, {}),
        (CALL | {"messages": "{}", "proxy_server_request": json.dumps({"model": "m", "messages": ASK})}, {}),
        (CALL | {"call_type": "aresponses", "messages": "How?", "response": RESPONSES}, {}),
        (CALL | {"call_type": "atext_completion", "response": {"choices": [{"text": "so"}, {"text": "no"}]}}, {}),
        (CALL | {"call_type": "anthropic_messages", "response": THOUGHT}, {}),
        (CALL | {"call_type": "agenerate_content", "response": GEMINI,
                 "messages": {"contents": [{"parts": [{"text": "How?"}]}]}}, {}),
        ({"conversations": [{"from": "human", "value": "How?"}, {"from": "gpt", "value": "so"}]}, {}),
        ({"conversation_id": "c", "model": "vicuna", "conversation": [{"role": "user", "content": "How?"}, ANSWER]},
         {"candidate": "vicuna", "session": "c"}),
        (OBSERVATION, {"seconds": 1, "prompt_tokens": 7, "tokens": 3, "dollars": 0.25, "session": "t"}),
        (TRACE | {"sessionId": "s"}, {"session": "s", "time": 1_767_323_045.5}),
        (TRACE | {"input": {"messages": ASK}, "output": [ANSWER]}, {}),
        (SERIALISED, {"seconds": 1, "session": "t", "candidate": "gpt-x", "prompt_tokens": 7, "tokens": 3}),
        ({"id": "e", "inputs": {"question": "How?"}, "outputs": {"answer": "so"}, "created_at": 1_760_000_000},
         {"time": 1_760_000_000}),
        ({"title": "x", "mapping": NODES, "current_node": "a"}, {}),
        ({"name": "x", "created_at": 1_760_000_000, "chat_messages": CLAUDE}, {"time": 1_760_000_000}),
        ({"title": "x", "chat": {"models": ["m"], "messages": [*ASK, ANSWER]}}, {}),  # Open WebUI
        ({"type": "rating", "data": {"rating": 1, "model_id": "m", "sibling_model_ids": ["n"]}, "created_at": 1.7e9,
          "snapshot": {"chat": {"chat": {"messages": [*ASK, ANSWER]}}}}, {"candidate": "m", "time": 1.7e9}),
        ({"inputs": {"messages": ASK}, "outputs": {"messages": [*ASK, {"type": "ai", "content": "so"}]}}, {}),
        ({"request": "POST /v1/chat/completions HTTP/1.1", "requestBody": json.dumps({"model": "m", "messages": ASK}),
          "response_body": json.dumps(CALL["response"])}, {"candidate": "m"}),  # nginx, Helicone
        ({"request": {"url": "x", "body": json.dumps({"model": "m", "messages": ASK})},
          "response": {"status": 200, "body": CALL["response"]}}, {"candidate": "m"}),  # Portkey, Kong
        ({"turns": [*ASK, ANSWER]}, {}),
        ({"_id": "7", "_source": {"@timestamp": 1.7e9, "messages": ASK, "response": "so"}}, {"time": 1.7e9}),
        ({"time": 1.7e9, "message": json.dumps({"messages": ASK, "choices": [{"message": ANSWER}]})}, {"time": 1.7e9}),
        ({"messages": ASK, "choices": [{"message": ANSWER}], "model": "m"}, {"candidate": "m"}),  # stored completions
        ({"modelId": "m", "input": {"inputBodyJson": {"messages": ASK}}, "output": {"outputBodyJson": ANSWER}},
         {"candidate": "m"}),  # Bedrock
        ({"messages": [{"versions": ASK[1:], "currentlySelected": 0}], "answer": "so"}, {}),  # LM Studio
        ({"Zeit": "x", "Frage": "How?", "Antwort": "so", "Modell": "m"}, {"candidate": "m"}),
    ],
)  # fmt: skip
def test_the_shapes_of_other_programs(write, record, values):
    (log,), left_out = read(write(record))
    assert (log.turns[-1], log.values["answer"], left_out) == ("How?", "so", {})
    assert {name: log.values[name] for name in values} == values


def record_of(content: object) -> dict:
    """A record with one message of a user."""
    return {"messages": [{"role": "user", "content": content}]}


LEFT_OUT = [
    (CALL | record_of("redacted-by-litellm"), "redacted"),
    (OBSERVATION | {"input": "redacted-by-litellm"}, "redacted"),
    (CALL | record_of("How ... (litellm_truncated 99 chars) ... so?"), "cut short by LiteLLM"),
    (CALL | {"call_type": "aembedding"}, "embeddings"),
    (CALL | {"call_type": "image_edit"}, "images"),
    (CALL | {"call_type": "atranscription"}, "transcriptions"),
    (CALL | {"call_type": "pass_through_endpoint"}, "other calls (pass_through_endpoint)"),
    (OBSERVATION | {"type": "EMBEDDING"}, "embeddings"),
    (OBSERVATION | {"type": "SPAN"}, "other calls (span)"),
    ({"custom_id": "1", "url": "/v1/embeddings", "body": {"input": "text"}}, "embeddings"),
    (CALL | {"messages": {}}, "without text"),
    ({"query": 7}, "without text"),
    (record_of([{"type": "image_url", "image_url": {"url": "data:"}}]), "without text"),
    (record_of([{"type": "tool_result", "content": "42"}]), "without text"),
    ({"unknown": "How?"}, "of an unknown format"),
    (7, "broken"),
]


@pytest.mark.parametrize(("record", "reason"), LEFT_OUT)
def test_what_is_no_query_of_a_user_is_counted_by_its_reason(write, record, reason):
    logs, left_out = read(write(record, CALL, record))
    assert ([log.turns for log in logs], left_out) == ([["How?"]], {reason: 2})


def test_a_question_about_redaction_is_a_query_and_text_beside_a_picture_counts(write):
    parts = [{"type": "text", "text": "What does redacted-by-litellm mean?"}, {"type": "image_url", "image_url": {}}]
    (log,), _ = read(write(record_of(parts)))
    assert log.turns == ["What does redacted-by-litellm mean?"]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
def test_requests_of_a_batch_are_queries_with_or_without_their_outputs(write, path):
    body = {"model": "m", "messages" if "chat" in path else "input": ASK}
    reply = CALL["response"] if "chat" in path else RESPONSES
    inputs = write({"custom_id": "a", "url": path, "body": body}, name="in.jsonl")
    outputs = write({"custom_id": "a", "response": {"status_code": 200, "body": reply}}, name="out.jsonl")
    (alone,), _ = read(inputs)
    (log,), left_out = read(outputs, inputs)
    assert (alone.turns, alone.unanswered) == (["How?"], "a request of the batch without its output: name both files")
    assert (log.turns, log.values["answer"], log.unanswered, left_out) == (["How?"], "so", "", {})
    assert read(outputs) == ([], {"an output of the batch without its request: name both files": 1})


def test_a_batch_of_anthropics_api(write):
    inputs = write({"custom_id": "a", "params": {"model": "m", "messages": ASK[1:]}}, name="in.jsonl")
    outputs = write({"custom_id": "a", "result": {"type": "succeeded", "message": ANSWER}}, name="out.jsonl")
    (log,), left_out = read(outputs, inputs)
    assert (log.turns, log.values["answer"], log.unanswered, left_out) == (["How?"], "so", "", {})


RECORDS = [{"id": str(n), "query": f'Why "{n}", or {n};\n\tnot?', "tags": ["a"]} for n in range(3)]


def table(separator: str, start: str = "") -> bytes:
    file = io.StringIO()
    rows = csv.writer(file, delimiter=separator)
    rows.writerows([["", "Id", "Query", "tags"], *([n, r["id"], r["query"], "a, b"] for n, r in enumerate(RECORDS))])
    return f"{start}{file.getvalue()}".encode()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", "\n\n".join(map(json.dumps, RECORDS)).encode()), ("a.json", json.dumps(RECORDS).encode()),
        ("a.log", b"\xef\xbb\xbf" + json.dumps(RECORDS, indent=2).encode()),
        ("a.json", json.dumps({"meta": [], "traces": RECORDS}, indent=1).encode()),
        ("a.json", f"{json.dumps(RECORDS[:1])}\n{json.dumps(RECORDS[1:])}".encode()),
        ("a.jsonl", "\n".join(json.dumps(record, indent=2) for record in RECORDS).encode()),
        ("a.jsonl.gz", "\n".join(map(json.dumps, RECORDS)).encode()), ("a.csv", table(",")),
        ("a.csv", table(";", "\ufeff")), ("a.tsv", table("\t")),
    ],
)  # fmt: skip
def test_files_of_any_layout(tmp_path, name, content):
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    for path in (tmp_path / name, tmp_path):
        if path.is_file() or ".log" not in name:
            logs, left_out = read(path)
            assert [(log.values["name"], log.turns) for log in logs] == [(r["id"], [r["query"]]) for r in RECORDS]
            assert left_out == {}


def test_a_table_of_one_column_has_text_with_commas_and_cells_hold_json_or_pythons_lists(tmp_path):
    (tmp_path / "a.csv").write_text("prompt\nHello, how are you; well?\n")
    file = csv.writer(out := io.StringIO())
    file.writerows(
        [["messages", "model"], [json.dumps(ASK), "a"], [repr(ASK), "b"], ["", "c"], [repr(ASK), "d", "more"]]
    )
    (tmp_path / "b.csv").write_text(out.getvalue())
    logs, left_out = read(tmp_path)
    assert [log.turns for log in logs] == [["Hello, how are you; well?"], ["How?"], ["How?"]]
    assert left_out == {"without text": 1, "broken": 1}


@pytest.mark.parametrize(
    ("name", "text", "description"),
    [
        ("a.jsonl", '{"command": "Say", "data": "x"}\n', "records with the fields command, data"),
        ("a.csv", "colour;size\nred;1\n", "records with the fields colour, size"),
        ("a.jsonl", "nonsense\n", "found 'nonsense'"), ("a.json", "nonsense", "nonsense"),
        ("a.json", "[]", "no record"), ("a.csv", "", "no record"),
    ],
)  # fmt: skip
def test_an_unknown_format_is_described_by_what_is_in_it(tmp_path, name, text, description):
    (tmp_path / name).write_text(text)
    with pytest.raises(ZooterError) as refused:
        read(tmp_path / name)
    assert description in str(refused.value)
    assert "record" in description or "Known are" in str(refused.value) or "JSON in" in str(refused.value)


def test_an_answer_in_json_stays_as_it_is(write):
    (log,), _ = read(write({"query": '{"a": 1}', "answer": '{"b": 2}'}))
    assert (log.turns, log.values["answer"]) == (['{"a": 1}'], '{"b": 2}')
